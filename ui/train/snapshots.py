"""Snapshots of the watched run: reconstructions, traversals and heat map at a step."""

import numpy as np
import plotly.graph_objects as go
import streamlit as st
from numpy.typing import NDArray

from dvae_core.figures.information import heatmap_width, information_heatmap
from dvae_core.figures.traversal_sheet import traversal_sheet
from dvae_core.runs.names import LatentNames
from dvae_core.runs.row_log import Row
from dvae_core.runs.run import Run, State
from dvae_core.runs.snapshot import Snapshot
from ui.charts import CHART_CONFIG, show_wide_chart
from ui.images import montage, to_png
from ui.kept import kept
from ui.latent_names import shown_names
from ui.widgets import when_changed, widget_key

# Rows of the heat map: what carries nothing only makes it long.
MAX_LATENTS = 12


def show_snapshots(address: str, run: Run, scores: list[Row]) -> None:
    """The newest snapshot, or the one that was chosen.

    Args:
        address: of the run.
        run: the run.
        scores: rows of its scores so far.

    Raises:
        RunError: the snapshot is damaged.
    """
    steps = run.snapshot_steps()
    if not steps:
        trains = run.state() in (State.RUNNING, State.QUEUED)
        st.caption(
            "The first pictures appear soon after the training starts."
            if trains and run.record.snapshot_every
            else "This training took no pictures."
        )
        return
    step = _choose_step(address, steps)
    # The pictures of a step are the same whenever they are taken, unless this is another run.
    names = shown_names(run)
    modified_at = run.record.created_at.isoformat()
    mig = next((row["mig"] for row in scores if row["step"] == step and "mig" in row), None)
    left, right = st.columns(2)
    with left:
        st.image(
            _reconstructions(str(run.path), step, modified_at),
            "Top: images of the data set. Bottom: their reconstructions.",
            width="stretch",
        )
        st.image(
            _traversals(str(run.path), step, modified_at, names),
            "Traversals of the latents with the highest KL, from the first image.",
            width="stretch",
        )
    with right:
        figure = _heatmap(str(run.path), step, modified_at, names)
        if figure is None:
            st.caption("The data set has no factors, so there is no heat map.")
        else:
            num_factors = len(_read(str(run.path), step, modified_at).factor_names)
            show_wide_chart(
                figure,
                heatmap_width(num_factors, num_bars=1, latent_names=names),
                key="train-information",
                config=CHART_CONFIG,
            )
            st.caption(
                "Mutual information between latents and factors, 2,048 points, 20 bins. "
                + (f"MIG {mig:.3f}." if mig is not None else "")
            )


def _choose_step(address: str, steps: list[int]) -> int:
    """The newest step, unless a person has chosen an earlier one that is still kept."""
    chosen = f"{address}-snapshot"
    step = st.session_state.get(chosen)
    if step not in steps:
        step = steps[-1]
    if len(steps) == 1:
        return step
    key = widget_key("train-snapshot", step)

    def keep(value: int) -> None:
        st.session_state[chosen] = None if value == steps[-1] else value

    return st.select_slider(
        "Snapshot",
        steps,
        step,
        format_func=lambda step: f"step {step:,}",
        key=key,
        on_change=when_changed(key, keep),
        help="At the right end, the page follows the newest snapshot.",
    )


@kept(None)
def _read(path: str, step: int, modified_at: str) -> Snapshot:
    return Run(path).read_snapshot(step)


@kept(None)
def _reconstructions(path: str, step: int, modified_at: str) -> bytes:
    snapshot = _read(path, step, modified_at)
    return to_png(montage(np.stack([snapshot.images, snapshot.reconstructions])), 2)


@kept(None)
def _traversals(path: str, step: int, modified_at: str, names: LatentNames) -> bytes:
    snapshot = _read(path, step, modified_at)
    labels = [f"{names.short_words(i)}   {snapshot.kl[i]:.2f} nats" for i in snapshot.latents]
    return to_png(traversal_sheet(snapshot.traversals, labels))


@kept(None)
def _heatmap(path: str, step: int, modified_at: str, names: LatentNames) -> go.Figure | None:
    snapshot = _read(path, step, modified_at)
    if not snapshot.factor_names:
        return None
    # A fixed order and a fixed range of colours, so that what changes is what was learnt.
    busiest = sorted(np.argsort(-snapshot.kl, kind="stable")[:MAX_LATENTS].tolist())
    return information_heatmap(
        _shares(snapshot),
        snapshot.factor_names,
        busiest,
        unit="share of entropy",
        bars={"KL, nats": snapshot.kl.astype(np.float64)},
        latent_names=names,
    )


def _shares(snapshot: Snapshot) -> NDArray[np.float64]:
    return np.asarray(snapshot.information / np.maximum(snapshot.factor_entropy, 1e-9), np.float64)
