"""Runs as one web page that opens without this app."""

from collections.abc import Sequence

import streamlit as st

from dvae_core.runs.run import Run
from dvae_core.web.page import page_html
from ui.cached import COMPUTING, st_load_model
from ui.decoders import browser_decoder


def show_page_download(runs: Sequence[Run]) -> None:
    """A button for the page of one or two runs, which is written when it is clicked."""
    if any(browser_decoder(st_load_model(run)) is None for run in runs):
        st.caption("An imported model has a network of its own, which only this app can run.")
        return

    def content() -> bytes:
        with COMPUTING:
            return page_html(runs).encode()

    name = "-and-".join(run.id for run in runs)
    st.download_button(
        "Board as a web page (HTML)",
        content,
        file_name=f"{name}.html",
        mime="text/html",
        icon=":material/html:",
        on_click="ignore",
        key=f"page-{name}",
        help="One file of 1 to 3 MB with the board, start images, mutual information and scores. "
        "It opens in any browser, without Python or a network.",
    )
