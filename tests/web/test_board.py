"""What the latent board tells the browser."""

import base64
import json
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from dvae_core.web.board import BoardDecoder, BoardFrames, BoardRow, board_data, encode_frames


def unpacked(frames: BoardFrames) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The frames (N, K, H, W, C) and the image (H, W, C), by the layout that is documented."""
    stream = np.frombuffer(zlib.decompress(base64.b64decode(frames.packed)), dtype=np.uint8)
    size = int(np.prod(frames.shape))
    differences = stream[:size].reshape(frames.shape)  # (N, K, C, H, W)
    planes = np.cumsum(differences, axis=1, dtype=np.uint8)
    image = stream[size:].reshape(frames.shape[2:])
    return planes.transpose(0, 1, 3, 4, 2), image.transpose(1, 2, 0)


def rows(**change: Any) -> list[BoardRow]:
    """Three latents of five values, latent 0 changed; latent 1 starts between two of them."""
    values = np.linspace(-1, 1, 5)
    first: dict[str, Any] = {
        "values": values,
        "start": 0.0,
        "value": 0.0,
        "kl_nats": 1.25,
        **change,
    }
    return [
        BoardRow(latent=2, values=values, start=-1.0, value=0.5, kl_nats=0.5),
        BoardRow(latent=0, **first),
        BoardRow(latent=1, values=values, start=0.25, value=0.25, kl_nats=0.0),
    ]


def frames() -> BoardFrames:
    return encode_frames(
        np.zeros((3, 5, 4, 4, 1), dtype=np.uint8), np.zeros((4, 4, 1), dtype=np.uint8), "state"
    )


@given(
    st.sampled_from([1, 3]).flatmap(
        lambda channels: st.tuples(
            arrays.arrays(np.uint8, (2, 3, 4, 5, channels)),
            arrays.arrays(np.uint8, (4, 5, channels)),
        )
    )
)
def test_frames_come_back_pixel_for_pixel(
    pictures: tuple[NDArray[np.uint8], NDArray[np.uint8]],
) -> None:
    images, image = pictures
    returned, returned_image = unpacked(encode_frames(images, image, "state"))
    np.testing.assert_array_equal(returned, images)
    np.testing.assert_array_equal(returned_image, image)


def test_frames_that_are_a_view_of_other_axes_come_back_pixel_for_pixel() -> None:
    planes = np.random.default_rng(0).integers(0, 256, (2, 3, 3, 4, 5), dtype=np.uint8)
    images = planes.transpose(0, 1, 3, 4, 2)  # (N, K, C, H, W) -> (N, K, H, W, C)
    returned, _ = unpacked(encode_frames(images, images[0, 0], "state"))
    np.testing.assert_array_equal(returned, images)


def test_a_latent_of_fewer_values_sends_only_what_it_has() -> None:
    random = np.random.default_rng(0)
    images = [random.integers(0, 256, (count, 4, 5, 1), dtype=np.uint8) for count in (3, 40, 1)]
    packed = encode_frames(images, images[0][0], "state")
    assert packed.shape == (3, 40, 1, 4, 5)
    returned, _ = unpacked(packed)
    for row, sent in zip(returned, images, strict=True):
        np.testing.assert_array_equal(row[: len(sent)], sent)
        assert (row[len(sent) :] == sent[-1]).all()


def test_encoding_leaves_the_frames_as_they_are() -> None:
    images = np.random.default_rng(0).integers(0, 256, (2, 3, 4, 5, 1), dtype=np.uint8)
    before = images.copy()
    encode_frames(images, images[0, 0], "state")
    np.testing.assert_array_equal(images, before)


@pytest.mark.parametrize(("channels", "megabytes"), [(1, 1.5), (3, 4.0)])
def test_the_frames_of_a_whole_board_are_small(channels: int, megabytes: float) -> None:
    # A soft blob that moves, before a ground whose every pixel changes from frame to frame.
    y, x = np.mgrid[-1:1:64j, -1:1:64j]
    steps = np.linspace(-1, 1, 64)[:, None, None]
    images = np.empty((10, 64, 64, 64, channels), dtype=np.uint8)
    for latent in range(10):
        blob = np.exp(-20 * ((x - 0.6 * steps) ** 2 + (y - 0.1 * latent) ** 2))  # (K, H, W)
        ground = 0.3 + 0.2 * np.sin(3 * x + 2 * steps) * np.cos(2 * y - steps)
        for channel in range(channels):
            light = ground * (1 - 0.2 * channel) + 0.5 * blob
            images[latent, ..., channel] = (255 * light.clip(0, 1)).round()
    packed = encode_frames(images, images[0, 0], "state").packed
    assert len(packed) <= megabytes * 1e6


@pytest.mark.parametrize(
    ("images", "image", "found"),
    [
        (np.zeros((2, 3, 4, 5, 1)), np.zeros((4, 5, 1), np.uint8), "frames are float64"),
        (np.zeros((2, 3, 4, 5), np.uint8), np.zeros((4, 5), np.uint8), r"uint8 \(4, 5\)"),
        (np.zeros((2, 3, 4, 5, 2), np.uint8), np.zeros((4, 5, 2), np.uint8), "1 or 3"),
        (np.zeros((2, 3, 4, 5, 1), np.uint8), np.zeros((5, 4, 1), np.uint8), r"\(K, 5, 4, 1\)"),
    ],
)
def test_frames_of_another_kind_are_refused(
    images: NDArray[Any], image: NDArray[Any], found: str
) -> None:
    with pytest.raises(ValueError, match=found):
        encode_frames(images, image, "state")


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"values": []}, "latent 0 has 0 values"),
        ({"values": range(6)}, "latent 0 has 6 values"),
        ({"values": [0.0, 0.0, 1.0]}, "do not ascend"),
        ({"values": [float("nan")]}, "latent 0 has a value or a start that is not finite"),
        ({"value": float("nan")}, "latent 0 has a value or a start that is not finite"),
        ({"start": float("inf")}, "latent 0 has a value or a start that is not finite"),
        ({"posterior": [1.0]}, "the posterior of latent 0 has 1 heights"),
        ({"aggregate": [1.0] * 6}, "the aggregate of latent 0 has 6 heights"),
        ({"visited": [True] * 4}, "latent 0 has 4 visits, expected 5 or none"),
    ],
)
def test_rows_that_do_not_fit_are_refused(change: dict[str, Any], found: str) -> None:
    with pytest.raises(ValueError, match=found):
        board_data(rows(**change), frames())


def test_rows_of_other_latents_than_the_frames_are_refused() -> None:
    with pytest.raises(ValueError, match=r"latents \[0, 2\], expected 3 of 0 to 1"):
        board_data(rows()[:2], frames())


def test_numbers_that_json_lacks_are_left_out() -> None:
    change = {
        "kl_nats": float("inf"),
        "information": float("nan"),
        "posterior": [float("nan"), 1, 2, 0, float("inf")],
    }
    data = board_data(rows(**change), frames())
    row = json.loads(json.dumps(data, allow_nan=False))["rows"][1]
    assert row["kl"] is None
    assert row["information"] is None
    assert row["posterior"] == [0, 0.417, 0.833, 0, 0]


@pytest.mark.parametrize(
    ("heights", "drawn"),
    [
        ([0, 0.1, 0.8, 0.1, 0], [0, 0.125, 1, 0.125, 0]),
        ([3, 3, 3, 3, 3], [0.25, 0.25, 0.25, 0.25, 0.25]),
        ([0, 0, 0, 0, 0], [0, 0, 0, 0, 0]),
        ([0, 0.7, 0.35], [0, 0.667, 0.333]),
        ([0, 1], [0, 1]),
    ],
)
def test_a_peak_fills_the_track_and_a_flat_posterior_a_quarter(
    heights: list[float], drawn: list[float]
) -> None:
    change = {"values": range(len(heights)), "posterior": heights}
    row = board_data(rows(**change), frames())["rows"][1]
    assert row["posterior"] == drawn


def test_an_aggregate_is_scaled_to_its_maximum() -> None:
    row = board_data(rows(aggregate=[2, 2, 4, 2, 2]), frames())["rows"][1]
    assert row["aggregate"] == [0.5, 0.5, 1, 0.5, 0.5]


def test_the_weights_of_a_decoder_go_over_once() -> None:
    decoder = BoardDecoder.of(b"weights")
    first = board_data(rows(), decoder)
    assert base64.b64decode(first["decoder"]["packed"]) == b"weights"
    assert "frames" not in first
    again = board_data(rows(), decoder, known_decoder=decoder.id)
    assert again["decoder"] == {"id": decoder.id, "packed": None}
    other = board_data(rows(), BoardDecoder.of(b"others"), known_decoder=decoder.id)
    assert other["decoder"]["packed"]


def test_a_board_with_a_decoder_has_rows_of_any_length() -> None:
    change = {"values": np.linspace(-1, 1, 300)}
    data = board_data(rows(**change), BoardDecoder.of(b"weights"))
    assert [len(row["values"]) for row in data["rows"]] == [5, 300, 5]
    with pytest.raises(ValueError, match="of 0 to 1"):
        board_data(rows()[:2], BoardDecoder.of(b"weights"))


def test_a_board_may_leave_latents_without_a_row() -> None:
    """Latents 0 and 2 of three have rows; the frames are theirs by ascending latent."""
    by_latent = {row.latent: row for row in rows()}
    some = [by_latent[2], by_latent[0]]
    images = [np.zeros((5, 4, 4, 1), np.uint8)] * 2
    packed = encode_frames(images, np.zeros((4, 4, 1), np.uint8), "some")
    code = [some[1].value, 0.7, some[0].value]
    data = board_data(some, packed, code=code)
    assert data["code"] == code
    assert [(row["latent"], row["frames"]) for row in data["rows"]] == [(2, 1), (0, 0)]
