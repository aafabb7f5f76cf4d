"""Curves of the watched run and of those it is compared with, drawn again only where they grew."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import plotly.graph_objects as go
import streamlit as st

from dvae_core.config import FAMILIES
from dvae_core.figures.training import RunCurve, curve_figure, series
from dvae_core.runs.row_log import Row, RowTail
from dvae_core.runs.run import Run
from ui.charts import CHART_CONFIG
from ui.kept import kept

COLUMNS = 3
_TAILS = "train-tails"


class Quantity(NamedTuple):
    """One chart: a column of metrics.jsonl or, where `is_score`, of scores.jsonl."""

    label: str
    unit: str = ""
    is_score: bool = False
    can_be_logarithmic: bool = True
    bounds: tuple[float, float] | None = None


QUANTITIES = {
    "reconstruction": Quantity("reconstruction", "nats per image"),
    "kl": Quantity("KL", "nats per image"),
    "total_correlation": Quantity("total correlation", "nats per image"),
    "mig": Quantity("MIG (paper, 2,048 points)", is_score=True, bounds=(0.0, 1.0)),
    "straight_through_gap": Quantity("straight-through gap", "nats per image", is_score=True),
    "noise_scale": Quantity("noise scale", can_be_logarithmic=False),
    "capacity": Quantity("capacity", "nats", can_be_logarithmic=False),
    "capacity_distance": Quantity("distance from capacity", "nats"),
    "dip": Quantity("DIP penalty", "nats per image"),
    "codebook": Quantity("codebook loss", "nats per image"),
    "commitment": Quantity("commitment loss", "nats per image"),
    "multiinformation": Quantity("multiinformation", "nats"),
    "hessian": Quantity("Hessian penalty", "nats per image"),
    "active_latents": Quantity("active latents", is_score=True, can_be_logarithmic=False),
}


class LogTails(NamedTuple):
    """What was read of the two logs of a run so far."""

    metrics: RowTail
    scores: RowTail

    def rows(self, quantity: Quantity) -> list[Row]:
        """Of the log that has the quantity."""
        return (self.scores if quantity.is_score else self.metrics).rows


def read_on(runs: Sequence[Run]) -> list[LogTails]:
    """What the logs of some runs hold, of which only what is new is read; other runs are forgotten.

    Raises:
        RunError: a log is damaged.
    """
    before: dict[str, LogTails] = st.session_state.get(_TAILS, {})
    tails = {
        str(run.path): before.get(str(run.path))
        or LogTails(RowTail(run.metrics), RowTail(run.scores))
        for run in runs
    }
    for known in tails.values():
        known.metrics.update()
        known.scores.update()
    st.session_state[_TAILS] = tails
    return list(tails.values())


def show_curves(runs: Mapping[str, Run], tails: Sequence[LogTails]) -> None:
    """A chart for each quantity that the first of the runs has, the others laid over it.

    Args:
        runs: by what to call them.
        tails: of each.
    """
    first = next(iter(runs.values()))
    shown = [
        name
        for name, quantity in QUANTITIES.items()
        if any(name in row for row in tails[0].rows(quantity)[-1:]) and _has(first, name)
    ]
    if not shown:
        st.caption("No values yet: the first appear after a few steps.")
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        smoothing = st.slider("Smoothing", 0.0, 0.98, 0.0, 0.02, key="train-smoothing", width=240)
        span = _choose_span(first)
        logarithmic = st.toggle("Log scale", key="train-log")
    for start in range(0, len(shown), COLUMNS):
        for column, name in zip(st.columns(COLUMNS), shown[start : start + COLUMNS], strict=False):
            quantity = QUANTITIES[name]
            rows = [
                known.rows(quantity) if _has(run, name) else []
                for run, known in zip(runs.values(), tails, strict=True)
            ]
            with column:
                st.plotly_chart(
                    _figure(
                        name,
                        span,
                        smoothing,
                        logarithmic and quantity.can_be_logarithmic,
                        tuple(map(_version, rows)),
                        tuple(runs),
                        rows,
                    ),
                    key=f"train-curve-{name}",
                    config=CHART_CONFIG,
                )


def _choose_span(run: Run) -> tuple[float, float]:
    """The first and the last step to look at; at the right end there is none, for longer runs.

    A chart that is zoomed into in the browser forgets it with every new point; this is kept.
    """
    steps = run.record.steps
    first, last = st.slider(
        "Steps",
        0,
        steps,
        (0, steps),
        key=f"train-span-{run.path}-{steps}",
        width=320,
        help="The range of steps that the curves show. At the right end they follow the training.",
    )
    return first, math.inf if last == steps else last


def _has(run: Run, name: str) -> bool:
    """Whether a run heeds a quantity: the noise scale is in the log of every family."""
    return name != "noise_scale" or "noise_scale_end" in FAMILIES[run.record.latents].settings


def _version(rows: Sequence[Row]) -> tuple[int, tuple[float, ...]]:
    return len(rows), tuple(rows[-1].values()) if rows else ()


@kept(None)
def _figure(
    name: str,
    span: tuple[float, float],
    smoothing: float,
    logarithmic: bool,
    versions: tuple[tuple[int, tuple[float, ...]], ...],
    titles: tuple[str, ...],
    _rows: Sequence[Sequence[Row]],
) -> go.Figure:
    quantity = QUANTITIES[name]
    curves = [
        _cut(RunCurve(title, *series(rows, name)), *span)
        for title, rows in zip(titles, _rows, strict=True)
    ]
    figure = curve_figure(
        curves,
        label=quantity.label,
        unit=quantity.unit,
        smoothing=smoothing,
        logarithmic=logarithmic,
        bounds=quantity.bounds,
        markers=quantity.is_score,
    )
    if not quantity.can_be_logarithmic:
        figure.update_yaxes(rangemode="tozero")
    if span[0] > 0:
        figure.update_xaxes(rangemode="normal")
    return figure


def _cut(curve: RunCurve, first: float, last: float) -> RunCurve:
    is_shown = (first <= curve.steps) & (curve.steps <= last)
    return RunCurve(curve.name, curve.steps[is_shown], curve.values[is_shown])
