"""The heading of a page."""

import streamlit as st


def show_title(title: str, purpose: str) -> None:
    """The one heading of its level, and a sentence on what the page is for."""
    st.title(title, anchor=False)
    st.markdown(purpose)
