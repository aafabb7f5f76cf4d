"""What Train shows: the runs or the form, which run, and the runs that it is compared with."""

from collections.abc import Mapping
from typing import Literal

import streamlit as st

from dvae_core.runs.catalog import all_runs
from dvae_core.runs.run import Run, State
from ui.errors import plain
from ui.link import current_view, set_view
from ui.run_picker import describe, is_shipped, run_box, select_run
from ui.selection import current_selection
from ui.view import choose_part
from ui.widgets import when_changed, widget_key

VIEWS = {"runs": "Runs", "new": "New run"}
MAX_COMPARED = 6  # beside the run itself; there are as many colours


def choose_view() -> Literal["runs", "new"]:
    """Whether the runs are looked at or a new one is planned."""
    options = {"label_visibility": "collapsed"}
    chosen = choose_part("Show", "view", VIEWS, key="train-view", default="runs", **options)
    return "new" if chosen == "new" else "runs"


def choose_watched() -> tuple[str, Run] | None:
    """The watched run with its address: the selected one, or, while nobody has selected any, the
    own run that trains or was begun last; None where there is none."""
    selection, runs = current_selection(), dict(all_runs())
    if not selection.is_chosen and (own := _most_interesting(runs)):
        select_run(own)
    address = run_box("Run", runs, selection.run if selection.is_chosen else "")
    if address is not None:
        return address, runs[address]
    if selection.is_chosen:
        st.info(
            plain(f"{describe(selection.run)} was deleted: choose another run."),
            icon=":material/link_off:",
        )
    return None


def choose_compared(address: str) -> dict[str, Run]:
    """Other runs whose curves are drawn with those of the watched run, by address."""
    runs = {other: run for other, run in all_runs() if other != address}
    wanted = [other for other in current_view().get("with", "").split(",") if other in runs]
    key = widget_key("train-with", wanted[:MAX_COMPARED])
    chosen = st.sidebar.multiselect(
        "Compare its curves with",
        list(runs),
        wanted[:MAX_COMPARED],
        format_func=describe,
        max_selections=MAX_COMPARED,
        placeholder="no other run",
        key=key,
        on_change=when_changed(key, lambda addresses: set_view(**{"with": ",".join(addresses)})),
    )
    set_view(**{"with": ",".join(chosen)})
    return {other: runs[other] for other in chosen}


def watch(address: str) -> None:
    """Look at a run, here and on every page."""
    set_view(view="")
    select_run(address)


def watch_run(run: Run) -> None:
    """Watch a run that has just been made or imported."""
    path = run.path.resolve()
    watch(next(address for address, known in all_runs() if known.path.resolve() == path))


def forget_watched() -> None:
    """Look at no run in particular."""
    selection = current_selection()
    selection.run, selection.is_chosen = "", False


def plan_new() -> None:
    """Go to the form."""
    set_view(view="new")


def _most_interesting(runs: Mapping[str, Run]) -> str | None:
    """The own run that trains, else the one that was begun last."""
    own = {
        address: run
        for address, run in runs.items()
        if not is_shipped(address) and not run.problem()
    }
    return max(
        own,
        key=lambda address: (own[address].state() is State.RUNNING, own[address].record.created_at),
        default=None,
    )
