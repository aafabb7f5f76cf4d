"""What one latent encodes: how often each category occurs, and the images in it."""

from collections.abc import Sequence
from functools import partial

import numpy as np
import streamlit as st
import torch

from dvae_core.analysis.conditions import category_condition
from dvae_core.analysis.encoded import EncodedSet, images_of
from dvae_core.analysis.latent_data import (
    LatentData,
    counterfactual_pair,
    latent_data,
)
from dvae_core.analysis.traversal import to_pixels, traverse_latent
from dvae_core.data.dataset import Dataset
from dvae_core.errors import EvaluationError
from dvae_core.evaluation.latent_statistics import ACTIVE_NATS
from dvae_core.figures.latent_data import category_bars, factor_given_category
from dvae_core.models.vae import VAE
from dvae_core.runs.names import LatentNames
from dvae_core.runs.run import Run
from ui.cached import st_category_images, st_load_dataset, st_load_model
from ui.charts import CHART_CONFIG
from ui.encoding import st_encoded_set
from ui.errors import errors_shown, plain
from ui.images import show_grid, show_image
from ui.latent_names import show_search, shown_names
from ui.latents.naming import show_naming
from ui.link import current_view, set_view
from ui.routing import PAGES
from ui.run_picker import choose_run, show_summary
from ui.selection import Exploration, current_selection
from ui.start_picker import resolve_start
from ui.titles import show_title
from ui.view import choose_part
from ui.widgets import choose

ROWS = 10  # categories with images
IMAGES = 8  # of each
PICKS = {"random": "At random", "typical": "Most typical"}
_BINS = 20  # of a Gaussian latent


def load(run: Run) -> tuple[VAE, Dataset, EncodedSet] | None:
    """The model, its data set and their codes; None, with the reason on the page, without them."""
    if not run.record.has_encoder:
        st.info(
            "This model has no encoder, so its latents cannot be compared with images of the "
            "data set. Explore can still traverse them.",
            icon=":material/label_off:",
        )
        return None
    with errors_shown():
        model = st_load_model(run)
        return (
            model,
            st_load_dataset(run.record.dataset, run.record.image_size),
            st_encoded_set(run),
        )
    return None


def choose_latent(
    exploration: Exploration, run: Run, encoded: EncodedSet | None, names: LatentNames
) -> int:
    """The latent of the selection, by default the one with the highest KL, or the first without
    data."""
    order = list(range(run.record.num_latents))
    if encoded is not None:
        order = [int(latent) for latent in np.argsort(-encoded.held)]

    def describe(latent: int) -> str:
        words = names.words(latent)
        return words if encoded is None else f"{words} · {encoded.held[latent]:.2f} nats"

    latent = exploration.latent if exploration.latent in order else order[0]
    choose(
        "Latent",
        {latent: describe(latent) for latent in order},
        latent,
        name=f"{exploration.address}-latents-latent",
        take=partial(setattr, exploration, "latent"),
        help=None
        if encoded is None
        else "In the order of their mean KL; of the entropy of their "
        "categories where the encoder gives no distribution.",
    )
    return latent


def show_heading(run: Run, latent: int, names: LatentNames, data: LatentData | None) -> None:
    """The name of the latent, the factor that it encodes, and its note."""
    factor = data.suggested_name if data is not None else ""
    entry = names.entry(latent)
    if entry is not None and entry.name:
        words, lines = names.words(latent), [f"encodes {factor}"] if factor else []
    else:
        words, lines = f"latent {latent}" + (f": {factor}" if factor else ""), []
    st.subheader(
        f"L{plain(words[1:])}",
        anchor=False,
        help="The factor of which the latent holds the largest share of the entropy, if that is "
        "at least half. This page counts the most likely categories, or 20 bins of a Gaussian "
        "code, with a correction for bias; under the protocol paper, which counts mean codes, "
        "the share may differ."
        if factor
        else None,
    )
    if entry is not None and entry.note:
        lines += entry.note.split("\n")
    if lines:
        st.caption("  \n".join(map(plain, lines)))


def show_numbers(data: LatentData) -> None:
    """KL and use of the latent."""
    if not data.active:
        words = "This latent is inactive: it holds at most 0.05 nats about an image."
        if data.mean_kl > ACTIVE_NATS:
            words += " Its KL is the price of much the same distribution for all images."
        st.info(words, icon=":material/do_not_disturb_on:")
    kind = "Categories" if data.edges is None else "Bins"
    with st.container(horizontal=True, gap="large"):
        st.metric("Mean KL", f"{data.mean_kl:.2f} nats")
        st.metric(
            f"{kind} in use",
            f"{data.effective_categories:.1f} of {len(data.counts)}",
            help="The exponential of the entropy of how often each is that of an image. "
            + (
                "Only the most likely category of an image counts here; “K used” on Factors counts "
                "its whole posterior, and is higher."
                if data.edges is None
                else ""
            ),
        )
        st.metric(
            "Without an image",
            str(len(data.never_visited)),
            help="The boards dim by the aggregate posterior instead, which also counts images that "
            "place a little of their probability here.",
        )


def shown_categories(data: LatentData) -> list[int]:
    """The `ROWS` categories with the most images, ascending; fewer if fewer have any."""
    frequent = np.argsort(-data.counts, kind="stable")[:ROWS]
    return sorted(int(category) for category in frequent if data.counts[category])


def values_of(data: LatentData, model: VAE, categories: Sequence[int]) -> torch.Tensor:
    """The value of each category, or the centre of each bin, (P,)."""
    if data.edges is None:
        return model.latents.traversal_values(data.latent, len(data.counts))[list(categories)]
    centres = (data.edges[:-1] + data.edges[1:]) / 2
    return torch.tensor(centres[list(categories)], dtype=torch.float32)


def show_images(
    exploration: Exploration,
    model: VAE,
    dataset: Dataset,
    encoded: EncodedSet,
    data: LatentData,
    names: LatentNames,
) -> None:
    """The image that the decoder makes of each category, beside real images in it."""
    kind = "category" if data.edges is None else "bin"
    st.subheader(f"Real images of each {kind}", anchor=False)
    pick = choose_part("Images", "pick", PICKS, key="latents-pick", default="random")
    categories = shown_categories(data)
    code = resolve_start(exploration, model, dataset).code
    decoded = to_pixels(
        traverse_latent(model, code, data.latent, values_of(data, model, categories))
    )
    rows = data.typical if pick == "typical" else data.examples
    chosen = [rows[category][:IMAGES] for category in categories]
    images = to_pixels(images_of(dataset, encoded, np.concatenate(chosen)))
    st.caption(
        "Left: the start image with this latent set to the category. Right: images of the data "
        "set whose most likely category it is. If the images on the right share a property, the "
        "category stands for it."
        if data.edges is None
        else "Left: the start image with this latent set to the centre of the bin. Right: images "
        "of the data set whose mean code falls into the bin."
    )
    done = 0
    for category, of_category, picture in zip(categories, chosen, decoded, strict=True):
        row = images[done : done + len(of_category)]
        done += len(of_category)
        with st.container(horizontal=True, vertical_alignment="center", key=f"row-{category}"):
            name = names.name(data.latent, category)
            st.markdown(
                f"{kind} **{category}**  \n"
                + (f"**{plain(name)}**  \n" if name else "")
                + f"{data.counts[category]:,} images",
                width=110,
            )
            show_image(picture, "", 64)
            show_grid(row[None], "")
            if st.button(
                "",
                icon=":material/table_view:",
                key=f"images-of-{category}",
                help=f"All images of this {kind}",
            ):
                where = category_condition(data, category)
                set_view("images", where=where, points="", page="", part="")
                st.switch_page(PAGES / "images.py")
    left_out = int((data.counts > 0).sum()) - len(categories)
    if left_out:
        st.caption(f"These have the most images; {left_out} more have some.")


def show_factors(data: LatentData, latent_names: LatentNames) -> None:
    """The distribution of a factor in each category."""
    st.subheader("How a factor is distributed in each category", anchor=False)
    shares = np.nan_to_num(data.shares)
    order = [int(factor) for factor in np.argsort(-shares, kind="stable")]
    wanted = current_view().get("of", "")
    names = data.factor_names
    factor = names.index(wanted) if wanted in names else order[0]
    choose(
        "Factor",
        {index: f"{names[index]} · {shares[index]:.0%} of its entropy" for index in order},
        factor,
        name="latents-factor",
        take=lambda factor: set_view(of=names[factor]),
        width=320,
    )
    st.plotly_chart(
        factor_given_category(data, factor, latent_names),
        key="latents-given-category",
        config=CHART_CONFIG,
    )
    if reason := data.undefined[factor]:
        st.caption(plain(f"No information: {reason}."))
    else:
        st.caption(
            plain(
                f"The latent holds {data.information[factor]:.2f} of the "
                f"{data.factor_entropy[factor]:.2f} nats of {names[factor]}. Each column is the "
                f"distribution of the factor among the images of a category."
            )
        )


def show_mean_images(run: Run, encoded: EncodedSet, data: LatentData) -> None:
    """Mean and standard deviation of the images of each category."""
    st.subheader("What varies within a category", anchor=False)
    found = st_category_images(run, encoded, data, shown_categories(data))
    show_grid(to_pixels(torch.from_numpy(found.mean))[None], "mean image of each category")
    spread = torch.from_numpy(found.deviation)
    show_grid(to_pixels(2 * spread)[None], "standard deviation of each pixel, times two")


def show_pair(dataset: Dataset, encoded: EncodedSet, data: LatentData) -> None:
    """Two images that differ in this latent and hardly in the others."""
    st.subheader("Two images that differ mostly in this latent", anchor=False)
    try:
        pair = counterfactual_pair(encoded, data.latent)
    except EvaluationError as error:
        st.caption(plain(f"There is no such pair: {error}."))
        return
    images = to_pixels(images_of(dataset, encoded, pair.rows))
    show_grid(images[None], "two images of the data set", thumbnail=128)
    st.caption(
        f"Their codes differ by {pair.difference:.1f} standard deviations in latent {data.latent}, "
        f"and by {pair.distance:.1f} in all other active latents together. Of all pairs of "
        f"{pair.num_compared:,} images, these differ most in this latent and least in the others."
    )


show_title(
    "Latents",
    "What one latent encodes: how often each category occurs, and real images of each.",
)
chosen = choose_run()
if chosen is None:
    st.stop()
address, run = chosen
exploration = current_selection().exploration(address)
with st.sidebar:
    show_summary(run)
loaded = load(run)
encoded = None if loaded is None else loaded[2]
names = shown_names(run)
with st.sidebar:
    latent = choose_latent(exploration, run, encoded, names)
    show_search()
data = None
if encoded is not None:
    data = latent_data(encoded, latent, num_bins=_BINS, examples=IMAGES)
show_heading(run, latent, names, data)
show_naming(run, latent, names, data)
if loaded is None or data is None:
    st.stop()
model, dataset, encoded = loaded
with errors_shown():
    show_numbers(data)
    sampled = f" of {encoded.num_images:,}, drawn at random" if encoded.is_sample else ""
    st.plotly_chart(category_bars(data, names), key="latents-density", config=CHART_CONFIG)
    st.caption(f"From {len(encoded):,} images{sampled}.")
    show_images(exploration, model, dataset, encoded, data, names)
    if data.factor_names:
        show_factors(data, names)
    else:
        show_mean_images(run, encoded, data)
    show_pair(dataset, encoded, data)
    if st.button(f"Open latent {latent} in Explore", icon=":material/tune:", key="latents-explore"):
        exploration.latent = latent
        st.switch_page(PAGES / "explore.py")
