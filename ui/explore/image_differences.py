"""What differs between images A and B in one model: factors, latents, and a path from A to B."""

from collections.abc import Sequence

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from dvae_core.analysis.path import (
    LatentChange,
    LatentPath,
    image_distances,
    latent_changes,
    leading_changes,
    path_between,
)
from dvae_core.analysis.traversal import decode_codes, interpolate, to_pixels
from dvae_core.figures.latent_data import path_curve
from dvae_core.runs.names import LatentNames
from ui.boards import BoardView
from ui.cached import COMPUTING
from ui.charts import NO_TOOLBAR
from ui.errors import plain
from ui.explore.second_image import take_over
from ui.explore.two_images import ImagePair
from ui.images import show_film
from ui.start_picker import factors_of_start
from ui.view import choose_part

MOST_STEPS = 12
"""Latents that the list and the path show one by one; the others differ least."""
LEAST_SHARE = 0.005
"""Of the difference, for a row in the list and a step of the path."""
NEAR = 0.1
"""Share of the distance to B below which an image counts as near to it."""
WALK_IMAGES = 11
WALKS = {"latents": "One latent at a time", "straight": "All at once"}


def show_differences(pair: ImagePair) -> None:
    """Which factors and which latents differ, and the path from A to B."""
    first, second = pair.views
    changes = [
        change
        for change in latent_changes(first.code, second.code, first.profile.scales())
        if change.share > 0
    ]
    if not changes:
        st.info(
            "A and B have the same code. Choose another start in the side bar, or another image B."
        )
        return
    factors = _differing_factors(pair)
    st.markdown(_summary(changes, factors, pair.names))
    shown = [change for change in changes[:MOST_STEPS] if change.share >= LEAST_SHARE]
    if factors:
        left, right = st.columns([7, 2], gap="medium")
        with right:
            _show_factors(factors)
    else:
        left = st.container()
    with left, st.container(key="latent-changes", gap="xsmall"):
        for change in shown:
            _show_change(pair, change)
        if len(changes) > len(shown):
            others = changes[len(shown) :]
            rest = sum(change.share for change in others)
            plural = "s" if len(others) > 1 else ""
            amount = "less than 1%" if rest < 0.01 else f"{rest:.0%}"
            st.caption(f"{len(others)} more latent{plural} with {amount} in all.")
    _show_path(pair, [change.latent for change in shown])


def _differing_factors(pair: ImagePair) -> list[tuple[str, int, int]] | None:
    """Name and values in A and B of each factor that differs; None where they are not known."""
    if pair.dataset is None:
        return None
    first, second = (factors_of_start(each.start, pair.dataset) for each in pair.explorations)
    if first is None or second is None:
        return None
    triples = zip(pair.dataset.factor_names, first, second, strict=True)
    return [(name, a, b) for name, a, b in triples if a != b]


def _summary(
    changes: Sequence[LatentChange],
    factors: Sequence[tuple[str, int, int]] | None,
    latent_names: LatentNames,
) -> str:
    leading = leading_changes(changes)
    share = sum(change.share for change in leading)
    latents = [plain(latent_names.words(change.latent)) for change in leading]
    where = _listed(latents)
    if len(latents) > MOST_STEPS:
        where = f"{len(latents)} latents"
    words = f"**{share:.0%}** of the difference of the codes is in **{where}**."
    if factors is None:
        return words
    if not factors:
        return f"The images have the same factors. {words}"
    names = [f"**{plain(name)}**" for name, *_ in factors]
    return f"The images differ in {_listed(names)}. {words}"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _show_factors(factors: Sequence[tuple[str, int, int]]) -> None:
    rows = [f"| {plain(name)} | {a} | {b} |" for name, a, b in factors]
    st.markdown("\n".join(["| true factor | A | B |", "|---|--:|--:|", *rows]))


def _show_change(pair: ImagePair, change: LatentChange) -> None:
    """One latent: its share, its values and what it carries; a click shows it on the boards."""
    latent, profile = change.latent, pair.views[0].profile
    a, b = (code[latent] for code in pair.codes)
    carries, information = profile.carries(latent)
    # Adding 0 to what is rounded leaves no minus before a zero.
    facts = [f"{round(a, 2) + 0:.2f} → {round(b, 2) + 0:.2f}".replace("-", "−")]
    if carries:
        facts.append(f"{plain(carries)} {information:.0%}")
    if profile.kl.any():  # there is none without an encoder
        facts.append(f"{profile.kl[latent]:.2f} nats")
    with st.container(horizontal=True, vertical_alignment="center", gap="xsmall"):
        st.button(
            plain(pair.names.words(latent)),
            key=f"{pair.key}-show-{latent}",
            type="tertiary",
            width=120,
            help="Show this latent on the boards.",
            on_click=_choose,
            args=(pair, latent),
        )
        st.progress(min(change.share, 1.0), width=120)
        st.markdown(f"**{change.share:.0%}**", width=48)
        with st.container(horizontal=True, wrap=False, vertical_alignment="center", width=400):
            st.caption(" · ".join(facts), width="stretch")
            st.button(
                "Take over",
                icon=":material/move_down:",
                key=f"{pair.key}-take-{latent}",
                help=f"Set latent {latent} of image A to its value in image B.",
                on_click=take_over,
                args=(pair.explorations, pair.codes, latent),
            )


def _choose(pair: ImagePair, latent: int) -> None:
    pair.explorations[0].latent = latent


def _show_path(pair: ImagePair, latents: Sequence[int]) -> None:
    """Decoded images on the way from A to B, and their distance to B."""
    view = pair.views[0]
    code_a, code_b = (each.code for each in pair.views)
    with COMPUTING:
        path = path_between(view.model, code_a, code_b, latents)
        straight = decode_codes(view.model, interpolate(code_a, code_b, WALK_IMAGES))
    distances = image_distances(straight, path.images[-1])
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.subheader("From A to B", anchor=False, width="stretch")
        walk = choose_part(
            "Path", "path", WALKS, key="path", default="latents", label_visibility="collapsed"
        )
    if walk == "straight":
        shares = np.linspace(0, 1, WALK_IMAGES)
        show_film(to_pixels(straight), ["A", *(f"{share:.0%}" for share in shares[1:-1]), "B"])
    else:
        show_film(to_pixels(path.images), _captions(path, view))
    st.markdown(_comparison(path, distances))
    st.plotly_chart(
        path_curve(path, distances, view.names), key=f"{pair.key}-curve", config=NO_TOOLBAR
    )


def _captions(path: LatentPath, view: BoardView) -> list[str]:
    captions = ["A"]
    for latent in path.latents.tolist():
        name = f"{view.names.short_words(latent)}\n{view.profile.carries(latent)[0]}"
        captions.append("all others" if latent < 0 else name)
    return captions


def _comparison(path: LatentPath, straight: NDArray[np.float64]) -> str:
    """How soon both ways come near to B."""
    limit = NEAR * path.distances[0]
    steps = int((path.distances <= limit).argmax())
    way = float(np.linspace(0, 1, len(straight))[(straight <= limit).argmax()])
    return (
        f"The first **{steps} of {len(path.latents)}** steps remove {1 - NEAR:.0%} of the decoded "
        f"image's distance to B. With all latents at once, this takes **{way:.0%}** of the way."
    )
