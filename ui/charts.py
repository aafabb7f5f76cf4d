"""The tool bars of the pages' charts, and charts with many columns."""

from typing import Any

import plotly.graph_objects as go
import streamlit as st

CHART_CONFIG = {
    "displaylogo": False,
    "toImageButtonOptions": {"format": "svg"},
    "modeBarButtons": [["toImage"]],
}
NO_TOOLBAR = {"displayModeBar": False}


def show_wide_chart(figure: go.Figure, least_width: int, *, key: str, **options: Any) -> None:
    """A chart as wide as its surroundings, which scrolls sideways where it would be narrower than
    `least_width` pixels.

    Args:
        figure: the chart.
        least_width: pixels.
        key: of the chart, and the reason why two charts of a page differ in their least width.
        options: of `st.plotly_chart`.
    """
    place = f"wide-chart-{least_width}"
    with st.container(key=f"{place}-{key}"):
        # The elements around a chart are as wide as the page, and the chart as wide as they are.
        st.html(f"<style>[class*='st-key-{place}-'] > * {{ min-width: {least_width}px; }}</style>")
        st.plotly_chart(figure, key=key, **options)
