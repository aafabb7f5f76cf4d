"""The tool bars of the pages' charts."""

CHART_CONFIG = {
    "displaylogo": False,
    "toImageButtonOptions": {"format": "svg"},
    "modeBarButtons": [["toImage"]],
}
NO_TOOLBAR = {"displayModeBar": False}
