"""The sections of Method in their order: headings that the contents lead to."""

import streamlit as st

SECTIONS = {
    "families": "Two families of latents, one decoder",
    "circle-and-grid": "The circle and the grid",
    "factors": "Why factors may lie along the axes",
    "noise": "A noise scale instead of a temperature",
    "gap": "The code between two categories, and the gap",
    "neighbours": "Ordered categories have neighbours",
    "factor": "FactorDVAE: asking for independence",
    "cardinalities": "Known cardinalities",
    "discrete-families": "Four ways to make a latent discrete",
}


def show_contents() -> None:
    """A link to each section."""
    st.markdown("\n".join(f"{number}. [{title}](#{name})" for number, name, title in _numbered()))


def show_heading(section: str) -> None:
    """The heading of a section."""
    number, _, title = next(entry for entry in _numbered() if entry[1] == section)
    st.subheader(f"{number} · {title}", anchor=section)


def _numbered() -> list[tuple[int, str, str]]:
    return [(number, *entry) for number, entry in enumerate(SECTIONS.items(), start=1)]
