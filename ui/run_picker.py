"""Choosing a run and a protocol: the boxes in the side bar, and what a page says without a run."""

from collections.abc import Mapping
from functools import partial

import streamlit as st

from dvae_core.config import describe_category_counts
from dvae_core.evaluation.results import ProtocolName
from dvae_core.runs.catalog import all_runs, usable_runs
from dvae_core.runs.run import Run
from dvae_core.system.shipped import app_folder
from ui.errors import plain
from ui.expander import show_expander
from ui.selection import current_selection
from ui.widgets import when_changed, widget_key

OPENING_RUN = "checkpoints/rooms-categorical-factor"
"""The run that a newcomer sees: the shipped one with most to slide."""
PROTOCOLS: dict[ProtocolName, str] = {
    "paper": "paper: mean codes, 20 bins",
    "native": "native: categories as they are",
}


def choose_run() -> tuple[str, Run] | None:
    """Let a person choose among all runs with a model; None, with the reason, where the chosen one
    has none or there is no run at all."""
    runs = dict(usable_runs())
    if not runs:
        _show_how_to_get_a_run()
        return None
    selection = current_selection()
    if not selection.run:
        selection.run = OPENING_RUN if OPENING_RUN in runs else next(iter(runs))
    address = run_box("Run", runs, selection.run)
    damaged = [
        f"{address}: {problem}"
        for address, run in all_runs()
        if address not in runs and not is_record(address) and (problem := run.problem())
    ]
    if damaged:
        with (
            st.sidebar,
            show_expander(f"{len(damaged)} damaged", "damaged-runs", ":material/warning:"),
        ):
            for problem in damaged:
                st.caption(plain(problem))
    if address is None:
        show_unusable(selection.run)
        return None
    return address, runs[address]


def run_box(label: str, runs: Mapping[str, Run], chosen: str) -> str | None:
    """The box that shows the selected run, of those that the page can use, and changes the
    selection; empty where it is none of them."""
    shown = chosen if chosen in runs else None
    key = widget_key("run-choice", shown, [describe(address) for address in runs])
    st.sidebar.selectbox(
        label,
        list(runs),
        index=None if shown is None else list(runs).index(shown),
        format_func=describe,
        placeholder="choose a run",
        key=key,
        on_change=when_changed(key, select_run),
        help="Every page shows this run. Type to search.",
    )
    return shown


def select_run(address: str | None) -> None:
    """Select a run. It takes over the start and the factor where the data set stays the same."""
    if address is None:
        return
    selection, runs = current_selection(), dict(all_runs())
    before, after = runs.get(selection.run), runs.get(address)
    if before and after and not before.problem() and not after.problem():
        old, new = selection.exploration(), selection.exploration(address)
        shapes = [(run.record.dataset, run.record.image_shape) for run in (before, after)]
        if shapes[0] == shapes[1]:
            if old.start is not None and new.start != old.start:
                new.begin(old.start)
            new.factor = old.factor
    selection.choose(address)


def choose_protocol() -> ProtocolName:
    """The protocol of the scores, the same on every page."""
    selection = current_selection()
    key = widget_key("protocol", selection.protocol)
    return st.radio(
        "Protocol",
        PROTOCOLS,
        index=list(PROTOCOLS).index(selection.protocol),
        format_func=PROTOCOLS.__getitem__,
        key=key,
        on_change=when_changed(key, partial(setattr, selection, "protocol")),
        help="paper: mean codes, in 20 bins where information is counted. native: the most likely "
        "categories, with a correction for bias, and predictors are tested on held-out images; "
        "Gaussian codes keep their bins.",
    )


def describe(address: str) -> str:
    """A run in a list; a shipped one says so."""
    name = address.partition("/")[2]
    return f"{name} (shipped)" if is_shipped(address) else name


def is_shipped(address: str) -> bool:
    """Whether the run at an address, or a folder of runs, came with the app: nothing changes it."""
    return address.partition("/")[0] == "checkpoints" or is_record(address)


def is_record(address: str) -> bool:
    """Whether the run at an address, or a folder of runs, is a shipped one without weights."""
    return address.partition("/")[0] == "studies"


def show_summary(run: Run) -> None:
    """How a run was made, in a few lines."""
    record = run.record
    size = f"N = {record.num_latents}"
    if record.category_counts:
        size += f" · {describe_category_counts(record.category_counts)}"
    status = run.status()
    reached = "" if status.step >= record.steps else f" · at step {status.step:,}"
    st.caption(
        f"{record.latents} latents, {size} · {plain(record.dataset)} "
        f"{'x'.join(map(str, record.image_shape[1:]))} · {plain(record.origin)}"
        + (reached if record.imported is None else "")
    )


def show_unusable(address: str) -> None:
    """Why a page cannot show the selected run."""
    run = dict(all_runs()).get(address)
    if run is None:
        st.info(plain(f"{describe(address)} is no longer here: choose another run."))
    elif problem := run.problem():
        st.error(plain(f"{describe(address)} is damaged: {problem}."), icon=":material/error:")
    elif not run.status().weights_kept:
        words = plain(f"{describe(address)} is a record: it has scores and curves, but no weights.")
        sweep = f"sweeps/{run.path.parent.name}.toml"
        if (app_folder() / sweep).is_file():
            words += f" `python -m dvae_core sweep {sweep}` trains it again."
        st.info(words, icon=":material/inventory_2:")
    else:
        st.info(
            plain(f"{describe(address)} has no trained model yet: watch it on Train."),
            icon=":material/hourglass:",
        )


def _show_how_to_get_a_run() -> None:
    st.markdown("#### No run yet")
    st.write(
        "A run is a trained model with its history. This command trains one in about three minutes:"
    )
    st.code("python -m dvae_core train --preset quick --run-dir runs/first", language=None)
    st.write("Then reload this page.")
