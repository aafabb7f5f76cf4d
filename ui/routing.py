"""The pages of the app, and the way to them."""

from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

PAGES = Path(__file__).resolve().parent.parent / "pages"

if TYPE_CHECKING:
    from streamlit.navigation.page import Page


def navigate() -> "Page":
    """The page that was asked for, to be run."""
    return st.navigation(
        [
            st.Page(PAGES / "explore.py", title="Explore", icon=":material/tune:", default=True),
            st.Page(PAGES / "compare.py", title="Compare", icon=":material/compare:"),
            st.Page(PAGES / "factors.py", title="Factors", icon=":material/grid_on:"),
            st.Page(PAGES / "latents.py", title="Latents", icon=":material/view_module:"),
            st.Page(PAGES / "images.py", title="Images", icon=":material/table_view:"),
            st.Page(PAGES / "train.py", title="Train", icon=":material/model_training:"),
            st.Page(PAGES / "select.py", title="Select", icon=":material/checklist:"),
            st.Page(PAGES / "method.py", title="Method", icon=":material/school:"),
            st.Page(PAGES / "data.py", title="Data", icon=":material/photo_library:"),
            st.Page(PAGES / "models.py", title="Models", icon=":material/swap_horiz:"),
        ]
    )
