"""Plotly figures of many runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from dvae_core.figures.style import COLOR_SCALE, PALETTE, literal, run_box, styled

Floats = NDArray[np.float64]

SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "x", "star")
_LEGEND_ROW = 19  # pixels
_LEGEND = {"orientation": "h", "y": -0.22, "yanchor": "top", "x": 0}


@dataclass(frozen=True)
class Points:
    """One group of runs in `gap_scatter`: its label, x and y (runs,), the run ids, and the id of
    the run that the gap picks, or ""."""

    group: str
    x: Floats
    y: Floats
    ids: tuple[str, ...]
    picked: str = ""


@dataclass(frozen=True)
class Line:
    """One group of runs in `band_lines`: its label, and a middle line and range, (P,) each."""

    group: str
    x: Floats
    middle: Floats
    low: Floats
    high: Floats


@dataclass(frozen=True)
class Axis:
    """One axis of `parallel_coordinates`: its label, and a number or text for each run."""

    label: str
    values: Sequence[float | str]


def gap_scatter(
    groups: Sequence[Points], x_label: str, y_label: str, *, legend: bool = True
) -> go.Figure:
    """A point for each run, a colour and symbol for each group, and a ring around picked runs.

    `customdata` of a point is (run id,).
    """
    figure = go.Figure()
    for index, points in enumerate(groups):
        color = PALETTE[index % len(PALETTE)]
        picked = [run_id == points.picked for run_id in points.ids]
        figure.add_trace(
            go.Scatter(
                x=points.x,
                y=points.y,
                customdata=[(run_id,) for run_id in points.ids],
                text=[literal(run_id) for run_id in points.ids],
                name=literal(points.group),
                mode="markers",
                marker={
                    "color": color,
                    "symbol": SYMBOLS[index % len(SYMBOLS)],
                    "size": 10,
                    "opacity": 0.8,
                },
                # Otherwise a click dims all others until the page is drawn again.
                unselected={"marker": {"opacity": 0.8}},
                hovertemplate="%{text}<br>%{x:.4g}, %{y:.4g}<extra></extra>",
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
    figure.update_xaxes(title_text=literal(x_label))
    figure.update_yaxes(title_text=literal(y_label))
    return styled(
        figure,
        height=460 + _further_rows(len(groups)) if legend else 280,
        showlegend=legend,
        legend=_LEGEND,
        hovermode="closest",
    )


def band_lines(
    lines: Sequence[Line],
    x_label: str,
    y_label: str,
    *,
    logarithmic: bool = False,
    dashed: Mapping[str, tuple[Floats, Floats]] | None = None,
    height: int = 360,
    order: Sequence[str] = (),
) -> go.Figure:
    """A line for each group, with its range as a band.

    Args:
        lines: one per group.
        x_label: label of the x axis.
        y_label: label of the y axis.
        logarithmic: use a log scale for x, with ticks at its values.
        dashed: further grey lines without a range, (x, y) by name.
        height: pixels, with up to two entries in the legend.
        order: all groups of a page, whose charts may lack some, so that each keeps its colour
            and symbol.
    """
    figure = go.Figure()
    for index, line in enumerate(lines):
        place = order.index(line.group) if line.group in order else index
        color = PALETTE[place % len(PALETTE)]
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
                name=literal(line.group),
                mode="lines+markers" if len(line.x) <= 20 else "lines",
                line={"color": color, "width": 2.5},
                marker={"symbol": SYMBOLS[place % len(SYMBOLS)], "size": 8},
                # A band over one value has no width.
                error_y={
                    "array": line.high - line.middle,
                    "arrayminus": line.middle - line.low,
                    "visible": len(line.x) == 1,
                },
                hovertemplate="%{x:.4g}: %{y:.4g}<extra>%{fullData.name}</extra>",
            )
        )
    for (name, (x, y)), dash in zip(
        (dashed or {}).items(), ("dash", "dot", "dashdot"), strict=False
    ):
        figure.add_trace(
            go.Scatter(
                x=x,
                y=y,
                name=literal(name),
                mode="lines",
                line={"color": "#8a8f8c", "width": 2, "dash": dash},
                hovertemplate="%{x:.4g}: %{y:.4g}<extra>%{fullData.name}</extra>",
            )
        )
    figure.update_xaxes(title_text=literal(x_label))
    ticks = sorted({float(value) for line in lines for value in line.x})
    if logarithmic or len(ticks) == 1:  # around a single small value, ticks would round it to 0
        figure.update_xaxes(tickvals=ticks, ticktext=[f"{tick:g}" for tick in ticks])
    if logarithmic:
        figure.update_xaxes(type="log")
    figure.update_yaxes(title_text=literal(y_label))
    height += _further_rows(len(lines) + len(dashed or {}))
    return styled(figure, height=height, showlegend=True, legend=_LEGEND)


def _further_rows(entries: int) -> int:
    """Height that a legend of many entries adds to a figure, pixels: its place is relative to the
    plot, which must not shrink under it."""
    return _LEGEND_ROW * max(0, entries - 2)


def parallel_coordinates(axes: Sequence[Axis], colors: Floats, color_label: str) -> go.Figure:
    """A line for each run through its settings and scores, coloured by `colors` (runs,)."""
    dimensions = []
    for axis in axes:
        if all(isinstance(value, int | float) for value in axis.values):
            dimensions.append({"label": literal(axis.label), "values": list(axis.values)})
        else:
            # Text such as "none" first, then the numbers in ascending order.
            known = sorted(set(axis.values), key=lambda value: (not isinstance(value, str), value))
            dimensions.append(
                {
                    "label": literal(axis.label),
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
                "colorbar": {
                    "title": {"text": literal(color_label), "side": "right"},
                    "thickness": 12,
                },
            },
            labelangle=-20,
            labelside="top",
        )
    )
    return styled(figure, height=460, margin={"l": 60, "r": 20, "t": 90, "b": 20})


def group_boxes(groups: Mapping[str, tuple[Floats, Sequence[str]]], label: str) -> go.Figure:
    """A box for each group, with a point for each run.

    Args:
        groups: values (runs,) and run ids, by group.
        label: of the values, on the x axis.
    """
    figure = go.Figure(
        [
            run_box("x", values, ids, name, PALETTE[index % len(PALETTE)], ".4g")
            for index, (name, (values, ids)) in enumerate(groups.items())
        ]
    )
    figure.update_xaxes(title_text=literal(label))
    figure.update_yaxes(autorange="reversed", automargin=True)
    return styled(figure, height=110 + 70 * len(groups))


def _faint(color: str) -> str:
    red, green, blue = (int(color[place : place + 2], 16) for place in (1, 3, 5))
    return f"rgba({red}, {green}, {blue}, 0.18)"
