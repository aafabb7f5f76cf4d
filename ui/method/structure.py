"""Method, second half: why a grid resists rotation, neighbourhoods, FactorDVAE."""

import numpy as np
import streamlit as st
import torch
from torch import Tensor

from dvae_core.analysis.rotation import (
    GridMass,
    JointMass,
    NormalMass,
    costs_by_angle,
    uniform_grid,
)
from dvae_core.analysis.traversal import category_distances, distance_by_steps
from dvae_core.figures.compare import (
    Curve,
    angle_curves,
    distance_curve,
    distance_heatmap,
    mass_heatmap,
)
from dvae_core.figures.style import FAMILY_COLORS
from dvae_core.models.vae import VAE
from ui.cached import COMPUTING
from ui.charts import NO_TOOLBAR
from ui.compare.rotation import DEGREES

NUM_CATEGORIES = 16


@st.fragment
def show_circle_and_grid() -> None:
    """The two priors of two latents, turned."""
    st.subheader("4 · The circle and the grid")
    st.markdown(
        "A standard normal over two latents is the same in every direction. A Gaussian latent "
        "space can therefore be rotated at no cost in the KL from the prior: nothing makes the "
        "factors align with the axes. A uniform grid has edges and corners. Rotated by anything "
        "but a quarter turn, part of its mass leaves the border, and the rest is neither "
        "uniform nor a product of two latents, which costs KL. This favours axes that align "
        "with the factors, but does not guarantee them: training can still end in a poor optimum."
    )
    st.latex(
        r"\begin{gathered}\mathrm{KL}\big(R_\theta\,q \,\|\, \mathcal{N}(0, I)\big) = "
        r"\mathrm{KL}\big(q \,\|\, \mathcal{N}(0, I)\big)\\ \text{for every angle }\theta"
        r"\end{gathered}"
    )
    degrees = st.slider("Rotate both by", 0, 90, 20, format="%d°", key="method-angle")
    masses: dict[str, JointMass] = {
        "gaussian": NormalMass(np.zeros(2), np.eye(2)),
        "categorical": uniform_grid(NUM_CATEGORIES),
    }
    for column, (family, mass) in zip(st.columns(2), masses.items(), strict=True):
        turned = mass.turned(np.radians(degrees))
        with column, st.container(key=f"prior-{family}"):
            st.markdown(f"**{family}**")
            st.plotly_chart(
                mass_heatmap(turned.picture(), (0, 1)),
                key=f"prior-{family}-picture",
                config=NO_TOOLBAR,
            )
            with st.container(horizontal=True):
                st.metric("KL from the prior", f"{turned.kl():.3f} nats")
                st.metric("Mass clipped", f"{turned.clipped:.1%}")
    curves = []
    for family, mass in masses.items():
        costs = costs_by_angle(mass, np.radians(DEGREES))
        curves.append(Curve(family, FAMILY_COLORS[family], costs.kl))
        if isinstance(mass, GridMass):
            name = f"{family}, cells spread"
            curves.append(Curve(name, FAMILY_COLORS[family], costs.kl_spread, "dash"))
    st.plotly_chart(
        angle_curves(DEGREES, curves, degrees, "KL, nats"), key="prior-curves", config=NO_TOOLBAR
    )
    st.caption(
        "Each cell's mass moves to the cell nearest its rotated position, clipped at the "
        "border. Moving whole cells leaves gaps and pile-ups, which cost KL of their own; for "
        "the dashed curve, each cell's mass is first spread over its area, so that only the "
        "cost of the border remains. Compare does the same with the codes of real models."
    )


@st.fragment
def show_neighbourhoods(model: VAE | None, image: Tensor | None) -> None:
    """How far apart the images of two categories are, on a real run.

    Args:
        model: of either family, or None.
        image: (C, H, W), whose other latents are kept.
    """
    st.subheader("5 · Ordered categories have neighbours")
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
    st.subheader("6 · FactorDVAE: asking for independence")
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
