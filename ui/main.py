"""What the app runs for a session: the page that was asked for."""

from pathlib import Path

import streamlit as st
from streamlit.runtime.scriptrunner import StopException

from dvae_core.runs.catalog import all_runs
from ui.errors import errors_shown, plain
from ui.link import join_history, read_link, write_link
from ui.page_errors import page_errors_shown
from ui.routing import navigate
from ui.run_picker import describe
from ui.selection import current_selection
from ui.training_badge import show_training_badge
from ui.widgets import enter_page

# A file of our own: a named icon would be asked of a server elsewhere.
icon = Path(__file__).with_name("icon.png")
st.set_page_config(page_icon=str(icon), layout="wide")  # before a page brings a named one
page = navigate()
st.set_page_config(page_title=f"{page.title} · dVAE Explorer")
st.html(Path(__file__).with_name("page.css"))
join_history()
spoke = enter_page(page.url_path)
notes = st.session_state.setdefault("link-notes", [])
notes += read_link(dict(all_runs()), spoke=spoke)
place_for_notes = st.container()


def finish() -> None:
    """Say what the page shows: in the link, and in place of what a link could not restore."""
    write_link()
    run = current_selection().run
    for note in notes:
        instead = f" Showing {describe(run)} instead." if run and "names" in note else ""
        place_for_notes.info(plain(note + instead), icon=":material/link_off:")
    notes.clear()


if page.url_path != "train":
    with errors_shown():
        show_training_badge()
write_link()  # at once, so that a reload during a long run finds it
try:
    with page_errors_shown(page.title):
        page.run()
except StopException:
    finish()
    raise
finish()
