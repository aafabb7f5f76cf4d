"""What Train shows: the runs or the form, which run, and the link that says so."""

from collections.abc import Mapping
from typing import Literal

import streamlit as st

from dvae_core.runs.catalog import all_runs
from dvae_core.runs.run import Run, State
from ui import state
from ui.errors import plain
from ui.run_picker import describe

PAGE = "train"
NAMES = ("view", "run", "with")
VIEWS = {"runs": "Runs", "new": "New run"}
SHIPPED = "checkpoints/"
MAX_COMPARED = 7


def choose_view() -> Literal["runs", "new"]:
    """Whether the runs are looked at or a new one is planned."""
    state.read_view(PAGE, NAMES)
    view = _view().get("view", "")
    key = state.set_widget("train-view", view if view in VIEWS else "runs")
    chosen = st.segmented_control(
        "Look at",
        list(VIEWS),
        format_func=VIEWS.__getitem__,
        key=key,
        required=True,
        label_visibility="collapsed",
        on_change=state.when_changed(key, _show),
    )
    if chosen == "new":
        state.write_view(PAGE, {**_view(), "view": "new"})
        return "new"
    return "runs"


def choose_watched() -> tuple[str, Run] | None:
    """The watched run with its address; None where there is none."""
    runs = dict(all_runs())
    view = _view()
    address = view.get("run")
    if address is not None and address not in runs:
        st.info(
            plain(f"The run “{address[:80]}” was not found. It may have been deleted."),
            icon=":material/link_off:",
        )
    if address not in runs:
        address = _most_interesting(runs)
    key = state.set_widget("train-run", address)
    st.sidebar.selectbox(
        "Run",
        list(runs),
        index=None if address is None else 0,
        format_func=describe,
        placeholder="choose one",
        key=key,
        on_change=state.when_changed(key, watch),
        help="Your own runs and the shipped ones. Type to search.",
    )
    if address is None:
        state.write_view(PAGE, {})
        return None
    state.write_view(PAGE, {**_view(), "run": address})
    return address, runs[address]


def choose_compared(address: str) -> dict[str, Run]:
    """Other runs whose curves are drawn with those of the watched run, by address."""
    runs = {other: run for other, run in all_runs() if other != address}
    wanted = [other for other in _view().get("with", "").split(",") if other in runs]
    key = state.set_widget("train-with", wanted[:MAX_COMPARED])
    chosen = st.sidebar.multiselect(
        "Compare its curves with",
        list(runs),
        format_func=describe,
        max_selections=MAX_COMPARED,
        placeholder="no other run",
        key=key,
        on_change=state.when_changed(key, _compare),
    )
    link = {"run": address}
    if chosen:
        link["with"] = ",".join(chosen)
    state.write_view(PAGE, link)
    return {other: runs[other] for other in chosen}


def watch(address: str) -> None:
    """Look at a run, here and on the pages to come."""
    _set({"run": address, "with": _view().get("with", "")})
    state.choose_run(address)


def watch_run(run: Run) -> None:
    """Watch a run that has just been made or imported."""
    path = run.path.resolve()
    watch(next(address for address, known in all_runs() if known.path.resolve() == path))


def forget_watched() -> None:
    """Look at no run in particular."""
    _set({"with": _view().get("with", "")})


def plan_new() -> None:
    """Go to the form."""
    _show("new")


def is_shipped(address: str) -> bool:
    """Whether a run belongs to this software: then nothing here changes it."""
    return address.startswith(SHIPPED)


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


def _view() -> dict[str, str]:
    return state.current_view(PAGE)


def _set(view: dict[str, str]) -> None:
    state.remember_view(PAGE, {name: text for name, text in view.items() if text})


def _show(view: str) -> None:
    _set({**_view(), "view": view if view == "new" else ""})


def _compare(addresses: list[str]) -> None:
    _set({**_view(), "with": ",".join(addresses)})
