"""The pages of the app, and the way to them."""

from typing import TYPE_CHECKING

import streamlit as st

if TYPE_CHECKING:
    from streamlit.navigation.page import Page


def navigate() -> "Page":
    """The page that was asked for; app.py runs it."""
    st.session_state["routed"] = True
    return _navigation()


def require_router() -> None:
    """Begin a page: run it anew through app.py where it came without.

    Before a server has met `st.navigation` for the first time, Streamlit takes a page that is
    opened by its own address for a script of its older kind, without the router around it.
    """
    if not st.session_state.get("routed"):
        _navigation()
        st.rerun()


def _navigation() -> "Page":
    return st.navigation(
        [
            st.Page("pages/explore.py", title="Explore", icon=":material/tune:", default=True),
            st.Page("pages/compare.py", title="Compare", icon=":material/compare:"),
            st.Page("pages/factors.py", title="Factors", icon=":material/grid_on:"),
            st.Page("pages/train.py", title="Train", icon=":material/model_training:"),
            st.Page("pages/select.py", title="Select", icon=":material/checklist:"),
            st.Page("pages/method.py", title="Method", icon=":material/school:"),
            st.Page("pages/data.py", title="Data", icon=":material/photo_library:"),
            st.Page("pages/models.py", title="Models", icon=":material/swap_horiz:"),
        ]
    )
