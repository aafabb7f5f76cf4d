"""Plotly figures of many runs: numbers in, a figure out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from dvae_core.figures.style import COLOR_SCALE, TEMPLATE

Floats = NDArray[np.float64]

# Told apart on light and dark ground, and by most who see few colours; after Okabe and Ito.
GROUP_COLORS = ("#2a88a8", "#e07b39", "#8a6fb8", "#4d9a5b", "#c2577f", "#b59a2c", "#5f7fd0")
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "x", "star")
_MARGIN = {"l": 10, "r": 10, "t": 36, "b": 10}
_LEGEND = {"orientation": "h", "y": -0.22, "yanchor": "top", "x": 0}


@dataclass(frozen=True)
class Points:
    """One group of runs in `gap_scatter`.

    Attributes:
        group: in words.
        x: (runs,).
        y: (runs,).
        ids: of the runs.
        picked: the run that the gap picks, or "".
    """

    group: str
    x: Floats
    y: Floats
    ids: tuple[str, ...]
    picked: str = ""


@dataclass(frozen=True)
class Line:
    """One group of runs in `band_lines`: a middle and a range.

    Attributes:
        group: in words.
        x: (P,).
        middle: (P,).
        low: (P,).
        high: (P,).
    """

    group: str
    x: Floats
    middle: Floats
    low: Floats
    high: Floats


@dataclass(frozen=True)
class Axis:
    """One axis of `parallel_coordinates`.

    Attributes:
        label: of the axis.
        values: numbers or texts, one for each run.
    """

    label: str
    values: Sequence[float | str]


def gap_scatter(
    groups: Sequence[Points], x_label: str, y_label: str, *, legend: bool = True
) -> go.Figure:
    """A point for each run, a colour and a sign for each group; the picked ones in a ring.

    `customdata` of a point is (run id,).
    """
    figure = go.Figure()
    for index, points in enumerate(groups):
        color = GROUP_COLORS[index % len(GROUP_COLORS)]
        picked = [run_id == points.picked for run_id in points.ids]
        figure.add_trace(
            go.Scatter(
                x=points.x,
                y=points.y,
                customdata=[(run_id,) for run_id in points.ids],
                name=points.group,
                mode="markers",
                marker={
                    "color": color,
                    "symbol": SYMBOLS[index % len(SYMBOLS)],
                    "size": 10,
                    "opacity": 0.8,
                },
                # Otherwise a click dims all others until the page is drawn again.
                unselected={"marker": {"opacity": 0.8}},
                hovertemplate="%{customdata[0]}<br>%{x:.4g}, %{y:.4g}<extra></extra>",
            )
        )
        figure.add_trace(
            go.Scatter(
                x=points.x[picked],
                y=points.y[picked],
                mode="markers",
                marker={"size": 20, "symbol": "circle-open", "color": color, "line": {"width": 2}},
                hoverinfo="skip",
                showlegend=False,
            )
        )
    figure.update_xaxes(title_text=x_label)
    figure.update_yaxes(title_text=y_label)
    figure.update_layout(
        template=TEMPLATE,
        height=460 if legend else 280,
        margin={**_MARGIN, "t": 10},
        showlegend=legend,
        legend=_LEGEND,
        dragmode=False,
        hovermode="closest",
    )
    return figure


def band_lines(
    lines: Sequence[Line],
    x_label: str,
    y_label: str,
    *,
    logarithmic: bool = False,
    dashed: Mapping[str, tuple[Floats, Floats]] | None = None,
    height: int = 360,
) -> go.Figure:
    """A line with its range as a band for each group.

    Args:
        lines: of the groups.
        x_label: what runs to the right.
        y_label: what runs up.
        logarithmic: whether x doubles from tick to tick; its values are then ticks.
        dashed: further lines without a range, (x, y) by name, in grey.
        height: in pixels.
    """
    figure = go.Figure()
    for index, line in enumerate(lines):
        color = GROUP_COLORS[index % len(GROUP_COLORS)]
        figure.add_trace(
            go.Scatter(
                x=np.concatenate([line.x, line.x[::-1]]),
                y=np.concatenate([line.high, line.low[::-1]]),
                mode="lines",
                fill="toself",
                fillcolor=_faint(color),
                line={"width": 0},
                hoverinfo="skip",
                showlegend=False,
            )
        )
        figure.add_trace(
            go.Scatter(
                x=line.x,
                y=line.middle,
                name=line.group,
                mode="lines+markers" if len(line.x) <= 20 else "lines",
                line={"color": color, "width": 2.5},
                marker={"symbol": SYMBOLS[index % len(SYMBOLS)], "size": 8},
                # A band over one value has no width.
                error_y={
                    "array": line.high - line.middle,
                    "arrayminus": line.middle - line.low,
                    "visible": len(line.x) == 1,
                },
                hovertemplate="%{x:.4g}: %{y:.4g}<extra>" + line.group + "</extra>",
            )
        )
    for (name, (x, y)), dash in zip(
        (dashed or {}).items(), ("dash", "dot", "dashdot"), strict=False
    ):
        figure.add_trace(
            go.Scatter(
                x=x,
                y=y,
                name=name,
                mode="lines",
                line={"color": "#8a8f8c", "width": 2, "dash": dash},
                hovertemplate="%{x:.4g}: %{y:.4g}<extra>" + name + "</extra>",
            )
        )
    figure.update_xaxes(title_text=x_label)
    if logarithmic:
        ticks = sorted({float(value) for line in lines for value in line.x})
        figure.update_xaxes(type="log", tickvals=ticks, ticktext=[f"{tick:g}" for tick in ticks])
    figure.update_yaxes(title_text=y_label)
    figure.update_layout(
        template=TEMPLATE,
        height=height,
        margin={**_MARGIN, "t": 10},
        showlegend=True,
        legend=_LEGEND,
        dragmode=False,
    )
    return figure


def parallel_coordinates(axes: Sequence[Axis], colors: Floats, color_label: str) -> go.Figure:
    """A line for each run through its settings and scores, coloured by one score.

    Args:
        axes: from left to right.
        colors: of the runs, (runs,).
        color_label: what the colour is.
    """
    dimensions = []
    for axis in axes:
        if all(isinstance(value, int | float) for value in axis.values):
            dimensions.append({"label": axis.label, "values": list(axis.values)})
        else:
            # Texts, such as "none", below the numbers, and these ascending.
            known = sorted(set(axis.values), key=lambda value: (not isinstance(value, str), value))
            dimensions.append(
                {
                    "label": axis.label,
                    "values": [known.index(value) for value in axis.values],
                    "tickvals": list(range(len(known))),
                    "ticktext": [v if isinstance(v, str) else f"{v:g}" for v in known],
                    "range": [-0.25, len(known) - 0.75],
                }
            )
    figure = go.Figure(
        go.Parcoords(
            dimensions=dimensions,
            line={
                "color": colors,
                "colorscale": COLOR_SCALE,
                "showscale": True,
                "colorbar": {"title": {"text": color_label, "side": "right"}, "thickness": 12},
            },
            labelangle=-20,
            labelside="top",
        )
    )
    figure.update_layout(template=TEMPLATE, height=460, margin={"l": 60, "r": 20, "t": 90, "b": 20})
    return figure


def group_boxes(groups: Mapping[str, tuple[Floats, Sequence[str]]], label: str) -> go.Figure:
    """A box for each group, with a point for each run.

    Args:
        groups: values (runs,) and run ids, by group.
        label: of the score.
    """
    figure = go.Figure(
        [
            go.Box(
                x=values,
                text=list(ids),
                name=name,
                orientation="h",
                boxpoints="all",
                jitter=0.5,
                pointpos=0,
                fillcolor="rgba(0, 0, 0, 0)",
                marker={
                    "color": GROUP_COLORS[index % len(GROUP_COLORS)],
                    "size": 6,
                    "opacity": 0.75,
                },
                line={"width": 1.5},
                hovertemplate="%{text}<br>%{x:.4g}<extra></extra>",
                showlegend=False,
            )
            for index, (name, (values, ids)) in enumerate(groups.items())
        ]
    )
    figure.update_xaxes(title_text=label)
    figure.update_yaxes(autorange="reversed", automargin=True)
    figure.update_layout(
        template=TEMPLATE,
        height=110 + 70 * len(groups),
        margin={**_MARGIN, "t": 10},
        dragmode=False,
    )
    return figure


def _faint(color: str) -> str:
    red, green, blue = (int(color[place : place + 2], 16) for place in (1, 3, 5))
    return f"rgba({red}, {green}, {blue}, 0.18)"
