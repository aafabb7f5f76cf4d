"""What trains at the moment, said on every page."""

from contextlib import suppress

import streamlit as st

from dvae_core.errors import RunError
from dvae_core.jobs import RunOverview, overview
from dvae_core.runs.catalog import own_root
from dvae_core.runs.run import State
from ui.routing import PAGES

REFRESH_SECONDS = 5.0


def show_training_badge() -> None:
    """A link to Train in the side bar while an own run trains."""
    if _training():
        with st.sidebar:
            st.fragment(run_every=REFRESH_SECONDS)(_show)()


def _show() -> None:
    training = _training()
    if training:
        first, others = training[0], len(training) - 1
        more = f" and {others} more" if others else ""
        st.page_link(
            PAGES / "train.py",
            label=f"Training {first.fraction:.0%}{more}: {first.name}",  # its end may be cut
            icon=":material/model_training:",
        )


def _training() -> list[RunOverview]:
    with suppress(RunError):  # Train says what is damaged
        return [entry for entry in overview(own_root()) if entry.state is State.RUNNING]
    return []
