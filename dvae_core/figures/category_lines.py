"""Plotly figure of latents on a line: the values of categories, and how often each is drawn."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray
from plotly.subplots import make_subplots

from dvae_core.figures.style import MARK, literal, styled

_WIDTH = 1.75  # of what is shown, to each side of 0

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class CategoryLine:
    """One latent.

    Attributes:
        name: of its family.
        color: of its bars.
        values: of its categories, ascending, (K,).
        shares: how often each category is drawn, (K,), sum to one.
        pointed: where on the line the encoder points; None where it gives logits.
    """

    name: str
    color: str
    values: Floats
    shares: Floats
    pointed: float | None


def category_lines(lines: Sequence[CategoryLine]) -> go.Figure:
    """One line below the other, each with a tick at every value, a bar where categories are drawn,
    a triangle where the encoder points, and its name below."""
    figure = make_subplots(rows=len(lines), shared_xaxes=True, vertical_spacing=0.08)
    for row, line in enumerate(lines, start=1):
        # A title of the axis, because pages draw those of subplots in a grey too faint to read.
        figure.update_xaxes(title_text=literal(line.name), row=row, col=1)
        bars = go.Bar(
            x=line.values,
            y=line.shares,
            width=0.03,
            marker={"color": line.color},
            hovertemplate="value %{x:.3f}: drawn in %{y:.1%}<extra></extra>",
        )
        ticks = go.Scatter(
            x=line.values,
            y=np.zeros(len(line.values)),
            mode="markers",
            marker={"symbol": "line-ns-open", "size": 12, "color": line.color},
            hovertemplate="value %{x:.3f}<extra></extra>",
        )
        figure.add_traces([bars, ticks], rows=row, cols=1)
        if line.pointed is not None:
            pointer = go.Scatter(
                x=[line.pointed],
                y=[1.0],
                mode="markers",
                marker={"symbol": "triangle-down", "size": 12, "color": MARK},
                hovertemplate="the encoder points at %{x:.3f}<extra></extra>",
            )
            figure.add_trace(pointer, row=row, col=1)
    figure.update_yaxes(range=[-0.08, 1.1], showticklabels=False, showgrid=False, fixedrange=True)
    figure.update_xaxes(range=[-_WIDTH, _WIDTH], fixedrange=True, title_standoff=4)
    return styled(figure, height=120 * len(lines) + 50, showlegend=False)
