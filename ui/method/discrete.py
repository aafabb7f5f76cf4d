"""Method: four families of discrete latents on one line."""

import numpy as np
import streamlit as st
import torch

from dvae_core.config import FAMILIES, FamilyName
from dvae_core.figures.category_lines import CategoryLine, category_lines
from dvae_core.figures.style import FAMILY_COLORS
from dvae_core.models.latents import CategoricalLatents
from ui.charts import NO_TOOLBAR
from ui.method.latents import peaks
from ui.method.sections import show_heading

SAMPLES = 4_000
_LOGIT_WIDTH = 0.25
_SAYS: dict[FamilyName, str] = {
    "categorical": "free logits · fixed values · Gumbel noise",
    "qvae": "distances · learnt, shared values · Gumbel noise",
    "quantized": "the nearest · learnt values of its own · no noise",
    "fsq": "the nearest to the tanh · fixed values · no noise",
}


@st.fragment
def show_discrete_families() -> None:
    """What each family draws where its encoder points at one place."""
    show_heading("discrete-families")
    st.markdown(
        "Later methods also place categories on a line, but differ in three choices: where the "
        "logits come from, what the values are, and how a code is drawn. **QVAE** and **QLAE** "
        "learn the values; shown are their initial ones. Except in the first family, the encoder "
        "outputs one scalar for each latent (the triangle; of FSQ, its tanh). **QLAE** and "
        "**FSQ** take the nearest value: the posterior is a point, its KL is $\\ln K$ for every "
        "image, and there is no straight-through gap. Weight decay (QLAE), or penalties on the "
        "batch and on the decoder (Tripod, on FSQ), replace the KL there."
    )
    with st.container(horizontal=True):
        scalar = st.slider("Encoder's scalar", -1.5, 1.5, 0.3, 0.05, key="discrete-scalar")
        count = st.slider("Categories K", 2, 16, 8, key="discrete-count")
        noise_scale = st.slider("Noise scale s", 0.0, 2.0, 1.0, 0.05, key="discrete-noise")
    lines = [_line(family, scalar, count, noise_scale) for family in _SAYS]
    st.plotly_chart(category_lines(lines), key="discrete-lines", config=NO_TOOLBAR)
    named = zip(_SAYS, lines, strict=True)
    drawn = [f"{FAMILIES[family].label} {_drawn(line)}" for family, line in named]
    st.caption(
        f"Each line shows the values that the decoder reads. Of these, {SAMPLES:,} draws take: "
        f"{', '.join(drawn)}."
    )


def _line(family: FamilyName, scalar: float, count: int, noise_scale: float) -> CategoryLine:
    choices = FAMILIES[family].categories
    assert choices is not None
    latents = CategoricalLatents(1, count, choices=choices)
    pointed = None
    if choices.logits == "encoder":  # a bell around the scalar stands for what an encoder may say
        parameters = peaks(((scalar, 1.0),), _LOGIT_WIDTH, num_categories=count).logits.flatten(1)
    else:
        parameters = torch.tensor([[scalar]])
        pointed = float(np.tanh(scalar)) if choices.logits == "bounded_distance" else scalar
    with torch.inference_mode():
        posterior = latents.posterior(parameters.expand(SAMPLES, -1), noise_scale)
        generator = torch.Generator().manual_seed(0)
        codes = posterior.sample(generator, "straight_through")[:, 0]
        values = latents.category_values[0]
        taken = (codes[:, None] - values).abs().argmin(-1)
        shares = torch.bincount(taken, minlength=count) / SAMPLES
    return CategoryLine(
        f"{FAMILIES[family].label}: {_SAYS[family]}",
        FAMILY_COLORS[family],
        values.double().numpy(),
        shares.double().numpy(),
        pointed,
    )


def _drawn(line: CategoryLine) -> int:
    return int(np.count_nonzero(line.shares))
