"""Plotly figures and drawn sheets that pages, notebooks and documents share."""
