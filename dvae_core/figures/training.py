"""Plotly figures of training curves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray
from scipy.signal import lfilter

from dvae_core.figures.style import PALETTE, literal, styled

Floats = NDArray[np.float64]

# Two for each pixel of a wide chart.
MAX_POINTS = 2_000


def series(rows: Sequence[Mapping[str, float]], name: str) -> tuple[Floats, Floats]:
    """Steps and values (P,) of one column of rows; rows without it are skipped."""
    pairs = [(row["step"], row[name]) for row in rows if name in row]
    steps, values = np.array(pairs, dtype=np.float64).reshape(-1, 2).T
    return steps, values


def downsample(
    steps: Floats, values: Floats, max_points: int = MAX_POINTS
) -> tuple[Floats, Floats]:
    """At most `max_points` points of a curve (P,), chosen so that it looks the same.

    Keeps the first and last point, and the minimum and maximum of each of the equal buckets between
    them, so that no spike is lost.

    Args:
        steps: ascending, (P,).
        values: (P,), finite.
        max_points: at least 4.
    """
    if len(values) <= max_points:
        return steps, values
    last = len(values) - 1
    edges = np.linspace(1, last, (max_points - 2) // 2 + 1).astype(int)
    kept = {0, last}
    for begin, end in pairwise(edges):
        bucket = values[begin:end]
        kept |= {int(begin + bucket.argmin()), int(begin + bucket.argmax())}
    indices = sorted(kept)
    return steps[indices], values[indices]


def smooth(values: Floats, weight: float) -> Floats:
    """Exponential moving average of a curve (P,), with bias correction at the start.

    s_t = (1 - w) * sum over i of w^i v_(t-i), divided by the sum of these weights, 1 - w^(t+1), so
    that a constant stays constant. For 1, 3 and w = 0.5: s = 1, (0.25 * 1 + 0.5 * 3) / 0.75 = 2.33.

    Args:
        values: (P,), finite.
        weight: w of earlier values, in [0, 1); 0 changes nothing.
    """
    if not 0 <= weight < 1:
        raise ValueError(f"weight is {weight}, but must lie in [0, 1)")
    sums = lfilter([1 - weight], [1, -weight], values)
    return sums / (1 - weight ** np.arange(1, len(values) + 1))


@dataclass(frozen=True)
class RunCurve:
    """One quantity of one run.

    Attributes:
        name: of the run, for legend and hover text.
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
    unit: str = "",
    smoothing: float = 0.0,
    logarithmic: bool = False,
    bounds: tuple[float, float] | None = None,
    markers: bool = False,
) -> go.Figure:
    """A quantity over the training steps of one or several runs.

    Args:
        curves: of any length, also 0; long ones are downsampled.
        label: the quantity, the title of the figure.
        unit: its unit, below the title.
        smoothing: weight of `smooth`; above 0 the raw curve is drawn faintly as well.
        logarithmic: use a log scale, which leaves gaps at values of 0 and below.
        bounds: range of a linear y axis.
        markers: draw each point.
    """
    figure = go.Figure()
    several = len(curves) > 1
    for index, curve in enumerate(curves):
        if not len(curve.steps):
            continue  # and leave its colour unused
        color = PALETTE[index % len(PALETTE)]
        if smoothing > 0:
            figure.add_trace(_line(curve, curve.values, color, 0.25, logarithmic, in_legend=False))
        smoothed = smooth(curve.values, smoothing)
        trace = _line(curve, smoothed, color, 1.0, logarithmic, in_legend=several)
        figure.add_trace(trace.update(mode="lines+markers" if markers else "lines"))
    figure.update_xaxes(title_text="step", rangemode="tozero")
    # The label is the title: along the axis it would take a third of a narrow screen's height.
    figure.update_yaxes(type="log" if logarithmic else "linear")
    if bounds is not None and not logarithmic:
        figure.update_yaxes(range=list(bounds))
    return styled(
        figure,
        height=280 + (20 * len(curves) if several else 0),
        top=36 + (28 if unit else 0),
        title={
            "text": literal(label),
            "font": {"size": 14},
            "subtitle": {"text": literal(unit), "font": {"size": 12}},
        },
        hovermode="x unified" if several else "closest",
        legend={"orientation": "h", "y": -0.4, "x": 0, "yanchor": "top"},
    )


def _line(
    curve: RunCurve,
    values: Floats,
    color: str,
    opacity: float,
    logarithmic: bool,
    in_legend: bool,
) -> go.Scatter:
    steps, shown = downsample(curve.steps, values)
    if logarithmic:
        shown = np.where(shown > 0, shown, np.nan)  # a gap in the line
    hover = {"hovertemplate": "step %{x:,.0f}: %{y:.4g}<extra>%{fullData.name}</extra>"}
    return go.Scatter(
        x=steps,
        y=shown,
        name=literal(curve.name),
        mode="lines",
        line={"color": color, "width": 1.2 if opacity < 1 else 2.2},
        opacity=opacity,
        showlegend=in_legend,
        **({"hoverinfo": "skip"} if opacity < 1 else hover),
    )
