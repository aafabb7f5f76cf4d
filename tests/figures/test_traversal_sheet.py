import base64
import io
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image
from pypdf import PdfReader

from dvae_core.errors import ConfigError
from dvae_core.figures.drawing import Drawing
from dvae_core.figures.fonts import text_width
from dvae_core.figures.traversal_sheet import (
    SheetRow,
    broken,
    draw_images,
    draw_sheet,
    traversal_sheet,
)

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = '<b>&amp; "hue"</b> $x$ ${y}'
FRAMES = np.random.default_rng(0).integers(0, 255, (2, 3, 32, 32, 3), np.uint8)


def sheet() -> Drawing:
    rows = [
        SheetRow(frames, name, ("factor 51%", "KL 0.50 nats"))
        for frames, name in zip(FRAMES, (HOSTILE, "latent 1"), strict=True)
    ]
    heads = [("start image", FRAMES[0, 0])]
    return draw_sheet(
        rows, heads, ("value", ["-1.00", "0.00", "1.00"]), ["run a < b"], 2, f"Sheet {HOSTILE}"
    )


def test_every_image_is_in_its_place() -> None:
    frames = np.arange(6, dtype=np.uint8).reshape(2, 3, 1, 1, 1).repeat(32, 2).repeat(32, 3) * 20
    drawn = traversal_sheet(frames, ["latent 0", "latent 1"])
    ends = drawn[:, -3 * 34 :]
    for value in (0, 20, 40, 60, 80, 100):
        assert (ends == value).all(-1).sum() >= 1024
    assert drawn[16, -5].tolist() == [40, 40, 40]
    assert drawn[50, -5].tolist() == [100, 100, 100]


def test_a_shorter_row_leaves_its_end_white() -> None:
    frames = [np.zeros((count, 32, 32, 1), np.uint8) for count in (3, 1)]
    drawn = traversal_sheet(frames, ["latent 0", "latent 1"])
    dark = (drawn[:, 150:] == 0).all(-1)
    assert dark[:34].sum() == 3 * 1024
    assert dark[34:].sum() == 1024


def test_heads_stand_above_the_rows() -> None:
    frames = np.zeros((1, 2, 8, 8, 3), np.uint8)
    head = np.full((8, 8, 3), (9, 8, 7), np.uint8)
    plain = traversal_sheet(frames, ["latent 0"])
    with_heads = traversal_sheet(frames, ["latent 0"], [("original", head)], scale=2)
    assert (with_heads[:20] == (9, 8, 7)).all(-1).sum() == 256
    assert with_heads.shape[0] > plain.shape[0]


def test_a_long_label_makes_room_for_itself_and_is_broken_before_it_takes_all() -> None:
    frames = np.zeros((1, 2, 8, 8, 3), np.uint8)
    short = traversal_sheet(frames, ["latent 0"])
    drawn = traversal_sheet(frames, ["3 · the hue of the wall behind   0.53 nats"])
    assert drawn.shape[1] > short.shape[1]
    assert (drawn[:, -2 * 10 - 6 : -2 * 10] == 255).all()  # nothing of it before the images
    longest = traversal_sheet(frames, ["a long name " * 7])
    assert longest.shape[1] < short.shape[1] + 100
    assert longest.shape[0] > short.shape[0]


def test_broken_lines_are_the_text_and_fit() -> None:
    text = "latent 3 · the hue of the wall behind the object"
    lines = broken(text, 12, 100)
    assert " ".join(lines) == text
    assert max(text_width(line, 12) for line in lines) <= 100
    assert "".join(broken("x" * 80, 12, 100)) == "x" * 80


def test_an_svg_has_every_text_as_text_and_every_image_at_its_own_resolution() -> None:
    root = ElementTree.fromstring(sheet().to_svg())
    texts = [element.text for element in root.iter(f"{SVG}text")]
    for expected in (HOSTILE, "latent 1", "KL 0.50 nats", "start image", "-1.00", "run a < b"):
        assert expected in texts
    assert root.findtext(f"{SVG}title") == f"Sheet {HOSTILE}"
    images = list(root.iter(f"{SVG}image"))
    assert {image.get("style") for image in images} == {"image-rendering:pixelated"}
    assert {(image.get("width"), image.get("height")) for image in images} == {("64", "64")}
    decoded = []
    for image in images[1:]:
        data = base64.b64decode((image.get("href") or "").partition(",")[2])
        decoded.append(np.asarray(Image.open(io.BytesIO(data))))
    np.testing.assert_array_equal(decoded, FRAMES.reshape(6, 32, 32, 3))


def test_a_pdf_has_text_to_select_and_images_at_their_own_resolution() -> None:
    content = sheet().to_pdf()
    assert content == sheet().to_pdf()
    document = PdfReader(io.BytesIO(content))
    assert len(document.pages) == 1
    assert document.metadata is not None
    assert document.metadata.title == f"Sheet {HOSTILE}"
    text = document.pages[0].extract_text()
    for expected in (HOSTILE, "latent 1", "KL 0.50 nats", "start image", "-1.00", "run a < b"):
        assert expected in text
    found = [np.asarray(image.image) for image in document.pages[0].images]
    # The start is the first frame, and is in the file once.
    assert sorted(image.tobytes() for image in found) == sorted(
        image.tobytes() for image in FRAMES.reshape(6, 32, 32, 3)
    )


def test_the_three_formats_have_one_size() -> None:
    drawing = sheet()
    with Image.open(io.BytesIO(drawing.to_png())) as image:
        assert image.size == (drawing.width, drawing.height)
    root = ElementTree.fromstring(drawing.to_svg())
    assert root.get("viewBox") == f"0 0 {drawing.width:g} {drawing.height:g}"
    box = PdfReader(io.BytesIO(drawing.to_pdf())).pages[0].mediabox
    assert (float(box.width), float(box.height)) == pytest.approx(
        (0.75 * drawing.width, 0.75 * drawing.height), abs=0.01
    )


def test_images_alone_stand_side_by_side() -> None:
    drawn = np.asarray(draw_images(list(FRAMES), 2).to_image())
    assert drawn.shape == (2 * 66 - 2, 3 * 66 - 2, 3)
    np.testing.assert_array_equal(drawn[66::2, 132::2], FRAMES[1, 2])


def test_a_picture_of_too_many_pixels_is_refused_before_it_is_drawn() -> None:
    with pytest.raises(ConfigError, match="choose fewer latents, fewer images or a smaller scale"):
        Drawing(20_000, 20_000, (), ()).to_image()
