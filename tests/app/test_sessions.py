"""Sessions at once see nothing of one another: neither through the session's state, nor through
what all sessions share."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from dvae_core.runs.run import Run
from tests.app.conftest import OpenApp
from ui.images import to_png

RUNS = ("runs/smooth", "runs/third")
ACROSS = (3, 28)  # of the disc of the start


@dataclass(frozen=True)
class Doing:
    """Something that a person does in a session.

    Attributes:
        act: does it, in one of two ways.
        trace: what the page shows of it.
        page: where.
        link: with which the page opens.
    """

    act: Callable[[AppTest, int], Any]
    trace: Callable[[AppTest], Any]
    page: str = "pages/explore.py"
    link: dict[str, str] = field(default_factory=lambda: {"run": "checkpoints/discrete"})


def choose_run(app: AppTest, way: int) -> None:
    app.sidebar.selectbox[0].set_value(RUNS[way]).run()


def move_disc(app: AppTest, way: int) -> None:
    app.sidebar.slider[0].set_value(ACROSS[way]).run()


def move_and_go_back(app: AppTest, way: int) -> None:
    move_disc(app, way)
    if way:
        app.button(key="undo").click().run()


def pin(app: AppTest, way: int) -> None:
    move_disc(app, way)
    app.button(key="pin").click().run()


def upload(app: AppTest, way: int) -> None:
    app.button_group(key="checkpoints/discrete-start-kind").set_value("upload").run()
    content = to_png(np.full((32, 32, 1), 100 * way, np.uint8))
    app.file_uploader[0].set_value(("mine.png", content, "image/png")).run()


def plan(app: AppTest, way: int) -> None:
    app.text_input(key="train-steps").set_value(f"{1234 + way}").run()


def history(app: AppTest) -> list[bool]:
    return [app.button(key=name).disabled for name in ("undo", "redo")]


def in_link(name: str) -> Callable[[AppTest], Any]:
    return lambda app: dict(app.query_params).get(name)


DOINGS = {
    "selection": Doing(choose_run, in_link("run")),
    "start": Doing(move_disc, in_link("start")),
    "history": Doing(move_and_go_back, history),
    "pinned image": Doing(pin, lambda app: (in_link("other")(app), history(app))),
    "uploaded file": Doing(
        upload, lambda app: (in_link("start")(app), [bool(f.value) for f in app.file_uploader])
    ),
    "training form": Doing(
        plan,
        lambda app: app.text_input(key="train-steps").value,
        "pages/train.py",
        {"view": "new"},
    ),
}


@pytest.mark.parametrize("what", DOINGS)
def test_a_session_sees_nothing_of_another(
    open_app: OpenApp, own_folders: Path, runs: dict[str, Run], what: str
) -> None:
    shutil.copytree(runs["runs/smooth"].path, own_folders / "runs" / "third")
    doing = DOINGS[what]
    one, other = (open_app(doing.page, **doing.link) for _ in range(2))
    untouched = doing.trace(other)
    doing.act(one, 0)
    mine = doing.trace(one)
    assert mine != untouched
    assert doing.trace(other.run()) == untouched
    assert doing.trace(open_app(doing.page, **doing.link)) == untouched
    doing.act(other, 1)
    assert doing.trace(other) not in (mine, untouched)
    assert doing.trace(one.run()) == mine
    assert not (*one.exception, *other.exception, *one.error, *other.error)
