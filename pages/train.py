"""Start a training, watch it, stop it, resume it."""

import streamlit as st

from dvae_core.jobs import find_training
from dvae_core.runs.run import Run
from ui.errors import errors_shown, plain
from ui.run_picker import is_shipped, show_summary
from ui.titles import show_title
from ui.train.actions import show_actions, show_import, show_notes, show_trash, show_undo
from ui.train.form import show_form
from ui.train.live import show_live
from ui.train.runs_table import show_runs
from ui.train.start import show_first_start, show_start
from ui.train.view import choose_compared, choose_view, choose_watched, plan_new


def show_empty() -> None:
    """What to do where there is no own run."""
    st.markdown("#### No run of your own yet")
    st.write(
        "A run is a trained model with its history. The first one learns the position of a disc "
        "in images of 32 x 32 pixels. You can watch it here; it continues when you close this page."
    )
    show_first_start()
    st.button("Choose the settings first", icon=":material/settings:", on_click=plan_new)


def show_run(address: str, run: Run) -> None:
    """The watched run."""
    entry = find_training(run)
    st.subheader(plain(entry.name), anchor=False)
    show_actions(address, entry)
    if problem := run.problem():
        st.error(plain(problem), icon=":material/error:")
        return
    with st.sidebar:
        show_summary(run)
    show_live(address, entry, choose_compared(address))
    if not is_shipped(address):
        show_notes(run)


show_title("Train", "Train a model in the background, watch it learn, stop it and resume it.")
if choose_view() == "new":
    show_form()
    show_start()
else:
    with errors_shown():
        show_undo()
        watched = choose_watched()
        if not show_runs():
            show_empty()
        if watched is not None:
            show_run(*watched)
        show_import()
        show_trash()
