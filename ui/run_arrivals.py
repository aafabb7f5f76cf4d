"""Runs that come from a zip file, or back from the trash."""

import streamlit as st

from dvae_core.run import own_root
from dvae_core.run_archive import import_run
from dvae_core.trash import deleted_id, deleted_runs
from ui.errors import errors_shown
from ui.run_actions import restore
from ui.training_view import watch_run


def show_import() -> None:
    """Upload a run that was downloaded here or elsewhere."""
    with st.expander("Import a run", icon=":material/upload:"):
        st.caption("A zip file as Download makes it. It is checked before anything of it is kept.")
        # Another key makes another uploader, which holds no file.
        file = st.file_uploader(
            "Zip file", type="zip", key=f"train-upload-{st.session_state.get('train-imports', 0)}"
        )
        if file is None:
            return
        with errors_shown():
            watch_run(import_run(file.getvalue(), own_root()))
            st.session_state["train-imports"] = st.session_state.get("train-imports", 0) + 1
            st.rerun()


def show_trash() -> None:
    """Deleted runs, to be taken back."""
    deleted = deleted_runs(own_root())
    if not deleted:
        return
    with st.expander(f"{len(deleted)} deleted", icon=":material/delete:"):
        path = st.selectbox("Deleted run", deleted, format_func=deleted_id, key="train-trash")
        st.button(
            "Restore", icon=":material/undo:", key="train-restore", on_click=restore, args=(path,)
        )
