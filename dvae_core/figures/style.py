"""The look of every figure: colours, and a template that matches the pages' light theme."""

import plotly.graph_objects as go

from dvae_core.config import FAMILIES

# Viridis keeps its order on both grounds: dark means little and light means much.
COLOR_SCALE = "Viridis"
ACCENT = "#2a88a8"
MARK = "#e4572e"
_PALETTE = (ACCENT, "#8a6fb8", "#e07b39", "#5b9a4b", "#b8476b", "#7a7f85")
FAMILY_COLORS: dict[str, str] = dict(zip(FAMILIES, _PALETTE, strict=False))

_INK, _GROUND, _LINE = "#1c2526", "#fbfbf9", "#d9dcd6"
_AXIS = {
    "automargin": True,
    "gridcolor": _LINE,
    "zerolinecolor": _LINE,
    "title": {"font": {"size": 14}},
}
TEMPLATE = go.layout.Template(
    layout={
        "font": {"color": _INK, "family": "sans-serif", "size": 12},
        "title": {"font": {"size": 16}, "x": 0, "xanchor": "left"},
        "paper_bgcolor": _GROUND,
        "plot_bgcolor": _GROUND,
        "xaxis": _AXIS | {"showgrid": False, "zeroline": False},
        "yaxis": _AXIS,
        "hoverlabel": {"bgcolor": _GROUND, "bordercolor": _LINE, "font": {"color": _INK}},
    },
    data={"scatter": [{"marker": {"line": {"width": 0}}}]},
)
"""Pages lay the theme that their reader has chosen over this template."""
