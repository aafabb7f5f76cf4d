"""Figures of what the data say about a latent: its categories, embeddings and paths."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from dvae_core.analysis.embedding import Embedding
from dvae_core.analysis.latent_data import LatentData
from dvae_core.analysis.path import LatentPath
from dvae_core.figures.style import (
    ACCENT,
    COLOR_SCALE,
    GROUND,
    MARK,
    PALETTE,
    literal,
    styled,
)
from dvae_core.runs.names import NO_NAMES, LatentNames

_SVG_POINTS = 12_000  # more need WebGL, which not every browser has
_OUTSIDE = "#8c9390"  # stands out from both grounds, less than any colour


def category_bars(data: LatentData, latent_names: LatentNames = NO_NAMES) -> go.Figure:
    """Share of the images in each category of a latent (P,), with a mark at each category that has
    none."""
    shares = data.counts / data.counts.sum()
    figure = go.Figure(
        go.Bar(
            x=np.arange(len(shares)),
            y=shares,
            text=_places(data, latent_names),
            textposition="none",
            customdata=data.counts,
            marker={"color": ACCENT},
            hovertemplate="%{text}<br>%{customdata:,} images, %{y:.1%}<extra></extra>",
            showlegend=False,
        )
    )
    if empty := data.never_visited:
        figure.add_scatter(
            x=empty,
            y=np.zeros(len(empty)),
            mode="markers",
            marker={"color": MARK, "symbol": "x", "size": 7},
            hovertemplate="%{x}: no image<extra></extra>",
            showlegend=False,
        )
    figure.update_xaxes(title_text=_axis(data, latent_names))
    figure.update_yaxes(title_text="share of images", tickformat=".0%", rangemode="tozero")
    return styled(figure, height=260, bargap=0.1)


def factor_given_category(
    data: LatentData, factor: int, latent_names: LatentNames = NO_NAMES
) -> go.Figure:
    """Heat map of a factor's distribution in each category of a latent, (values, P); each column
    sums to one, and that of a category without images is empty."""
    counts = data.factor_counts[factor].T  # (values, P)
    shares = np.full(counts.shape, np.nan)
    np.divide(counts, data.counts, out=shares, where=data.counts > 0)
    figure = go.Figure(
        go.Heatmap(
            z=shares,
            text=np.tile(_places(data, latent_names), (len(counts), 1)),
            colorscale=COLOR_SCALE,
            zmin=0.0,
            zmax=1.0,
            hoverongaps=False,
            hovertemplate="%{text}<br>value %{y}: %{z:.1%}<extra></extra>",
            colorbar={"thickness": 12, "tickformat": ".0%"},
        )
    )
    figure.update_xaxes(title_text=_axis(data, latent_names))
    figure.update_yaxes(title_text=literal(data.factor_names[factor]))
    return styled(figure, height=320)


def embedding_scatter(
    embedding: Embedding,
    values: NDArray[np.floating] | NDArray[np.integer] | None = None,
    *,
    label: str = "",
    numbers: Sequence[int] | NDArray[np.integer] | None = None,
    mask: NDArray[np.bool_] | None = None,
    start: int | None = None,
    near: Sequence[int] | NDArray[np.integer] = (),
) -> go.Figure:
    """Points of an embedding, with `customdata` (row) for clicks.

    Args:
        embedding: (n, 2).
        values: colours of the points, such as a factor, (n,).
        label: name of `values`.
        numbers: of the images, for hover text, (n,); by default the rows.
        mask: points in colour, (n,); the others are grey. None for all.
        start: row of a point to mark with a cross.
        near: rows of points to mark with rings.
    """
    points = embedding.points.astype(np.float32)  # half the bytes for the browser
    rows = np.arange(len(points), dtype=np.int32)
    numbers = rows if numbers is None else np.asarray(numbers)
    colored = np.ones(len(points), bool) if mask is None else mask
    figure = go.Figure()
    trace = go.Scatter if len(points) <= _SVG_POINTS else go.Scattergl

    def add(part: NDArray, hover: str, **marker: object) -> None:
        figure.add_trace(
            trace(
                x=points[part, 0],
                y=points[part, 1],
                mode="markers",
                customdata=rows[part],
                text=numbers[part],
                marker=marker,
                hovertemplate=f"{hover}image %{{text:,}}<extra></extra>",
                showlegend=False,
            )
        )

    if not colored.all():
        add(~colored, "", color=_OUTSIDE, size=3, opacity=0.35)
    marker: dict[str, object] = {"color": ACCENT}
    hover = ""
    if values is not None:
        shown = np.asarray(values)
        marker = {
            "color": shown[colored],
            "colorscale": COLOR_SCALE,
            # Of all points, so that a colour keeps its meaning where the mask changes.
            "cmin": shown.min(),
            "cmax": shown.max(),
            "showscale": True,
            "colorbar": {"title": {"text": literal(label), "side": "right"}, "thickness": 12},
        }
        hover = literal(label) + " %{marker.color:,}<br>"
    add(colored, hover, size=5, opacity=0.7, **marker)
    ring = {"color": "rgba(0, 0, 0, 0)", "line": {"color": MARK, "width": 1.5}}
    if len(near):
        add(np.asarray(near), "one of the nearest: ", size=11, **ring)
    if start is not None:
        cross = {"color": MARK, "symbol": "cross", "line": {"color": GROUND, "width": 1}}
        add(np.array([start]), "start: ", size=15, **cross)
    titles = embedding.axes or tuple(f"{embedding.method} {axis}" for axis in (1, 2))
    titles = tuple(map(literal, titles))
    if embedding.explained is not None:
        pairs = zip(titles, embedding.explained, strict=True)
        titles = tuple(f"{name} ({share:.0%})" for name, share in pairs)
    figure.update_xaxes(title_text=titles[0])
    figure.update_yaxes(title_text=titles[1])
    return styled(figure, height=480, top=34)  # room for tools


def path_curve(
    path: LatentPath,
    straight: NDArray[np.floating] | None = None,
    latent_names: LatentNames = NO_NAMES,
) -> go.Figure:
    """Distance to the target image after each step of a path, (steps + 1,), named by the latent
    that the step changes.

    Args:
        path: from `path_between`.
        straight: distances of evenly spaced codes on the straight line between both ends, for
            comparison, (count,).
        latent_names: what people call the latents.
    """
    steps = len(path.latents)
    words = latent_names.words
    latents = ["all others" if i < 0 else literal(words(i)) for i in path.latents.tolist()]
    figure = go.Figure(
        go.Scatter(
            x=np.arange(steps + 1),
            y=path.distances,
            text=["start", *latents],
            name="one latent at a time",
            mode="lines+markers",
            line={"color": ACCENT, "width": 2.5},
            hovertemplate="%{text}: %{y:.4f}<extra></extra>",
        )
    )
    if straight is not None:
        shares = np.linspace(0.0, 1.0, len(straight))
        figure.add_scatter(
            x=shares * steps,
            y=straight,
            customdata=shares,
            name="all at once",
            mode="lines",
            line={"color": PALETTE[1], "width": 2, "dash": "dot"},
            hovertemplate="%{customdata:.0%} of the way: %{y:.4f}<extra></extra>",
        )
    # Numbers alone: the names of many steps would run into each other.
    places = ["start", *("others" if latent < 0 else str(latent) for latent in path.latents)]
    figure.update_xaxes(
        title_text="latent that the step changes",
        tickmode="array",
        tickvals=np.arange(steps + 1),
        ticktext=places,
    )
    figure.update_yaxes(title_text="mean squared distance", rangemode="tozero")
    legend = {"orientation": "h", "x": 1, "xanchor": "right", "y": 1.02, "yanchor": "bottom"}
    return styled(figure, height=300, showlegend=straight is not None, legend=legend)


def _axis(data: LatentData, latent_names: LatentNames) -> str:
    kind = "category" if data.edges is None else "bin"
    return f"{kind} of {literal(latent_names.words(data.latent))}"


def _places(data: LatentData, latent_names: LatentNames) -> list[str]:
    """The categories, or the bins with their ranges, in words."""
    if data.edges is None:
        categories = range(len(data.counts))
        return [literal(latent_names.words(data.latent, category)) for category in categories]
    pairs = zip(data.edges[:-1], data.edges[1:], strict=True)
    return [f"bin {place}, {low:.2f} to {high:.2f}" for place, (low, high) in enumerate(pairs)]
