import pytest
from streamlit.testing.v1 import AppTest

from ui.state import MAX_HISTORY, Exploration, Start


@pytest.mark.parametrize(
    "start",
    [
        Start("factors", (3, 17)),
        Start("image", (5,)),
        Start("prior", (0,)),
        Start("factors", (7,), 12),
    ],
)
def test_a_start_survives_its_text(start: Start) -> None:
    assert Start.from_text(start.to_text()) == start


@pytest.mark.parametrize(
    "text",
    [
        "",
        "factors",
        "factors-",
        "factors-a",
        "factors--1",
        "factors-1.",
        "image-1.2",
        "upload",
        "prior",
        "prior-¹",
        "x-1",
        "factors-" + ".".join(["1"] * 65),
    ],
)
def test_a_text_that_is_no_start_is_none(text: str) -> None:
    assert Start.from_text(text) is None


def test_undo_goes_back_through_codes_and_starts() -> None:
    there = Exploration("runs/a", Start("prior", (0,)))
    there.move((1.0, 2.0))
    there.move((1.0, 3.0))
    there.begin(Start("prior", (1,)))
    there.undo()
    assert (there.start, there.code) == (Start("prior", (0,)), (1.0, 3.0))
    there.undo()
    assert there.code == (1.0, 2.0)
    there.undo()
    assert there.code is None
    there.undo()
    assert there.start == Start("prior", (0,))


def test_undo_brings_back_what_snapping_changed() -> None:
    there = Exploration("runs/a", Start("prior", (0,)))
    there.move((1.0,))
    there.begin_hard(True)
    assert (there.code, there.hard) == (None, True)
    there.undo()
    assert (there.code, there.hard) == ((1.0,), False)


def test_the_history_is_bounded() -> None:
    there = Exploration("runs/a", Start("prior", (0,)))
    for step in range(2 * MAX_HISTORY):
        there.move((float(step),))
    assert len(there.history) == MAX_HISTORY


def show_view() -> None:
    import streamlit as st

    from ui.state import read_view, write_view

    view, is_new = read_view("page", ("tab",))
    st.text(f"{view.get('tab', 'first')} {is_new}")
    wanted = st.text_input("tab", key="tab")
    write_view("page", {"tab": wanted or view.get("tab", "first")})


def test_a_link_that_the_browser_has_not_replaced_yet_is_no_news() -> None:
    app = AppTest.from_function(show_view).run()
    app.text_input(key="tab").set_value("second").run()
    app.query_params["tab"] = "first"  # what a slow browser still tells
    app.run()
    assert app.text[0].value == "second False"
    app.run()  # by now it has heard
    app.query_params["tab"] = "first"  # so this is its button Back
    app.run()
    assert app.text[0].value == "first True"
