import numpy as np

from dvae_core.figures.traversal_sheet import traversal_sheet


def test_every_image_is_in_its_place() -> None:
    frames = np.arange(6, dtype=np.uint8).reshape(2, 3, 1, 1, 1).repeat(8, 2).repeat(8, 3) * 20
    sheet = traversal_sheet(frames, ["latent 0", "latent 1"])
    ends = sheet[:, -30:]
    for value in (0, 20, 40, 60, 80, 100):
        assert (ends == value).all(-1).sum() >= 64
    assert sheet[4, -5].tolist() == [40, 40, 40]
    assert sheet[14, -5].tolist() == [100, 100, 100]


def test_a_shorter_row_leaves_its_end_white() -> None:
    frames = [np.zeros((count, 8, 8, 1), np.uint8) for count in (3, 1)]
    sheet = traversal_sheet(frames, ["latent 0", "latent 1"])
    dark = (sheet[:, 150:] == 0).all(-1)
    assert dark[:10].sum() == 3 * 64
    assert dark[10:].sum() == 64


def test_heads_stand_above_the_rows() -> None:
    frames = np.zeros((1, 2, 8, 8, 3), np.uint8)
    head = np.full((8, 8, 3), (9, 8, 7), np.uint8)
    plain = traversal_sheet(frames, ["latent 0"])
    with_heads = traversal_sheet(frames, ["latent 0"], [("original", head)], scale=2)
    assert (with_heads[:20] == (9, 8, 7)).all(-1).sum() == 256
    assert with_heads.shape[0] > plain.shape[0]


def test_a_long_label_makes_room_for_itself() -> None:
    frames = np.zeros((1, 2, 8, 8, 3), np.uint8)
    sheet = traversal_sheet(frames, ["3 · the hue of the wall behind   0.53 nats"])
    assert sheet.shape[1] > traversal_sheet(frames, ["latent 0"]).shape[1]
    assert (sheet[:, -2 * 10 - 6 : -2 * 10] == 255).all()  # nothing of it before the images
