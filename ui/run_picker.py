"""Choosing a run: the list in the side bar, and what a page says when there is none."""

import streamlit as st

from dvae_core.config import describe_category_counts
from dvae_core.runs.catalog import all_runs, usable_runs
from dvae_core.runs.run import Run
from ui import state
from ui.errors import plain
from ui.expander import show_expander

OPENING_RUN = "checkpoints/rooms-categorical-factor"
"""What a newcomer meets: the shipped run with most to slide."""


def choose_run() -> tuple[str, Run] | None:
    """Let a person choose among all runs with a model; None, and a word, where there is none."""
    runs = dict(usable_runs())
    for note in state.read_link(runs):
        st.info(plain(note), icon=":material/link_off:")
    if not runs:
        _show_how_to_get_a_run()
        return None
    addresses = list(runs)
    opening = OPENING_RUN if OPENING_RUN in runs else addresses[0]
    chosen = state.current_address(runs) or opening
    key = state.set_widget("run-choice", chosen)
    st.sidebar.selectbox(
        "Run",
        addresses,
        format_func=describe,
        key=key,
        on_change=state.when_changed(key, state.choose_run),
        help="Shipped runs and your own. Type to search.",
    )
    state.choose_run(chosen)
    damaged = [
        f"{address}: {problem}"
        for address, run in all_runs()
        if address not in runs and (problem := run.problem())
    ]
    if damaged:
        with (
            st.sidebar,
            show_expander(f"{len(damaged)} damaged", "damaged-runs", ":material/warning:"),
        ):
            for problem in damaged:
                st.caption(plain(problem))
    return chosen, runs[chosen]


def describe(address: str) -> str:
    """A run in a list: a shipped run says so."""
    root, _, name = address.partition("/")
    return f"{name} (shipped)" if root == "checkpoints" else name


def show_summary(run: Run) -> None:
    """How a run was made, in a few lines."""
    record = run.record
    size = f"N = {record.num_latents}"
    if record.category_counts:
        size += f" · {describe_category_counts(record.category_counts)}"
    st.caption(
        f"{record.latents} latents, {size} · {record.dataset} "
        f"{record.image_size}x{record.image_size} · {plain(record.origin)}"
    )


def _show_how_to_get_a_run() -> None:
    st.markdown("#### No run yet")
    st.write(
        "A run is a trained model with its history. This command trains one in about three minutes:"
    )
    st.code("python -m dvae_core train --preset quick --run-dir runs/first", language="bash")
    st.write("Then reload this page.")
