"""The method in ten minutes, for someone who knows VAEs: each part with a control on real code."""

import streamlit as st
import torch
from torch import Tensor

from dvae_core.config import FAMILIES, CategoryChoices
from dvae_core.errors import DataError
from dvae_core.models.vae import VAE
from dvae_core.runs.catalog import usable_runs
from ui.cached import st_load_dataset, st_load_model
from ui.errors import errors_shown, plain
from ui.method.discrete import show_discrete_families
from ui.method.latents import show_cardinalities, show_families, show_gap, show_noise
from ui.method.rotation import show_circle_and_grid, show_factors
from ui.method.sections import show_contents
from ui.method.structure import show_factor, show_neighbourhoods
from ui.routing import PAGES
from ui.run_picker import describe, select_run, show_summary
from ui.selection import current_selection
from ui.widgets import choose


def choose_example() -> tuple[VAE | None, Tensor | None]:
    """A categorical run for the parts that need one, and an image of its data."""
    runs = {
        address: run
        for address, run in usable_runs()
        if FAMILIES[run.record.latents].categories == CategoryChoices() and run.record.has_encoder
    }
    if not runs:
        st.sidebar.caption("No categorical run was found, so two sections show no images.")
        return None, None
    selected = current_selection().run
    address = selected if selected in runs else next(iter(runs))
    with st.sidebar:
        choose(
            "Example run",
            {name: describe(name) for name in runs},
            address,
            name="example",
            take=select_run,
            help="A run with categorical latents: the selected one, if it has them.",
        )
        show_summary(runs[address])
    with errors_shown():
        model = st_load_model(runs[address])
        record = runs[address].record
        try:
            dataset = st_load_dataset(record.dataset, record.image_size)
        except DataError as error:
            st.sidebar.caption(plain(str(error)))
            return model, None
        images = dataset.sample_images(1, torch.Generator(dataset.device).manual_seed(0))
        return model, images[0]
    return None, None


model, image = choose_example()
with st.container(width=880):
    st.title("The method", anchor=False)
    st.markdown(
        "What a variational autoencoder may gain when its latents are **ordered categories on a "
        "grid** instead of normal distributions. A ten-minute introduction for readers who know "
        "VAEs. Every control runs the code that trains and evaluates the models of this project."
    )
    show_contents()
    show_families()
    show_circle_and_grid()
    show_factors()
    show_noise()
    show_gap(model, image)
    show_neighbourhoods(model, image)
    show_factor()
    show_cardinalities()
    show_discrete_families()
    st.subheader("Source", anchor="source")
    st.markdown(
        "David Friede, Christian Reimers, Heiner Stuckenschmidt and Mathias Niepert: *Learning "
        "Disentangled Discrete Representations*, ECML PKDD 2023, "
        "[arXiv:2307.14151](https://arxiv.org/abs/2307.14151); details as in the authors' "
        "reference implementation, repository david-friede/lddr. FactorVAE: Kim and Mnih, "
        "*Disentangling by Factorising*, ICML 2018. QLAE: Hsu et al., *Disentanglement via Latent "
        "Quantization*, NeurIPS 2023. Tripod: Hsu et al., ICML 2024. FactorQVAE: Baykal et al., "
        "*Disentanglement with Factor Quantized Variational Autoencoders*, 2024."
    )
    st.page_link(PAGES / "compare.py", label="See it on two models", icon=":material/compare:")
