"""An expander that stays as a person left it."""

import streamlit as st
from streamlit.delta_generator import DeltaGenerator


def show_expander(label: str, key: str, icon: str | None = None) -> DeltaGenerator:
    """A closed `st.expander`; the server remembers when a person opens it.

    Streamlit leaves that to the browser by default, which forgets it where the expander is drawn
    again in another place: an opened one then closes under the person's hand.
    """
    return st.expander(label, key=key, icon=icon, on_change="rerun")
