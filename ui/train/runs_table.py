"""All runs of a folder with how far they are; the table keeps the queue moving."""

from contextlib import suppress
from pathlib import Path

import pandas as pd
import streamlit as st

from dvae_core.errors import RunError
from dvae_core.jobs import (
    MAX_AT_ONCE,
    RunOverview,
    advance_queue,
    overview,
    queue_root,
    set_trainings_at_once,
    trainings_at_once,
)
from dvae_core.runs.catalog import list_runs, run_roots
from dvae_core.runs.run import State
from dvae_core.training.estimate import duration_in_words
from ui.cached import st_read_evaluation
from ui.errors import errors_shown, plain
from ui.run_picker import is_shipped
from ui.selection import current_selection
from ui.tables import choose_rows
from ui.train.view import watch
from ui.widgets import whole_number

REFRESH_SECONDS = 2.0
MAX_HEIGHT = 320
_ASKED = "train-row-asked"
_MIG_HELP = "From the evaluation under the chosen protocol; evaluate a run on Factors or Select."
ACTIVE = (State.RUNNING, State.QUEUED)


def show_runs() -> bool:
    """The table of own runs, refreshed while one of them trains or waits.

    Returns:
        Whether there is any run.
    """
    folders = {
        name: root for name, root in run_roots().items() if not is_shipped(name) and list_runs(root)
    }
    if not folders:
        return False
    name = next(iter(folders))
    if len(folders) > 1:
        name = st.selectbox("Folder", list(folders), key="train-folder", width=320)
    with errors_shown():
        advance_queue(queue_root(folders[name]))
        states = [entry.state for entry in overview(folders[name])]
        every = REFRESH_SECONDS if set(states) & set(ACTIVE) else None
        st.fragment(run_every=every)(_show_table)(name, folders[name], states)
        _show_queue(queue_root(folders[name]))
    return True


def _show_table(name: str, folder: Path, states: list[State]) -> None:
    with errors_shown():
        advance_queue(queue_root(folder))
        entries = overview(folder)
        if [entry.state for entry in entries] != states or st.session_state.pop(_ASKED, False):
            st.rerun(scope="app")
        choose_rows(
            pd.DataFrame([_row(entry) for entry in entries]),
            [
                row
                for row, entry in enumerate(entries)
                if f"{name}/{entry.run.id}" == current_selection().run
            ],
            name=f"train-table-{name}",
            take=lambda rows: _watch(name, entries, rows),
            height=min(MAX_HEIGHT, 38 + 35 * len(entries)),
            column_config={
                "run": st.column_config.ButtonColumn(
                    pinned=True,
                    alignment="left",
                    type="tertiary",
                    key=f"train-name-{name}",
                    on_click=lambda: _watch(
                        name, entries, [st.session_state[f"train-name-{name}"]["row"]]
                    ),
                ),
                "MIG": st.column_config.NumberColumn(format="%.3f", help=_MIG_HELP),
                "progress": st.column_config.ProgressColumn(format="percent", width="small"),
                "images per second": st.column_config.TextColumn(alignment="right"),
            },
        )
        for entry in entries:
            if entry.state is State.DAMAGED:
                st.warning(plain(f"{entry.run.id}: {entry.message}"), icon=":material/warning:")


def _row(entry: RunOverview) -> dict[str, object]:
    left, rate = entry.seconds_left, entry.images_per_second
    return {
        "run": entry.name,
        "state": in_words(entry),
        "progress": entry.fraction,
        "MIG": _mig(entry),
        "step": f"{entry.step:,} of {entry.steps:,}" if entry.steps else "",
        "time left": "" if left is None else duration_in_words(left),
        "images per second": "" if rate is None else f"{rate:,.0f}",
        "note": entry.message,
    }


def _mig(entry: RunOverview) -> float | None:
    if entry.state is State.DAMAGED:
        return None
    with suppress(RunError):  # a damaged evaluation is told where the scores are shown
        score = st_read_evaluation(entry.run).score("mig", current_selection().protocol)
        if score is not None and score.step == entry.step:
            return score.value
    return None


def in_words(entry: RunOverview) -> str:
    """The state of a run, with its place where it waits."""
    return entry.state if entry.position is None else f"{entry.state}, place {entry.position}"


def _watch(name: str, entries: list[RunOverview], rows: list[int]) -> None:
    if rows and rows[0] < len(entries):
        watch(f"{name}/{entries[rows[0]].run.id}")
        st.session_state[_ASKED] = True


def _show_queue(root: Path) -> None:
    def keep(number: int) -> None:
        with errors_shown():
            set_trainings_at_once(root, number)

    with st.popover("Queue", icon=":material/low_priority:"):
        whole_number(
            "Trainings at once",
            1,
            MAX_AT_ONCE,
            key=f"train-at-once-{root}",
            default=trainings_at_once(root),
            take=keep,
            help="Other trainings wait and start as soon as there is room, even when this page is "
            "closed. Trainings that run at once share the cores of this machine.",
        )
