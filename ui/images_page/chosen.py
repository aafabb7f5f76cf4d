"""The chosen image, which is the start on every page: its codes, and the images nearest to it."""

from dataclasses import dataclass

import numpy as np
import streamlit as st

from dvae_core.analysis.encoded import EncodedSet, images_of
from dvae_core.analysis.neighbours import Neighbours, nearest_images
from dvae_core.analysis.reconstruction import Reconstruction, reconstruct
from dvae_core.analysis.traversal import decode_codes, to_pixels
from dvae_core.runs.names import LatentNames
from ui.errors import plain
from ui.images import data_url, show_image, to_png
from ui.images_page.table import Images
from ui.kept import kept
from ui.reconstruction import IMAGE_PX, show_pictures
from ui.routing import PAGES
from ui.selection import Exploration, Start
from ui.start_picker import ResolvedStart, factors_of_start, resolve_start

NEAREST = 8
_CODES = 12  # of the latents with the highest KL


def row_of_start(images: Images, start: Start | None) -> int | None:
    """The row of the start's image; None where it is not among the encoded ones."""
    encoded = images.encoded
    if start is None:
        return None
    if start.kind == "image":
        found = encoded.numbers == start.numbers[0]
    else:
        factors = factors_of_start(start, images.dataset)
        if factors is None:
            return None
        found = (encoded.factors == np.array(factors)).all(axis=1)
    rows = np.flatnonzero(found)
    return int(rows[0]) if len(rows) else None


@dataclass(frozen=True)
class Chosen:
    """The start of the exploration among the encoded images.

    Attributes:
        start: as the link names it.
        resolved: looked up.
        row: of the encoded set; None where it is not among them.
        own: its reconstruction; None for a sample of the prior.
        near: the images nearest to it.
        thumbnails: of those images, as addresses.
    """

    start: Start | None
    resolved: ResolvedStart
    row: int | None
    own: Reconstruction | None
    near: Neighbours
    thumbnails: tuple[str, ...]


def look_up_chosen(images: Images, exploration: Exploration) -> Chosen:
    """The start of an exploration, and its neighbours."""
    resolved = resolve_start(exploration, images.model, images.dataset)
    encoded = images.encoded
    key = repr((encoded.origin, len(encoded), exploration.start, exploration.hard))
    return _chosen(key, images, exploration.start, resolved)


# A filter asks for the same image again, and shall not wait for what it has not changed.
@kept(None)
def _chosen(key: str, _images: Images, _start: Start | None, _resolved: ResolvedStart) -> Chosen:
    encoded, image = _images.encoded, _resolved.image
    row = row_of_start(_images, _start)
    own = None if image is None else reconstruct(_images.model, image, _resolved.code)
    near = nearest_images(encoded, _resolved.code.numpy(), NEAREST, without=row)
    pictures = to_pixels(images_of(_images.dataset, encoded, near.rows)) if len(near.rows) else ()
    thumbnails = tuple(
        data_url(to_png(each, max(1, 64 // each.shape[1]), quick=True)) for each in pictures
    )
    return Chosen(_start, _resolved, row, own, near, thumbnails)


def show_chosen(images: Images, chosen: Chosen) -> None:
    """The start, with ways to other pages and to its neighbours."""
    resolved, row = chosen.resolved, chosen.row
    st.subheader(_title(images, chosen.start, row), anchor=False)
    with st.container(horizontal=True, key="chosen-images"):
        if resolved.image is None or chosen.own is None:
            show_image(to_pixels(decode_codes(images.model, resolved.code)), "decoded", IMAGE_PX)
        else:
            show_pictures(resolved.image, chosen.own)
    words = [] if row is not None else ["not among the encoded images"]
    if chosen.own is not None:
        words.append(f"reconstruction loss {chosen.own.loss:.1f} nats")
    if resolved.posterior is not None:
        words.append(f"KL {float(resolved.posterior.kl().sum()):.1f} nats")
    factors = factors_of_start(chosen.start, images.dataset)
    if factors is not None:
        named = zip(images.dataset.factor_names, factors, strict=True)
        words.append(", ".join(f"{name} {value}" for name, value in named))
    st.markdown(plain(" · ".join(words)))
    st.caption(plain(_codes(images.encoded, resolved, images.names)))
    if images.dataset.is_noisy and row is not None and chosen.start.kind == "factors":  # type: ignore[union-attr]
        st.caption(
            "Images of the same factors vary by chance in this data set, so the start differs from "
            "the image in the table."
        )
    with st.container(horizontal=True):
        if st.button("Explore", icon=":material/tune:", type="primary", key="images-explore"):
            st.switch_page(PAGES / "explore.py")
        if st.button("Latents", icon=":material/view_module:", key="images-latents"):
            st.switch_page(PAGES / "latents.py")
    _show_nearest(images, chosen)


def _title(images: Images, start: Start | None, row: int | None) -> str:
    if row is not None:
        return f"Start: image {images.encoded.numbers[row]:,}"
    if start is not None and start.kind == "prior":
        return f"Start: prior sample {start.numbers[0]}"
    if start is not None and start.kind == "upload":
        return "Start: your image"
    return "Start"


def _codes(encoded: EncodedSet, resolved: ResolvedStart, names: LatentNames) -> str:
    """The code of each active latent, or the most likely category and its probability."""
    order = [int(j) for j in np.argsort(-encoded.held) if encoded.active[j]]
    posterior = resolved.posterior
    probabilities = None if posterior is None else posterior.probabilities()
    if probabilities is not None:
        highest = probabilities[0].max(-1)
        pairs = list(zip(highest.indices.tolist(), highest.values.tolist(), strict=True))
        parts = [f"{names.words(j)}: {pairs[j][0]} ({pairs[j][1]:.0%})" for j in order[:_CODES]]
        head = "Most likely categories, by KL: "
    else:
        parts = [f"{names.words(j)}: {resolved.code[j]:.2f}" for j in order[:_CODES]]
        head = "Codes, by KL: "
    if not parts:
        return "No latent is active."
    more = f", and {len(order) - _CODES} more" if len(order) > _CODES else ""
    return head + ", ".join(parts) + more


def _show_nearest(images: Images, chosen: Chosen) -> None:
    rows = chosen.near.rows.tolist()
    if not rows:
        return
    st.markdown("**Nearest in code space**")
    with st.container(horizontal=True, gap="small", key="nearest"):
        distances = chosen.near.distances
        for each, distance, picture in zip(rows, distances, chosen.thumbnails, strict=True):
            number = images.encoded.numbers[each]
            st.button(
                f"![image {number}]({picture})",
                key=f"nearest-{each}",
                help=f"Image {number:,}, {distance:.2f} standard deviations away. Click to start "
                "from it.",
                on_click=images.choose,
                args=(each,),
            )
    st.caption(
        "By the Euclidean distance of the mean codes, each active latent in units of its standard "
        "deviation over the set. Click one to start from it."
    )
