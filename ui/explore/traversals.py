"""Traversals of two latents together."""

import streamlit as st

from dvae_core.analysis.traversal import to_pixels, traverse_pair
from ui.boards import BoardView, spaced
from ui.errors import plain
from ui.images import show_grid

GRID_SIDE = 9


def show_pair(view: BoardView, key: str) -> None:
    """A grid of images over two latents, the others kept at the current code."""
    if len(view.order) < 2:
        st.info("A grid needs two latents, and this model has one.")
        return
    with st.container(horizontal=True):
        down = _choose_latent("Down", view, 0, f"{key}-down")
        across = _choose_latent("Across", view, 1, f"{key}-across")
    if down == across:
        st.info("Choose two different latents.")
        return
    rows, columns = (spaced(view.values[latent], GRID_SIDE) for latent in (down, across))
    grid = traverse_pair(view.model, view.code, (down, across), rows, columns)
    words = view.names.words
    caption = f"{words(down)} down, {words(across)} across, lowest values at the top left"
    show_grid(to_pixels(grid), plain(caption))


def _choose_latent(label: str, view: BoardView, place: int, key: str) -> int:
    return st.selectbox(
        label,
        list(view.order),
        index=place,
        format_func=view.names.words,
        key=key,
        width=240,
    )
