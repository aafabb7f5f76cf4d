"""What the latent board believes of what the browser says, and what it keeps."""

import base64
import json
import subprocess
import sys
from typing import Any

import pytest
import streamlit
from streamlit.testing.v1 import AppTest

from dvae_core.web.board import BoardDecoder, BoardTarget, Source
from tests.web.test_board import frames, rows
from ui import latent_board
from ui.latent_board import BoardEvent
from ui.latent_board import _event as event_of


def test_a_release_is_read() -> None:
    payload = {"code": [0, 0.25, -1.0], "sequence": 4}
    assert event_of(payload, 4, rows()) == BoardEvent((2,), (0.0, 0.25, -1.0), 4)
    payload = {"code": [1, -0.5, 0.5], "sequence": 5}
    assert event_of(payload, 5, rows()) == BoardEvent((0, 1), (1.0, -0.5, 0.5), 5)


def test_a_start_outside_the_values_can_be_returned_to() -> None:
    payload = {"code": [1.7, 0.25, 0.5]}
    event = event_of(payload, 1, rows(start=1.7))
    assert event is not None
    assert event.code[0] == 1.7


def test_a_code_may_lie_between_the_start_and_a_second_code() -> None:
    payload = {"code": [1.7, 0.25, 0.5]}
    assert event_of(payload, 1, rows()) is None
    target = BoardTarget([2.0, 0.0, 0.0], "A to B")
    assert event_of(payload, 1, rows(), target=target) is not None


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"code": [0.0, 0.0]},
        {"code": [0.0, 0.0, 0.0, 0.0]},
        {"code": "000"},
        {"code": [0.0, "0", 0.0]},
        {"code": [0.0, None, 0.0]},
        {"code": [0.0, True, 0.0]},
        {"code": [0.0, 1.01, 0.0]},
        {"code": [float("nan"), 0.0, 0.0]},
        {"code": [float("-inf"), 0.0, 0.0]},
    ],
)
def test_a_release_that_no_board_could_have_sent_is_ignored(payload: dict[str, Any]) -> None:
    assert event_of(payload, 1, rows()) is None


def test_the_board_is_mounted_with_its_data() -> None:
    def script() -> None:
        import numpy

        from dvae_core.web import board
        from ui.latent_board import latent_board

        images = numpy.zeros((1, 2, 4, 4, 1), dtype=numpy.uint8)
        row = board.BoardRow(latent=0, values=[0.0, 1.0], start=0.0, value=1.0, kl_nats=0.5)
        frames = board.encode_frames(images, images[0, 0], "state")
        latent_board([row], frames, key="board", on_release=print)

    app = AppTest.from_function(script, default_timeout=30).run()
    assert not app.exception
    (data,) = json.loads(app.get("bidi_component")[0].proto.json)
    assert (data["state_id"], data["answered"], data["rows"][0]["value"]) == ("state", 0, 1.0)


class Mounted:
    """A board without a browser: `show` gives what the browser is given."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, source: Source) -> None:
        self.options: dict[str, Any] = {}
        self.state: dict[str, Any] = {}
        self.events: list[BoardEvent] = []
        self.source = source
        monkeypatch.setattr(latent_board, "_mount", lambda **options: self.options.update(options))
        monkeypatch.setattr(streamlit, "session_state", self.state)

    def show(self) -> dict[str, Any]:
        latent_board.latent_board(rows(), self.source, key="board", on_release=self.events.append)
        data: dict[str, Any] = self.options["data"][0]
        return data

    def hear(self, name: str, value: object) -> None:
        self.state["board"] = {name: value}
        self.options[f"on_{name}_change"]()


@pytest.mark.parametrize(("value", "heard"), [(1.0, [(0,)]), (7.0, [])])
def test_a_refused_release_counts_as_answered_but_is_not_told(
    monkeypatch: pytest.MonkeyPatch, value: float, heard: list[tuple[int, ...]]
) -> None:
    board = Mounted(monkeypatch, frames())
    board.show()
    board.hear("release", {"code": [value, 0.25, 0.5], "sequence": 3})
    assert [event.moved for event in board.events] == heard
    assert board.show()["answered"] == 3


def test_weights_are_sent_until_the_browser_has_them_and_again_when_it_asks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    decoder = BoardDecoder.of(b"weights")
    board = Mounted(monkeypatch, decoder)
    packed = base64.b64encode(b"weights").decode()
    assert board.show()["decoder"]["packed"] == packed
    assert board.show()["decoder"]["packed"] == packed
    board.hear("release", {"code": [1.0, 0.25, 0.5], "sequence": 1, "decoder": decoder.id})
    assert board.show()["decoder"]["packed"] is None
    board.hear("need", "weights")
    assert board.show()["decoder"]["packed"] == packed


def test_a_browser_that_cannot_decode_gets_frames_from_then_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    board = Mounted(monkeypatch, BoardDecoder.of(b"weights"))
    board.show()
    assert latent_board.can_decode()
    board.hear("need", {"anything": "else"})
    assert latent_board.can_decode()
    board.hear("need", "frames")
    assert not latent_board.can_decode()


def test_the_board_does_without_torch() -> None:
    program = "import sys, ui.latent_board; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_a_latent_without_a_row_stays_where_it_is() -> None:
    by_latent = {row.latent: row for row in rows()}
    some = [by_latent[2], by_latent[0]]
    code, target = [some[1].value, 0.7, some[0].value], float(some[0].values[0])
    event = event_of({"code": [code[0], None, target]}, 1, some, code)
    assert event == BoardEvent((2,), (code[0], 0.7, target), 1)
