"""Plotly figure of the scores of one run."""

from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from dvae_core.figures.style import ACCENT, PALETTE, literal, styled

_ROW = 26  # pixels


@dataclass(frozen=True)
class ScoreBar:
    """A score, at most 1, and those of a perfect and a shuffled code, or None."""

    label: str
    value: float
    perfect: float | None = None
    shuffled: float | None = None


def score_bars(bars: Sequence[ScoreBar]) -> go.Figure:
    """A bar for each score, the first on top, with ticks at the scores of both other codes."""
    labels = [literal(bar.label) for bar in bars]
    figure = go.Figure(
        go.Bar(
            x=[bar.value for bar in bars],
            y=labels,
            orientation="h",
            name="this run",
            marker={"color": ACCENT},
            width=0.6,
            hovertemplate="%{y}: %{x:.3f}<extra></extra>",
        )
    )
    for name, symbol, color, values in (
        ("perfect code", "line-ns-open", PALETTE[1], [bar.perfect for bar in bars]),
        ("shuffled code", "diamond-open", PALETTE[2], [bar.shuffled for bar in bars]),
    ):
        figure.add_scatter(
            x=values,
            y=labels,
            mode="markers",
            name=name,
            cliponaxis=False,
            marker={"symbol": symbol, "size": 11, "color": color, "line": {"width": 2.5}},
            hovertemplate="%{y}: %{x:.3f}<extra>%{fullData.name}</extra>",
        )
    # A score may be slightly negative where nothing is to be found.
    least = min(0.0, *(bar.value for bar in bars), *(bar.shuffled or 0.0 for bar in bars))
    figure.update_xaxes(range=[1.05 * max(least, -1.0), 1.03], showgrid=True)
    figure.update_yaxes(autorange="reversed", showgrid=False)
    legend = {"orientation": "h", "y": 1, "yanchor": "bottom", "x": 0, "traceorder": "normal"}
    return styled(figure, height=_ROW * len(bars) + 80, top=36, legend=legend)
