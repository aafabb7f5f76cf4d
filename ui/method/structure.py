"""Method: neighbourhoods of categories, and FactorDVAE."""

import numpy as np
import streamlit as st
import torch
from torch import Tensor

from dvae_core.analysis.rotation import GridMass, uniform_grid
from dvae_core.analysis.traversal import category_distances, distance_by_steps
from dvae_core.figures.compare import distance_curve, distance_heatmap, mass_heatmap
from dvae_core.models.vae import VAE
from ui.cached import COMPUTING
from ui.charts import NO_TOOLBAR
from ui.method.latents import NUM_CATEGORIES
from ui.method.sections import show_heading


@st.fragment
def show_neighbourhoods(model: VAE | None, image: Tensor | None) -> None:
    """How far apart the images of two categories are, on a real run.

    Args:
        model: of either family, or None.
        image: (C, H, W), whose other latents are kept.
    """
    show_heading("neighbours")
    st.markdown(
        "Plain categories have no order: the third is no nearer to the second than to the "
        "ninth. Positions on a line give them one. A soft code averages neighbouring "
        "categories, so the decoder is trained on the positions between them, and neighbours "
        "come to decode to similar images. Measured on a run, with the other latents fixed at "
        "an image of its data:"
    )
    if model is None or image is None:
        st.caption("With a categorical run, this section shows the distances.")
        return
    latent = st.segmented_control(
        "Latent",
        range(model.latents.num_latents),
        default=0,
        required=True,
        key="neighbourhood-latent",
    )
    with torch.inference_mode(), COMPUTING:
        code = model.encode(image[None]).mean_code()[0]
        values = model.latents.traversal_values(latent)
        distances = category_distances(model, code, latent, values)
    by_steps = distance_by_steps(distances)
    left, right = st.columns(2)
    with left:
        st.plotly_chart(distance_heatmap(distances), key="neighbourhood-pairs", config=NO_TOOLBAR)
    with right:
        st.plotly_chart(distance_curve(by_steps), key="neighbourhood-steps", config=NO_TOOLBAR)
    far = by_steps[len(by_steps) // 2]
    st.caption(
        f"Root mean square difference of pixels. Neighbours differ by {by_steps[0]:.3f}, "
        f"categories {len(by_steps) // 2 + 1} apart by {far:.3f}."
    )


@st.fragment
def show_factor() -> None:
    """Total correlation of two latents that follow each other."""
    show_heading("factor")
    st.markdown(
        "Axis-aligned latents can still encode the same thing twice. FactorDVAE adds the "
        "**total correlation** of the aggregate posterior $q(z)$, over all images, to the loss: "
        "its KL from the product of its marginals. A discriminator $D$ estimates it by telling "
        "codes from codes whose latents were shuffled independently within the batch."
    )
    st.latex(
        r"\begin{gathered}\mathcal{L} = \mathbb{E}\,[-\ln p(x\,|\,z)]"
        r" + \mathrm{KL}(q(z|x)\,\|\,\mathrm{uniform})\\"
        r"{} + \gamma\,\mathrm{KL}\Big(q(z)\,\Big\|\,\prod_i q(z_i)\Big)\\"
        r"\mathrm{KL} \approx \mathbb{E}\,[D_0(z) - D_1(z)]\end{gathered}"
    )
    with st.container(horizontal=True):
        follows = st.slider("Dependence of the two latents", 0.0, 1.0, 0.6, 0.05, key="follows")
        gamma = st.slider("γ", 0, 100, 30, 10, key="gamma")
    joint = grid_mass_following(follows)
    masses = {"joint, q(z)": joint, "shuffled, product of the marginals": joint.apart()}
    for index, (column, (name, mass)) in enumerate(zip(st.columns(2), masses.items(), strict=True)):
        with column:
            st.markdown(f"**{name}**")
            st.plotly_chart(
                mass_heatmap(mass.picture(), (0, 1)),
                key=f"factor-{index}",
                config=NO_TOOLBAR,
            )
    with st.container(horizontal=True):
        st.metric("Total correlation", f"{joint.dependence():.3f} nats")
        st.metric("Its contribution to the loss", f"{gamma * joint.dependence():.1f} nats")
    st.caption(
        "Exact here, as a sum over the grid. With ten latents, only an estimate is feasible."
    )


def grid_mass_following(share: float) -> GridMass:
    """A made aggregate: this share of its mass lies along the diagonal, the rest is uniform."""
    grid = uniform_grid(NUM_CATEGORIES)
    down, across = grid.values[0][:, None], grid.values[1][None, :]
    band = np.exp(-0.5 * ((down - across) / 0.15) ** 2)
    return GridMass(share * band / band.sum() + (1 - share) * grid.mass, grid.values)
