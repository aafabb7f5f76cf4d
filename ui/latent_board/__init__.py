"""The latent board: slide a latent and the image follows, without asking the server.

One row a latent; a model of many may leave some without. Its track shows where the posterior
q(z_i | x) of the start image lies, before the aggregate posterior of the data; under it runs a film
strip of the traversal. The browser has the decoder, so a drag, a key or a play button moves the
large image and the strips of all other rows. Where it cannot decode, or the decoder is imported,
the server renders all frames of a code, and the strips of the other rows follow a release. The
server hears of releases only.

    latent_board(rows, BoardDecoder.of(pack_decoder(model)), key="explore", on_release=release)
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import streamlit as st

from dvae_core.web.board import (
    BoardDecoder,
    BoardRow,
    BoardTarget,
    Source,
    board_data,
    code_of,
)
from dvae_core.web.scripts import board_script, board_style

_mount = st.components.v2.component(
    "latent_board",
    js=board_script() + Path(__file__).with_name("mount.js").read_text(encoding="utf-8"),
    css=board_style(),
)
_NEEDS_FRAMES = "board-needs-frames"  # of a browser that cannot decode


@dataclass(frozen=True)
class BoardEvent:
    """Handles were let go somewhere else.

    Attributes:
        moved: the latents whose value is another one now.
        code: the values of all N latents, in the model's order.
        sequence: 1 for the first release in this session, then counting up.
    """

    moved: tuple[int, ...]
    code: tuple[float, ...]
    sequence: int


def can_decode() -> bool:
    """Whether the browser of this session decodes, as far as is known: then a board takes a
    `BoardDecoder`, else `BoardFrames`."""
    return not st.session_state.get(_NEEDS_FRAMES, False)


def latent_board(
    rows: Sequence[BoardRow],
    source: Source,
    *,
    key: str,
    on_release: Callable[[BoardEvent], None],
    code: Sequence[float] | None = None,
    label: str = "latents",
    side: str = "",
    shown: int | None = None,
    within_data: bool = False,
    target: BoardTarget | None = None,
) -> None:
    """Show the board. Mount it inside a fragment, so that a release reruns nothing else.

    The board shows what `rows` say: a page changes the code (undo, reset, a linked board) by
    passing other values. What arrives during a drag waits until its end, and is dropped if the
    release asked for something newer.

    Args:
        rows: of the latents to show, in their order.
        source: of the images: a decoder if `can_decode`, else frames.
        key: names this board; use another one for another model.
        on_release: called before the script (or fragment) runs, when a person let go of handles
            somewhere else. Releases that no board could have sent are ignored.
        code, label, side, shown, within_data, target: see `board_data`.

    Raises:
        ValueError: as in `board_data`.
    """
    exchange = st.session_state.setdefault(
        f"{key}-exchange", {"session": uuid4().hex, "answered": 0, "known_decoder": ""}
    )

    def receive() -> None:
        payload = st.session_state[key].get("release")
        sequence = payload.get("sequence") if isinstance(payload, dict) else None
        if type(sequence) is not int:
            return
        exchange["answered"] = sequence  # also when refused: the board then shows `rows` again
        if isinstance(source, BoardDecoder) and payload.get("decoder") == source.id:
            exchange["known_decoder"] = source.id
        event = _event(payload, sequence, rows, code, target)
        if event is not None:
            on_release(event)

    def provide() -> None:
        match st.session_state[key].get("need"):
            case "weights":
                exchange["known_decoder"] = ""
            case "frames":
                st.session_state[_NEEDS_FRAMES] = True

    _mount(
        key=key,
        # In a list: a dict would be searched for tables, by pandas, whose import the first board
        # would wait for.
        data=[
            board_data(
                rows,
                source,
                label=label,
                code=code,
                side=side,
                shown=shown,
                within_data=within_data,
                target=target,
                **exchange,
            )
        ],
        # Triggers and not states: a release happens once. A state would be sent along with every
        # later rerun and would have to be told apart from what the server set in the meantime.
        on_release_change=receive,
        on_need_change=provide,
    )


def _event(
    payload: dict[str, Any],
    sequence: int,
    rows: Sequence[BoardRow],
    shown_code: Sequence[float] | None = None,
    target: BoardTarget | None = None,
) -> BoardEvent | None:
    """The release in `payload`, or None when no board showing `rows` could have sent it."""
    before = code_of(rows) if shown_code is None else list(shown_code)
    code = payload.get("code")
    if type(code) is not list or len(code) != len(before):
        return None
    released = list(before)  # a latent without a row stays where it is
    for row in rows:
        value = code[row.latent]
        known = [row.values[0], row.values[-1], row.start, row.value]
        if target is not None:
            known.append(target.code[row.latent])
        if type(value) not in (int, float) or not min(known) <= value <= max(known):
            return None
        released[row.latent] = float(value)
    moved = tuple(latent for latent, value in enumerate(released) if value != before[latent])
    return BoardEvent(moved, tuple(map(float, released)), sequence)
