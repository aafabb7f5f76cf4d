"""The look of every figure: colours, and a template that matches the pages' light theme."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from dvae_core.config import FAMILIES
from dvae_core.errors import one_line

# Viridis keeps its order on light and dark backgrounds: dark is low and light is high.
COLOR_SCALE = "Viridis"
MARK = "#e4572e"
# Apart from one another in each kind of colour blindness, and 3:1 from both grounds; see the test.
PALETTE = ("#2d87a5", "#d2692d", "#9600ff", "#d2004b", "#a58787", "#695ab4", "#d24bff")
ACCENT = PALETTE[0]
LABEL_CHARACTERS = 30
FAMILY_COLORS: dict[str, str] = dict(zip(FAMILIES, PALETTE, strict=False))

INK, GROUND, LINE = "#0f1516", "#fbfbf9", "#d9dcd6"
_AXIS = {
    "automargin": True,
    "gridcolor": LINE,
    "zerolinecolor": LINE,
    "title": {"font": {"size": 14}},
}
TEMPLATE = go.layout.Template(
    layout={
        "font": {"color": INK, "family": "sans-serif", "size": 12},
        "title": {"font": {"size": 16}, "x": 0, "xanchor": "left"},
        "paper_bgcolor": GROUND,
        "plot_bgcolor": GROUND,
        "xaxis": _AXIS | {"showgrid": False, "zeroline": False},
        "yaxis": _AXIS,
        "hoverlabel": {"bgcolor": GROUND, "bordercolor": LINE, "font": {"color": INK}},
    },
    data={"scatter": [{"marker": {"line": {"width": 0}}}]},
)
"""Pages override it with the theme that the reader has chosen."""


_MARKUP = str.maketrans({character: f"&#{ord(character)};" for character in "&<>$%{}"})


def literal(text: str) -> str:
    """Text that a figure shows as it stands, on one line.

    Plotly reads tags such as <b>, formulas between $ and places such as %{x} in every text. Names
    of runs, factors and groups come from users: pass each of them through this function.
    """
    return one_line(text).translate(_MARKUP)


def shortened(text: str) -> str:
    """The beginning of a long name, for an axis; its hover text has all."""
    return text if len(text) <= LABEL_CHARACTERS else text[: LABEL_CHARACTERS - 1] + "…"


def styled(figure: go.Figure, *, height: int, top: int = 10, **layout: Any) -> go.Figure:
    """The figure in this look: `TEMPLATE`, margins of 10 pixels (`top` above), no dragging."""
    margin = {"l": 10, "r": 10, "t": top, "b": 10}
    layout = {"margin": margin, "dragmode": False} | layout
    return figure.update_layout(template=TEMPLATE, height=height, **layout)


def run_box(
    axis: str,
    values: Sequence[float] | NDArray[np.float64],
    run_ids: Sequence[str],
    name: str,
    color: str,
    digits: str,
) -> go.Box:
    """A box along `axis` ("x" or "y") with a point for each run, which shows the run's id; the
    point alone where there is one run, since a box shows a spread."""
    return go.Box(
        {axis: values, "orientation": "h" if axis == "x" else None},
        text=[literal(run_id) for run_id in run_ids],
        name=literal(name),
        boxpoints="all",
        jitter=0.5,
        pointpos=0,
        fillcolor="rgba(0, 0, 0, 0)",
        marker={"color": color, "size": 6, "opacity": 0.75},
        line={"width": 1.5 if len(values) > 1 else 0},
        hovertemplate=f"%{{text}}<br>%{{{axis}:{digits}}}<extra></extra>",
        showlegend=False,
    )
