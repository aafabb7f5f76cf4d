"""What can be done with a run: stop, resume, duplicate, name, download, delete."""

from pathlib import Path

import streamlit as st

from dvae_core.errors import ConfigError
from dvae_core.exchange.archive import export_run, import_run
from dvae_core.jobs import RunOverview, queue_training, stop_training
from dvae_core.jobs.trash import delete_run, deleted_id, deleted_runs, restore_run
from dvae_core.runs.catalog import own_root, run_roots
from dvae_core.runs.run import Run, State
from dvae_core.training.extension import extend_run
from ui.errors import errors_shown, plain
from ui.expander import show_expander
from ui.routing import PAGES
from ui.run_picker import is_shipped, select_run
from ui.train.draft import apply_record
from ui.train.runs_table import ACTIVE
from ui.train.view import forget_watched, plan_new, watch_run
from ui.upload_memory import drop_uploads
from ui.widgets import parse_whole, whole_number

RESUMABLE = (State.STOPPED, State.FAILED, State.LOST)
_DELETED = "train-deleted"


def show_actions(address: str, entry: RunOverview) -> None:
    """Buttons for what the watched run allows."""
    run = entry.run
    own, whole = not is_shipped(address), entry.state is not State.DAMAGED
    trained_here = whole and run.record.imported is None
    with st.container(horizontal=True, key="train-actions"):
        if own and entry.state in ACTIVE:
            st.button(
                "Stop training" if entry.state is State.RUNNING else "Leave the queue",
                icon=":material/stop:",
                key="train-stop",
                on_click=_stop,
                args=(run,),
                help="The progress is saved, so you can resume later.",
            )
        if own and entry.state in RESUMABLE:
            st.button(
                "Resume" if entry.step else "Start",
                icon=":material/play_arrow:",
                type="primary",
                key="train-resume",
                on_click=_resume,
                args=(run,),
            )
        if (
            whole
            and run.has_model
            and st.button("Open in Explore", icon=":material/tune:", key="train-explore")
        ):
            select_run(address)
            st.switch_page(PAGES / "explore.py")
        if own and trained_here and entry.state not in ACTIVE:
            _show_extension(run)
        if trained_here:
            st.button(
                "Duplicate with changes",
                icon=":material/content_copy:",
                key="train-duplicate",
                on_click=_duplicate,
                args=(run,),
            )
        if whole:
            _show_download(run)
        if own:
            _show_deletion(entry)


def show_notes(run: Run) -> None:
    """A display name and notes for an own run."""
    with show_expander("Name and notes", "train-notes", ":material/edit_note:"), errors_shown():
        notes = run.read_notes()
        with st.form(f"train-notes-{run.path}", border=False):
            name = st.text_input("Shown as", notes.name, max_chars=80, placeholder=run.id)
            text = st.text_area("Notes", notes.notes, max_chars=10_000)
            if st.form_submit_button("Save", icon=":material/save:"):
                run.write_notes(name, text)
                st.rerun()


def show_undo() -> None:
    """The way back from the last deletion of this session."""
    deleted: Path | None = st.session_state.get(_DELETED)
    if deleted is None:
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.info(plain(f"{deleted_id(deleted)} was deleted."), icon=":material/delete:", width=420)
        st.button(
            "Undo", icon=":material/undo:", key="train-undo", on_click=restore, args=(deleted,)
        )


def restore(path: Path) -> None:
    """Take a run back from the trash and look at it."""
    if st.session_state.get(_DELETED) == path:
        del st.session_state[_DELETED]
    with errors_shown():
        watch_run(restore_run(path))


def _show_extension(run: Run) -> None:
    if not run.has_trainer_state:
        return
    with st.popover("Extend", icon=":material/more_time:"):
        more = whole_number(
            "More steps",
            1,
            10_000_000,
            key=_more_key(run),
            default=run.record.steps,
            help="The noise scale stays at its final value; the config records the extension.",
        )
        st.button(
            "Extend and resume",
            icon=":material/play_arrow:",
            key="train-extend",
            disabled=more is None,
            on_click=_extend,
            args=(run,),
        )


def _show_download(run: Run) -> None:
    st.download_button(
        "Download",
        lambda: export_run(run),
        f"{run.id}.zip",
        "application/zip",
        icon=":material/download:",
        on_click="ignore",
        key="train-download",
        help="The run as a zip file, including what resuming needs.",
    )


def _show_deletion(entry: RunOverview) -> None:
    st.button(
        "Delete",
        icon=":material/delete:",
        key="train-delete",
        disabled=entry.state is State.RUNNING,
        on_click=_delete,
        args=(entry.run,),
        help="You can undo this. Stop a running training first.",
    )


def _stop(run: Run) -> None:
    with errors_shown(), st.spinner("Saving …"):
        stop_training(run)


def _resume(run: Run) -> None:
    with errors_shown():
        queue_training(run)


def _more_key(run: Run) -> str:
    return f"train-more-{run.path}"


def _extend(run: Run) -> None:
    """Extend by the number in the field, which may be newer than the page that drew the button."""
    with errors_shown():
        more = parse_whole(st.session_state[_more_key(run)])
        if more is None:
            raise ConfigError("More steps is no whole number")
        extend_run(run, more)
        queue_training(run)


def _duplicate(run: Run) -> None:
    with errors_shown():
        apply_record(run.record)
        plan_new()


def _delete(run: Run) -> None:
    with errors_shown():
        st.session_state[_DELETED] = delete_run(run)
        forget_watched()


def show_import() -> None:
    """Upload a run that was downloaded here or elsewhere."""
    with show_expander("Import a run", "train-import", ":material/upload:"):
        st.caption("A zip file made by Download. It is checked before it is imported.")
        # Another key makes another uploader, which holds no file.
        file = st.file_uploader(
            "Zip file", type="zip", key=f"train-upload-{st.session_state.get('train-imports', 0)}"
        )
        if file is None:
            return
        with errors_shown():
            watch_run(import_run(file.getvalue(), own_root()))
            drop_uploads()
            st.session_state["train-imports"] = st.session_state.get("train-imports", 0) + 1
            st.rerun()


def show_trash() -> None:
    """Deleted runs of all folders, to be taken back."""
    own = own_root()
    folders = [folder for folder in run_roots().values() if folder == own or folder.parent == own]
    deleted = [path for folder in folders for path in deleted_runs(folder)]
    if not deleted:
        return

    def described(path: Path) -> str:
        folder = path.parent.parent
        return deleted_id(path) if folder == own else f"{folder.name}/{deleted_id(path)}"

    title = "1 deleted run" if len(deleted) == 1 else f"{len(deleted)} deleted runs"
    with show_expander(title, "train-trash-list", ":material/delete:"):
        path = st.selectbox("Deleted run", deleted, format_func=described, key="train-trash")
        st.button(
            "Restore", icon=":material/undo:", key="train-restore", on_click=restore, args=(path,)
        )
