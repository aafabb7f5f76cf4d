"""Plotly figures that set two runs, or two families, side by side: numbers in, a figure out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from dvae_core.analysis.rotation import Picture
from dvae_core.figures.style import ACCENT, COLOR_SCALE, FAMILY_COLORS, MARK, TEMPLATE

Floats = NDArray[np.float64]

_MARGIN = {"l": 10, "r": 10, "t": 30, "b": 10}


@dataclass(frozen=True)
class Curve:
    """One line of `angle_curves`.

    Attributes:
        name: in the legend.
        color: of the line.
        y: (A,).
        dash: of the line, a name that plotly knows.
    """

    name: str
    color: str
    y: Floats
    dash: str = "solid"


def angle_curves(degrees: Floats, curves: Sequence[Curve], current: float, unit: str) -> go.Figure:
    """Curves over the angle of a rotation, the current angle marked.

    Args:
        degrees: (A,).
        curves: (A,) each.
        current: the current angle, degrees.
        unit: what the curves are, and in what.
    """
    figure = go.Figure(
        [
            go.Scatter(
                x=degrees,
                y=curve.y,
                name=curve.name,
                mode="lines",
                line={"color": curve.color, "width": 2.5, "dash": curve.dash},
                hovertemplate="%{x:.0f}°: %{y:.3f}<extra>" + curve.name + "</extra>",
            )
            for curve in curves
        ]
    )
    figure.add_vline(x=current, line={"color": MARK, "width": 1.5})
    figure.update_xaxes(title_text="angle", ticksuffix="°", dtick=15, range=[-1, 91])
    figure.update_yaxes(title_text=unit, rangemode="tozero")
    figure.update_layout(
        template=TEMPLATE,
        height=360,
        margin=_MARGIN,
        dragmode=False,
        showlegend=True,
        legend={"orientation": "h", "y": -0.25, "x": 0, "entrywidth": 0},
    )
    return figure


def mass_heatmap(picture: Picture, latents: tuple[int, int]) -> go.Figure:
    """Mass or density of two latents, the first latent to the right and the second up."""
    figure = go.Figure(
        go.Heatmap(
            z=picture.heights.T,
            x=picture.points[0],
            y=picture.points[1],
            colorscale=COLOR_SCALE,
            showscale=False,
            zmin=0.0,
            hovertemplate="%{x:.2f}, %{y:.2f}<br>%{z:.2g}<extra></extra>",
        )
    )
    figure.update_xaxes(title_text=f"latent {latents[0]}", constrain="domain")
    figure.update_yaxes(title_text=f"latent {latents[1]}", scaleanchor="x", constrain="domain")
    figure.update_layout(template=TEMPLATE, height=300, margin={**_MARGIN, "t": 10}, dragmode=False)
    return figure


def frame_cells(
    figure: go.Figure, order: Sequence[int], cells: Sequence[tuple[int, int]]
) -> go.Figure:
    """Frame cells (latent, factor) of an `information_heatmap` whose rows are in `order`."""
    for latent, factor in cells:
        row = list(order).index(latent)
        figure.add_shape(
            type="rect",
            x0=factor - 0.49,
            x1=factor + 0.49,
            y0=row - 0.48,
            y1=row + 0.48,
            line={"color": MARK, "width": 3},
            row=1,
            col=1,
        )
    return figure


def family_boxes(values: Mapping[str, Sequence[tuple[float, str]]], label: str) -> go.Figure:
    """A box for each family, with a point for each run.

    Args:
        values: by family, (value, run id).
        label: of the score.
    """
    figure = go.Figure(
        [
            go.Box(
                y=[value for value, _ in shown],
                text=[run_id for _, run_id in shown],
                name=family,
                boxpoints="all",
                jitter=0.5,
                pointpos=0,
                fillcolor="rgba(0, 0, 0, 0)",
                marker={"color": FAMILY_COLORS[family], "size": 6, "opacity": 0.75},
                line={"width": 1.5},
                hovertemplate="%{text}<br>%{y:.3f}<extra></extra>",
                showlegend=False,
            )
            for family, shown in values.items()
        ]
    )
    figure.update_layout(
        template=TEMPLATE,
        title={"text": label, "font": {"size": 14}},
        height=260,
        margin={**_MARGIN, "t": 36},
        dragmode=False,
    )
    return figure


def distribution_bars(values: Floats, heights: Mapping[str, Floats], *, unit: str) -> go.Figure:
    """Bars at `values` (P,), a group for each name of `heights`, (P,) each."""
    palette = [ACCENT, "#e07b39", "#8a6fb8"]
    figure = go.Figure(
        [
            go.Bar(
                x=values,
                y=of_name,
                name=name,
                marker={"color": color, "opacity": 0.8},
                hovertemplate="%{x:.2f}: %{y:.3f}<extra>" + name + "</extra>",
            )
            for (name, of_name), color in zip(heights.items(), palette, strict=False)
        ]
    )
    figure.update_xaxes(title_text="value")
    figure.update_yaxes(title_text=unit, rangemode="tozero")
    figure.update_layout(
        template=TEMPLATE,
        height=280,
        margin=_MARGIN,
        bargap=0.1,
        dragmode=False,
        legend={"orientation": "h", "y": 1.15, "x": 0},
    )
    return figure


def distance_heatmap(distances: Floats) -> go.Figure:
    """Distances between the images of each two values of a latent, (P, P)."""
    figure = go.Figure(
        go.Heatmap(
            z=distances,
            colorscale=COLOR_SCALE,
            zmin=0.0,
            colorbar={"thickness": 12},
            hovertemplate="%{y} and %{x}: %{z:.3f}<extra></extra>",
        )
    )
    figure.update_yaxes(title_text="category", autorange="reversed", scaleanchor="x")
    figure.update_yaxes(constrain="domain")
    figure.update_xaxes(title_text="category", constrain="domain")
    figure.update_layout(template=TEMPLATE, height=320, margin={**_MARGIN, "t": 10}, dragmode=False)
    return figure


def distance_curve(by_steps: Floats) -> go.Figure:
    """Mean distance between the images of values 1, 2, .. steps apart, (P - 1,)."""
    figure = go.Figure(
        go.Scatter(
            x=np.arange(1, len(by_steps) + 1),
            y=by_steps,
            mode="lines+markers",
            line={"color": ACCENT, "width": 2.5},
            hovertemplate="%{x} apart: %{y:.3f}<extra></extra>",
        )
    )
    figure.update_xaxes(title_text="steps apart")
    figure.update_yaxes(title_text="mean distance", rangemode="tozero")
    figure.update_layout(template=TEMPLATE, height=320, margin={**_MARGIN, "t": 10}, dragmode=False)
    return figure
