"""Plotly figures that compare two runs or two families of latents."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from dvae_core.analysis.rotation import Picture
from dvae_core.figures.style import (
    ACCENT,
    COLOR_SCALE,
    MARK,
    PALETTE,
    literal,
    run_box,
    styled,
)
from dvae_core.runs.names import NO_NAMES, LatentNames

Floats = NDArray[np.float64]

# Share of the highest value of a chart above which all others lie for its axis not to begin at 0.
NEAR = 0.8


@dataclass(frozen=True)
class Curve:
    """One line of `angle_curves`: its name in the legend, its colour, its values (A,), and its dash
    style in Plotly's terms."""

    name: str
    color: str
    y: Floats
    dash: str = "solid"


def angle_curves(
    degrees: Sequence[float], curves: Sequence[Curve], current: float, unit: str
) -> go.Figure:
    """Curves over the angle of a rotation, with a line at the current angle.

    Args:
        degrees: (A,).
        curves: (A,) each.
        current: angle in degrees.
        unit: quantity and unit of the curves.
    """
    figure = go.Figure(
        [
            go.Scatter(
                x=degrees,
                y=curve.y,
                name=literal(curve.name),
                mode="lines",
                line={"color": curve.color, "width": 2.5, "dash": curve.dash},
                hovertemplate="%{x:.0f}°: %{y:.3f}<extra>%{fullData.name}</extra>",
            )
            for curve in curves
        ]
    )
    figure.add_vline(x=current, line={"color": MARK, "width": 1.5})
    figure.update_xaxes(title_text="angle", ticksuffix="°", dtick=15, range=[-1, 91])
    low = min(float(np.min(curve.y)) for curve in curves)
    high = max(float(np.max(curve.y)) for curve in curves)
    figure.update_yaxes(title_text=literal(unit))
    if low > NEAR * high:  # from 0 on, the curves would be one line
        margin = max(0.1 * (high - low), 0.005 * high)
        figure.update_yaxes(range=[low - margin, high + margin])
    else:
        figure.update_yaxes(rangemode="tozero")
    legend = {"orientation": "h", "y": -0.25, "x": 0, "entrywidth": 0}
    return styled(figure, height=360, top=30, showlegend=True, legend=legend)


def mass_heatmap(
    picture: Picture,
    latents: tuple[int, int],
    degrees: float | None = None,
    latent_names: LatentNames = NO_NAMES,
) -> go.Figure:
    """Probability mass or density of two latents: the first on the x axis, the second on y.

    With `degrees`, the axes from before the rotation are drawn where it takes them, each with a
    mark at its positive end: a round density looks the same at every angle.
    """
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
    if degrees is not None:
        _draw_axes(figure, picture, degrees)
    across, up = (literal(latent_names.short_words(latent)) for latent in latents)
    figure.update_xaxes(title_text=across, constrain="domain")
    figure.update_yaxes(title_text=up, scaleanchor="x", constrain="domain")
    return styled(figure, height=300)


def _draw_axes(figure: go.Figure, picture: Picture, degrees: float) -> None:
    bounds = [float(max(abs(points[0]), abs(points[-1]))) for points in picture.points]
    reach = 0.9 * min(bounds)
    for place, name in enumerate(("first axis", "second axis")):
        angle = np.radians(degrees + 90 * place)
        x, y = reach * np.cos(angle), reach * np.sin(angle)
        figure.add_scatter(
            x=[-x, x],
            y=[-y, y],
            mode="lines+markers",
            line={"color": MARK, "width": 2, "dash": "solid" if place == 0 else "dot"},
            marker={"size": [0, 12], "symbol": ["circle", "circle" if place == 0 else "square"]},
            hovertemplate=f"{name}, rotated by {degrees:.0f}°<extra></extra>",
            showlegend=False,
        )


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


def seed_boxes(values: Mapping[str, Sequence[tuple[float, str]]], label: str) -> go.Figure:
    """A box for each group of seeds, with a point for each run.

    Args:
        values: (value, run id) of each run, by group.
        label: title of the figure.
    """
    boxes = []
    for (group, runs), color in zip(values.items(), PALETTE, strict=False):
        scores, run_ids = [value for value, _ in runs], [run_id for _, run_id in runs]
        boxes.append(run_box("y", scores, run_ids, group, color, ".3f"))
    title = {"text": literal(label), "font": {"size": 14}}
    return styled(go.Figure(boxes), height=260, top=36, title=title)


def distribution_bars(values: Floats, heights: Mapping[str, Floats], *, unit: str) -> go.Figure:
    """Bars at `values` (P,), a group for each name of `heights`, (P,) each."""
    palette = PALETTE[:3]
    figure = go.Figure(
        [
            go.Bar(
                x=values,
                y=of_name,
                name=literal(name),
                marker={"color": color, "opacity": 0.8},
                hovertemplate="%{x:.2f}: %{y:.3f}<extra>%{fullData.name}</extra>",
            )
            for (name, of_name), color in zip(heights.items(), palette, strict=False)
        ]
    )
    figure.update_xaxes(title_text="value")
    figure.update_yaxes(title_text=literal(unit), rangemode="tozero")
    legend = {"orientation": "h", "y": 1.15, "x": 0}
    return styled(figure, height=280, top=30, bargap=0.1, legend=legend)


def distance_heatmap(distances: Floats) -> go.Figure:
    """Distances between the images of each pair of values of a latent, (P, P)."""
    figure = go.Figure(
        go.Heatmap(
            z=distances,
            colorscale=COLOR_SCALE,
            zmin=0.0,
            colorbar={"thickness": 12},
            hovertemplate="%{y} and %{x}: %{z:.3f}<extra></extra>",
        )
    )
    figure.update_xaxes(title_text="category", constrain="domain")
    figure.update_yaxes(
        title_text="category", autorange="reversed", scaleanchor="x", constrain="domain"
    )
    return styled(figure, height=320)


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
    return styled(figure, height=320)
