"""A map of the encoded images: a plane of two latents, principal components, or UMAP."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import streamlit as st

from dvae_core.analysis.conditions import Mask, quantity_of
from dvae_core.analysis.embedding import (
    Embedding,
    is_umap_installed,
    latent_plane,
    principal_components,
    umap_embedding,
)
from dvae_core.analysis.encoded import EncodedSet
from dvae_core.errors import ConfigError
from dvae_core.figures.latent_data import embedding_scatter
from dvae_core.progress import Progress, ShouldStop
from ui.background import Work, Works
from ui.images_page import view
from ui.images_page.quantities import describe, quantities
from ui.images_page.table import Images
from ui.link import current_view, set_view
from ui.view import choose_part
from ui.widgets import choose

KINDS = {"latents": "Two latents", "pca": "Principal components", "umap": "UMAP"}
TOOLS = {
    "displaylogo": False,
    "displayModeBar": True,
    "toImageButtonOptions": {"format": "svg"},
    "modeBarButtons": [["lasso2d", "select2d"], ["zoom2d", "pan2d", "resetScale2d"], ["toImage"]],
}
PATIENCE_SECONDS = 0.5
REFRESH_SECONDS = 1.0


def show_map(images: Images, mask: Mask, start: int | None, near: Sequence[int]) -> None:
    """The map, in which a click chooses an image and an outline makes a slice.

    Args:
        images: what there is.
        mask: the slice, (n,).
        start: row of the chosen image, if it has one.
        near: rows of the images nearest to it.
    """
    encoded = images.encoded
    kind = choose_part("Map", "map", KINDS, key="images-map", default="latents")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        axes = _choose_axes(images) if kind == "latents" else None
        colour = _choose_colour(images, 240 if axes is None else 155)
    shown = min(len(encoded), view.MAP_POINTS)
    rows = np.arange(shown)
    if axes is not None:
        across, up = (images.names.words(latent) for latent in axes)
        embedding: Embedding | None = replace(latent_plane(encoded, *axes), axes=(across, up))
    elif kind == "pca":
        embedding = principal_components(encoded)
    else:
        embedding = _umap(encoded.part(rows))
    if embedding is None:
        return
    if len(embedding.points) > shown:
        # The start and its neighbours are shown in any case.
        extra = [row for row in (*near, *([] if start is None else [start])) if row >= shown]
        rows = np.concatenate([rows, np.unique(np.array(extra, np.int64))])
        embedding = Embedding(
            embedding.method, embedding.points[rows], embedding.explained, embedding.axes
        )
    place = {row: index for index, row in enumerate(rows.tolist())}
    figure = embedding_scatter(
        embedding,
        quantity_of(encoded, colour)[rows],
        label=describe(colour, images.names),
        numbers=encoded.numbers[rows],
        mask=mask[rows],
        start=None if start is None else place.get(start),
        near=[place[row] for row in near if row in place],
    )
    key = "images-map-chart"

    def take() -> None:
        selection = st.session_state[key]["selection"]
        found = {int(rows[point["customdata"]]) for point in selection["points"]}
        if selection["box"] or selection["lasso"]:
            if inside := [row for row in found if row < shown]:
                view.keep_points(inside, len(encoded))
        elif found:
            images.choose(int(rows[selection["points"][0]["customdata"]]))

    st.plotly_chart(figure, key=key, on_select=take, config=TOOLS)
    st.caption(_explain(encoded, kind or "", shown))


def _explain(encoded: EncodedSet, kind: str, shown: int) -> str:
    words = [
        "Click a point to start from its image. Draw with the lasso or the box above the map to "
        "make a slice of the points inside. Cross: the start; rings: the images nearest to it in "
        "all latents; grey: outside of the slice."
    ]
    if kind == "latents" and encoded.categories is not None:
        words.append(
            "Points are moved at random by up to a third of the distance between categories, since "
            "many images share a spot."
        )
    if len(encoded) > shown:
        words.append(f"The map shows {shown:,} of {len(encoded):,} images, drawn at random.")
    return " ".join(words)


def _choose_axes(images: Images) -> tuple[int, int]:
    """Two latents, by default those with the highest KL."""
    order = [int(latent) for latent in np.argsort(-images.encoded.held)]
    chosen = []
    for place, name in enumerate(("x", "y")):
        text = current_view().get(name, "")
        default = order[min(place, len(order) - 1)]
        latent = int(text) if text.isdecimal() and int(text) in order else default
        choose(
            f"Axis {name}",
            {latent: images.names.words(latent) for latent in order},
            latent,
            name=f"images-{name}",
            take=partial(_keep_axis, name),
            width=155,
        )
        chosen.append(latent)
    return chosen[0], chosen[1]


def _keep_axis(name: str, latent: int) -> None:
    set_view(**{name: str(latent)})


def _choose_colour(images: Images, width: int) -> str:
    known = quantities(images.encoded, images.names)
    colour = current_view().get("colour", "")
    try:
        quantity_of(images.encoded, colour)
    except ConfigError:
        colour = next(iter(known))
    choose(
        "Colour",
        quantities(images.encoded, images.names, colour),
        colour,
        name="images-colour",
        take=lambda quantity: set_view(colour=quantity),
        width=width,
    )
    return colour


def _umap(encoded: EncodedSet) -> Embedding | None:
    """UMAP of a set, computed once in a thread; None while it runs or where it is missing."""
    if not is_umap_installed():
        st.info(
            "UMAP needs the package umap-learn. Stop the app, run `pip install umap-learn` in its "
            "environment, and start it again; principal components need nothing.",
            icon=":material/extension_off:",
        )
        return None
    key = encoded.origin, len(encoded)

    def embed(*, progress: Progress, should_stop: ShouldStop) -> Embedding:
        return umap_embedding(encoded)

    work = _embeddings().find(key, embed)
    if not work.wait(PATIENCE_SECONDS):
        st.fragment(run_every=REFRESH_SECONDS)(_show_waiting)(work, len(encoded))
        return None
    if work.has_failed:
        _embeddings().forget(key, work)
    return work.result()


@st.cache_resource
def _embeddings() -> Works[Embedding]:
    return Works(16 * 2**20, lambda embedding: embedding.points.nbytes)


def _show_waiting(work: Work[Embedding], count: int) -> None:
    if not work.is_running:
        st.rerun(scope="app")
    st.info(
        f"Computing UMAP of {count:,} codes, which takes longer the first time. The rest of the "
        f"page works in the meantime.",
        icon=":material/hourglass_top:",
    )
