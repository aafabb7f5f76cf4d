"""Walks through the latent space that need more than one handle."""

import streamlit as st
import torch

from dvae_core.analysis.reconstruction import encode_image
from dvae_core.analysis.traversal import (
    decode_codes,
    interpolate,
    interpolate_by_latent,
    to_pixels,
    traverse_pair,
)
from dvae_core.data.dataset import Dataset
from ui.boards import BoardView, spaced
from ui.errors import plain
from ui.images import show_grid
from ui.widgets import whole_number

GRID_SIDE = 9
WALK_IMAGES = 12


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


def show_interpolation(view: BoardView, hard: bool, dataset: Dataset | None, key: str) -> None:
    """From the current code to that of another image: all latents together, then one by one.

    With `hard` the way ends at the other image's most likely categories; in between all codes are
    soft.
    """
    if dataset is None:
        st.info("The second image comes from the data set, which is not available here.")
        return
    seed = whole_number("Second image (random seed)", 0, 9999, default=1, key=f"{key}-seed")
    if seed is None:
        return
    other = dataset.sample_images(1, torch.Generator(dataset.device).manual_seed(seed))[0]
    posterior = encode_image(view.model, other)
    end = (posterior.mode_code() if hard else posterior.mean_code())[0]
    straight = to_pixels(decode_codes(view.model, interpolate(view.code, end, WALK_IMAGES)))
    moving = [latent for latent in view.order if view.profile.active[latent]]
    by_latent = to_pixels(decode_codes(view.model, interpolate_by_latent(view.code, end, moving)))
    show_grid(straight[None], "all latents together")
    show_grid(
        by_latent[None],
        plain("active latents one after the other: ")
        + ", ".join(plain(view.names.short_words(latent)) for latent in moving),
    )
    show_grid(to_pixels(other)[None, None], "second image")


def _choose_latent(label: str, view: BoardView, place: int, key: str) -> int:
    return st.selectbox(
        label,
        list(view.order),
        index=place,
        format_func=view.names.words,
        key=key,
        width=240,
    )
