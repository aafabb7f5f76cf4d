"""Number fields hold what they show, on every page."""

import re
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from ui.widgets import parse_whole

REPOSITORY = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("5", 5),
        (" 1,000 ", 1000),
        ("-3", -3),
        ("1.5", None),
        ("", None),
        ("1e3", None),
        ("²", None),
    ],
)
def test_a_text_is_a_whole_number_or_none(text: str, number: int | None) -> None:
    assert parse_whole(text) == number


def test_no_page_has_a_field_that_keeps_a_refused_number_to_the_browser() -> None:
    sources = [*(REPOSITORY / "pages").rglob("*.py"), *(REPOSITORY / "ui").rglob("*.py")]
    users = [p.name for p in sources if re.search(r"st\.number_input\(", p.read_text("utf-8"))]
    assert users == []


def show_box() -> None:
    from functools import partial

    import streamlit as st

    from ui.widgets import choose, enter_page

    enter_page("page")
    named = st.session_state.get("named", "")
    words = {0: "latent 0", 1: f"latent 1 {named}".strip()}
    chosen = st.session_state.setdefault("chosen", 1)
    choose(
        "Latent", words, chosen, name="latent", take=partial(setattr, st.session_state, "chosen")
    )
    st.text(str(chosen))


def test_a_box_whose_words_change_is_another_widget() -> None:
    """A browser sends the words that it shows, which are none of the new ones."""
    app = AppTest.from_function(show_box).run()
    before = app.selectbox[0].key
    app.session_state["named"] = "hue"
    app.run()
    assert app.selectbox[0].key != before
    assert app.selectbox[0].value == 1
    assert app.text[0].value == "1"
    app.selectbox[0].set_value(0).run()
    assert app.text[0].value == "0"
