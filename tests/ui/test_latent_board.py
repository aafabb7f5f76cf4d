"""What the latent board tells the browser, and what it believes of what the browser says."""

import base64
import json
import subprocess
import sys
import zlib
from typing import Any

import numpy as np
import pytest
import streamlit
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from streamlit.testing.v1 import AppTest

from ui import latent_board
from ui.latent_board import BoardEvent, BoardFrames, BoardRow, board_data, encode_frames
from ui.latent_board import _event as event_of

EXCHANGE = {"session": "one", "answered": 0}


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
        board_data(rows(**change), frames(), EXCHANGE, "latents")


def test_rows_of_other_latents_than_the_frames_are_refused() -> None:
    with pytest.raises(ValueError, match=r"latents \[0, 2\], expected 3 of 0 to 1"):
        board_data(rows()[:2], frames(), EXCHANGE, "latents")


def test_numbers_that_json_lacks_are_left_out() -> None:
    change = {
        "kl_nats": float("inf"),
        "information": float("nan"),
        "posterior": [float("nan"), 1, 2, 0, float("inf")],
    }
    data = board_data(rows(**change), frames(), EXCHANGE, "latents")
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
    row = board_data(rows(**change), frames(), EXCHANGE, "latents")["rows"][1]
    assert row["posterior"] == drawn


def test_an_aggregate_is_scaled_to_its_maximum() -> None:
    row = board_data(rows(aggregate=[2, 2, 4, 2, 2]), frames(), EXCHANGE, "latents")["rows"][1]
    assert row["aggregate"] == [0.5, 0.5, 1, 0.5, 0.5]


def test_a_release_is_read() -> None:
    payload = {"latent": 2, "value": -1.0, "code": [0, 0.25, -1.0], "sequence": 4}
    assert event_of(payload, 4, rows()) == BoardEvent(2, -1.0, (0.0, 0.25, -1.0), 4)


def test_a_start_outside_the_values_can_be_returned_to() -> None:
    payload = {"latent": 0, "code": [1.7, 0.25, 0.5]}
    event = event_of(payload, 1, rows(start=1.7))
    assert event is not None
    assert event.value == 1.7


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"latent": 0},
        {"latent": 3, "code": [0.0, 0.0, 0.0]},
        {"latent": -1, "code": [0.0, 0.0, 0.0]},
        {"latent": True, "code": [0.0, 0.0, 0.0]},
        {"latent": 0.0, "code": [0.0, 0.0, 0.0]},
        {"latent": 0, "code": [0.0, 0.0]},
        {"latent": 0, "code": [0.0, 0.0, 0.0, 0.0]},
        {"latent": 0, "code": "000"},
        {"latent": 0, "code": [0.0, "0", 0.0]},
        {"latent": 0, "code": [0.0, None, 0.0]},
        {"latent": 0, "code": [0.0, True, 0.0]},
        {"latent": 0, "code": [0.0, 1.01, 0.0]},
        {"latent": 0, "code": [float("nan"), 0.0, 0.0]},
        {"latent": 0, "code": [float("-inf"), 0.0, 0.0]},
    ],
)
def test_a_release_that_no_board_could_have_sent_is_ignored(payload: dict[str, Any]) -> None:
    assert event_of(payload, 1, rows()) is None


def test_the_board_is_mounted_with_its_data() -> None:
    def script() -> None:
        import numpy as np

        from ui.latent_board import BoardRow, encode_frames, latent_board

        images = np.zeros((1, 2, 4, 4, 1), dtype=np.uint8)
        row = BoardRow(latent=0, values=[0.0, 1.0], start=0.0, value=1.0, kl_nats=0.5)
        frames = encode_frames(images, images[0, 0], "state")
        latent_board([row], frames, key="board", on_release=print)

    app = AppTest.from_function(script, default_timeout=30).run()
    assert not app.exception
    (data,) = json.loads(app.get("bidi_component")[0].proto.json)
    assert (data["state_id"], data["answered"], data["rows"][0]["value"]) == ("state", 0, 1.0)


@pytest.mark.parametrize(("value", "heard"), [(1.0, [1.0]), (7.0, [])])
def test_a_refused_release_counts_as_answered_but_is_not_told(
    monkeypatch: pytest.MonkeyPatch, value: float, heard: list[float]
) -> None:
    mounted: list[dict[str, Any]] = []
    state: dict[str, Any] = {}
    monkeypatch.setattr(latent_board, "_mount", lambda **options: mounted.append(options))
    monkeypatch.setattr(streamlit, "session_state", state)
    events: list[BoardEvent] = []

    def show() -> dict[str, Any]:
        latent_board.latent_board(rows(), frames(), key="board", on_release=events.append)
        return mounted[-1]

    options = show()
    state["board"] = {"release": {"latent": 0, "code": [value, 0.25, 0.5], "sequence": 3}}
    options["on_release_change"]()
    assert [event.value for event in events] == heard
    assert show()["data"][0]["answered"] == 3


def test_the_board_does_without_torch() -> None:
    program = "import sys, ui.latent_board; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_a_board_without_all_latents_keeps_the_others_where_they_are() -> None:
    """Latents 0 and 2 of three have rows; the frames are theirs by ascending latent."""
    by_latent = {row.latent: row for row in rows()}
    some = [by_latent[2], by_latent[0]]
    images = [np.zeros((5, 4, 4, 1), np.uint8)] * 2
    packed = encode_frames(images, np.zeros((4, 4, 1), np.uint8), "some")
    code = [some[1].value, 0.7, some[0].value]
    data = board_data(some, packed, EXCHANGE, "latents", code)
    assert data["code"] == code
    assert [(row["latent"], row["frames"]) for row in data["rows"]] == [(2, 1), (0, 0)]
    target = float(some[0].values[0])
    payload = {"latent": 2, "code": [code[0], None, target]}
    event = event_of(payload, 1, some, code)
    assert event is not None
    assert event.code == (code[0], 0.7, target)
    assert event_of({"latent": 1, "code": code}, 1, some, code) is None
