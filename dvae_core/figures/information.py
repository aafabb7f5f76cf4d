"""Heat maps of mutual information, as Plotly figures."""

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray
from plotly.subplots import make_subplots

from dvae_core.figures.compare import frame_cells
from dvae_core.figures.style import (
    ACCENT,
    COLOR_SCALE,
    LABEL_CHARACTERS,
    literal,
    shortened,
    styled,
)
from dvae_core.runs.names import NO_NAMES, LatentNames

_BAR_SHARE = 0.18  # width of a column of bars, in widths of the heat map
_COLUMN_PIXELS = 17  # width of an upright name of 12 pixels, and some room
_CHARACTER_PIXELS = 7
_SIDE_PIXELS = 190  # "latent 10" on the left, colour bar on the right


def information_heatmap(
    information: NDArray[np.float64],
    factor_names: Sequence[str],
    order: Sequence[int],
    *,
    unit: str,
    bars: Mapping[str, NDArray[np.float64]] | None = None,
    marked: tuple[int, int] | None = None,
    latent_names: LatentNames = NO_NAMES,
) -> go.Figure:
    """Heat map of the information that latents carry about factors, with bars for each latent.

    Invisible markers with `customdata` (latent, factor) lie over the cells, because a heat map
    reports no clicks.

    Args:
        information: (N, F), nats or shares of the factor's entropy.
        factor_names: (F,).
        order: latents from top to bottom.
        unit: of `information`, for hover text and colour bar.
        bars: columns of bars by name: one number per latent, (N,), such as its KL.
        marked: the cell (latent, factor) to frame.
        latent_names: what people call the latents.
    """
    bars = bars or {}
    rows = [f"latent {latent}" for latent in order]
    names = [literal(name) for name in factor_names]
    shown = information[list(order)]  # (N, F)
    scale = 1.0 if unit == "share of entropy" else float(max(information.max(), 1e-9))
    figure = make_subplots(
        cols=1 + len(bars),
        rows=1,
        shared_yaxes=True,
        column_widths=[1.0] + [_BAR_SHARE] * len(bars),
        horizontal_spacing=0.02,
    )
    figure.add_trace(
        go.Heatmap(
            z=shown,
            x=names,
            y=rows,
            colorscale=COLOR_SCALE,
            zmin=0.0,
            zmax=scale,
            xgap=2,
            ygap=2,
            hoverinfo="skip",
            colorbar={
                "title": {"text": literal(unit), "side": "right"},
                "thickness": 12,
                "x": 1.02,
            },
        ),
        row=1,
        col=1,
    )
    cells = [(latent, factor) for latent in order for factor in range(len(factor_names))]
    figure.add_trace(
        go.Scatter(
            x=[names[factor] for _, factor in cells],
            y=[f"latent {latent}" for latent, _ in cells],
            customdata=cells,
            text=[f"{information[cell]:.2f}" for cell in cells],
            hovertext=[f"{information[cell]:.3f} {unit}" for cell in cells],
            hovertemplate=[
                f"{literal(latent_names.words(latent))}, %{{x}}<br>%{{hovertext}}<extra></extra>"
                for latent, _ in cells
            ],
            mode="markers+text" if shown.size <= 200 else "markers",
            # At least 4.5:1 against the cell; a heat map's own numbers vanish on middling ones.
            textfont={
                "color": ["#000" if information[cell] > 0.42 * scale else "#fff" for cell in cells]
            },
            marker={"symbol": "square", "size": 26, "opacity": 0.0},
            # Else a click dims all cells but one, though their markers are not to be seen.
            selected={"marker": {"opacity": 0.0}, "textfont": {"color": "#fff"}},
            unselected={"marker": {"opacity": 0.0}},
            showlegend=False,
        ),
        row=1,
        col=1,
    )
    for column, (name, values) in enumerate(bars.items(), start=2):
        figure.add_trace(
            go.Bar(
                x=[values[latent] for latent in order],
                y=rows,
                orientation="h",
                marker={"color": ACCENT},
                hovertemplate=f"%{{y}}<br>{literal(name)} %{{x:.3f}}<extra></extra>",
                showlegend=False,
            ),
            row=1,
            col=column,
        )
        title = literal(name).replace(" ", "<br>")  # on two lines, since the columns are narrow
        figure.update_xaxes(title_text=title, nticks=3, rangemode="tozero", row=1, col=column)
    if marked is not None and marked[0] in order:
        frame_cells(figure, order, [marked])
    figure.update_yaxes(autorange="reversed", row=1, col=1, **_ticks(rows, order, latent_names))
    # Plotly leaves out names where they are many, reads names such as "10" as numbers, and gives
    # upright names the space of the cells.
    labels = [literal(shortened(name)) for name in factor_names]
    longest = max((len(name) for name in factor_names), default=0)
    figure.update_xaxes(
        type="category",
        tickmode="array",
        tickvals=names,  # an index would be taken for a factor that is called as a number
        ticktext=labels,
        autotickangles=[0, -90],
        row=1,
        col=1,
    )
    height = 120 + 38 * len(rows) + max(20, _CHARACTER_PIXELS * min(longest, LABEL_CHARACTERS))
    # The chart's buttons take the space above. With hoverdistance -1 a click anywhere in a cell
    # selects its marker.
    return styled(figure, height=height, top=40, hovermode="closest", hoverdistance=-1)


def heatmap_width(num_factors: int, num_bars: int = 0, latent_names: LatentNames = NO_NAMES) -> int:
    """The least width in pixels at which the upright names of an `information_heatmap` stand side
    by side.

    Args:
        num_factors: F.
        num_bars: columns of bars.
        latent_names: what people call the latents.
    """
    cells = _COLUMN_PIXELS * num_factors * (1 + _BAR_SHARE * num_bars + 0.02 * num_bars)
    longest = max(
        (len(latent_names.short_words(e.latent)) for e in latent_names.entries), default=0
    )
    return round(_SIDE_PIXELS + _CHARACTER_PIXELS * max(0, longest - len("latent 10")) + cells)


def latent_information_heatmap(
    information: NDArray[np.float64],
    order: Sequence[int],
    *,
    latent_names: LatentNames = NO_NAMES,
) -> go.Figure:
    """Heat map of the mutual information between each pair of latents, (N, N) nats, with an empty
    diagonal."""
    shown = information[np.ix_(list(order), list(order))].astype(float)
    np.fill_diagonal(shown, np.nan)
    names = [f"latent {latent}" for latent in order]
    figure = go.Figure(
        go.Heatmap(
            z=shown,
            x=names,
            y=names,
            colorscale=COLOR_SCALE,
            zmin=0.0,
            zmax=max(0.1, float(np.nanmax(shown))),
            xgap=2,
            ygap=2,
            hoverongaps=False,
            hovertemplate="%{y}, %{x}<br>%{z:.3f} nats<extra></extra>",
            colorbar={"title": {"text": "nats", "side": "right"}, "thickness": 12},
        )
    )
    ticks = _ticks(names, order, latent_names)
    figure.update_xaxes(**ticks)
    figure.update_yaxes(autorange="reversed", **ticks)
    return styled(figure, height=160 + 30 * len(names), top=40)


def _ticks(
    rows: Sequence[str], order: Sequence[int], latent_names: LatentNames
) -> dict[str, object]:
    """Short names of the latents on an axis whose categories are `rows`."""
    return {
        "type": "category",
        "tickmode": "array",
        "tickvals": rows,
        "ticktext": [literal(latent_names.short_words(latent)) for latent in order],
    }
