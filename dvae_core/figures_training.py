"""Plotly figures of trainings: numbers in, a figure out."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from dvae_core.curves import Floats, smooth, thin
from dvae_core.figures import ACCENT, TEMPLATE

# Tell apart on light and on dark ground; the first is the accent of all figures.
RUN_COLORS = (ACCENT, "#e07b39", "#8a6fb8", "#5a9e4b", "#c94f6d", "#b59a2b", "#6b8fd6", "#8c7a6b")


@dataclass(frozen=True)
class RunCurve:
    """One quantity of one run.

    Attributes:
        name: of the run, for legend and hover.
        steps: ascending, (P,).
        values: (P,).
    """

    name: str
    steps: Floats
    values: Floats


def curve_figure(
    curves: Sequence[RunCurve],
    *,
    label: str,
    smoothing: float = 0.0,
    logarithmic: bool = False,
    bounds: tuple[float, float] | None = None,
    markers: bool = False,
) -> go.Figure:
    """A quantity over the steps of one run, or of several laid over each other.

    Args:
        curves: of any length, 0 included; each is thinned to what a screen shows.
        label: the quantity and its unit.
        smoothing: weight of `smooth`; above 0 the raw curve stays behind, faint.
        logarithmic: scale of the values, on which those of 0 and below cannot be drawn.
        bounds: of the values' axis, for a quantity that has some; linear.
        markers: show each point, for few of them.
    """
    figure = go.Figure()
    several = len(curves) > 1
    for index, curve in enumerate(curves):
        if not len(curve.steps):
            continue  # its colour stays its own
        color = RUN_COLORS[index % len(RUN_COLORS)]
        if smoothing > 0:
            figure.add_trace(_line(curve, curve.values, color, 0.25, logarithmic, in_legend=False))
        smoothed = smooth(curve.values, smoothing)
        trace = _line(curve, smoothed, color, 1.0, logarithmic, in_legend=several)
        figure.add_trace(trace.update(mode="lines+markers" if markers else "lines"))
    figure.update_xaxes(title_text="step", rangemode="tozero")
    # The label stands above: sideways it would take a third of a narrow screen's height.
    figure.update_yaxes(type="log" if logarithmic else "linear")
    if bounds is not None and not logarithmic:
        figure.update_yaxes(range=list(bounds))
    figure.update_layout(
        template=TEMPLATE,
        title={"text": label, "font": {"size": 14}},
        height=280 + (20 * len(curves) if several else 0),
        margin={"l": 10, "r": 10, "t": 36, "b": 10},
        dragmode=False,
        hovermode="x unified" if several else "closest",
        legend={"orientation": "h", "y": -0.4, "x": 0, "yanchor": "top"},
    )
    return figure


def _line(
    curve: RunCurve,
    values: Floats,
    color: str,
    opacity: float,
    logarithmic: bool,
    in_legend: bool,
) -> go.Scatter:
    steps, shown = thin(curve.steps, values)
    if logarithmic:
        shown = np.where(shown > 0, shown, np.nan)  # a gap in the line
    is_faint = opacity < 1
    return go.Scatter(
        x=steps,
        y=shown,
        name=curve.name,
        mode="lines",
        line={"color": color, "width": 1.2 if is_faint else 2.2},
        opacity=opacity,
        showlegend=in_legend,
        hoverinfo="skip" if is_faint else None,
        hovertemplate=None
        if is_faint
        else "step %{x:,.0f}: %{y:.4g}<extra>%{fullData.name}</extra>",
    )
