"""Rotation, felt: both models' codes turned by an angle, and what each term of the loss says."""

import numpy as np
import streamlit as st

from dvae_core.analysis.rotation import (
    GridMass,
    JointMass,
    costs_by_angle,
    joint_mass,
    losses_of_codes,
    round_normal,
    turned_codes,
    uniform_grid,
)
from dvae_core.analysis.traversal import decode_codes, to_pixels
from dvae_core.figures.compare import Curve, angle_curves, mass_heatmap
from dvae_core.figures.style import FAMILY_COLORS
from dvae_core.models.vae import VAE
from ui.cached import COMPUTING, st_encode_images
from ui.charts import NO_TOOLBAR
from ui.compare.comparison import Comparison, Side
from ui.errors import errors_shown, plain
from ui.expander import show_expander
from ui.images import show_image
from ui.start_picker import ResolvedStart

DEGREES = np.linspace(0.0, 90.0, 46)
Planes = tuple[tuple[int, int], tuple[int, int]]
MASSES = {
    "aggregate": "All images",
    "image": "Current image",
    "made": "Synthetic",
}
SECOND_COLOR = "#e07b39"  # where both runs are of one family

EXPLANATION = """
**What is computed.** Categorical: the joint mass of the two latents, all K₁ × K₂ cells of it, of
one image (the product of its two marginals) or averaged over images. A turned product is no product
any more and does not fall on the grid, so every cell's mass moves to the cell nearest to where the
rotation takes it; what falls beyond the border is clipped to it. *KL* is of that joint mass from
the uniform over these cells. Gaussian: the normal distribution of the two latents (of all
images: the one of the same mean and covariance) with its mean and covariance rotated; *KL* is from
the standard normal, in closed form.

Whole cells that move to whole cells leave holes and heaps, however many there are, and these cost
KL of their own: the ripples. The dashed curve is without them: there each cell's mass lies spread
over its area before it is turned, and what remains is the cost of the border and of dependence.

*Dependence* is the part of the KL that two independent latents cannot have: an encoder of this
family cannot say it, whatever its training. The *reconstruction* is of the current image, from the
expectation of its turned mass, once through a decoder that turns back first, as one trained under
the rotation would, and once through the decoder as it is.
"""


@st.fragment
@errors_shown()
def show_turning(comparison: Comparison, planes: Planes) -> None:
    """The control and its consequences.

    Args:
        comparison: both runs.
        planes: the two latents of each side that are turned.
    """
    with st.container(horizontal=True, vertical_alignment="bottom"):
        degrees = st.slider("Angle", 0, 90, 0, format="%d°", key="angle", width=420)
        kind = st.segmented_control(
            "Codes of",
            list(MASSES),
            format_func=MASSES.__getitem__,
            default="aggregate",
            key="turned-mass",
            required=True,
            help="Synthetic: a uniform mass on the grid, and an off-centre normal with two "
            "equal variances.",
        )
    resolved = comparison.begin()
    masses = [
        _mass(kind, side, comparison.dataset.name, plane, its)
        for side, plane, its in zip(comparison.sides, planes, resolved, strict=True)
    ]
    for column, side, plane, mass, its, test_id in zip(
        st.columns(2), comparison.sides, planes, masses, resolved, ("left", "right"), strict=True
    ):
        with column, st.container(key=f"turned-{test_id}"):
            st.markdown(f"**{plain(side.name)}**, latents {plane[0]} and {plane[1]}")
            _show_terms(mass, degrees)
            _show_images(side.model, its, plane, degrees)
            turned = mass.turned(np.radians(degrees))
            st.plotly_chart(
                mass_heatmap(turned.picture(), plane),
                key=f"mass-{test_id}",
                config=NO_TOOLBAR,
            )
    _show_curves(comparison, planes, masses, resolved, degrees)
    with show_expander("What exactly is computed", "rotation-formula", ":material/functions:"):
        st.markdown(EXPLANATION)


def _mass(
    kind: str, side: Side, dataset_name: str, plane: tuple[int, int], resolved: ResolvedStart
) -> JointMass:
    if kind == "made":
        counts = side.model.latents.category_counts
        return uniform_grid(counts[plane[0]], counts[plane[1]]) if counts else round_normal()
    if kind == "image" and resolved.posterior is not None:
        return joint_mass(resolved.posterior, plane)
    return joint_mass(st_encode_images(side.run, dataset_name), plane)


def _show_terms(mass: JointMass, degrees: int) -> None:
    turned = mass.turned(np.radians(degrees))
    changes = {
        "KL, nats": (mass.kl(), turned.kl()),
        "Dependence, nats": (mass.dependence(), turned.dependence()),
    }
    with st.container(horizontal=True):
        for label, (before, after) in changes.items():
            change = after - before
            st.metric(
                label,
                f"{after:.3f}",
                f"{change:+.3f}" if abs(change) >= 5e-4 else "unchanged",
                delta_color="inverse" if abs(change) >= 5e-4 else "off",
                delta_arrow="auto" if abs(change) >= 5e-4 else "off",
            )
        st.metric("Mass clipped", f"{turned.clipped:.1%}")


def _show_images(model: VAE, resolved: ResolvedStart, plane: tuple[int, int], degrees: int) -> None:
    if resolved.image is None or resolved.posterior is None:
        return
    codes = turned_codes(
        resolved.posterior.mean_code()[0],
        plane,
        joint_mass(resolved.posterior, plane),
        np.radians([degrees]),
    )
    with COMPUTING:
        back, as_it_is = (
            to_pixels(decode_codes(model, chosen))[0]
            for chosen in (codes.turned_back, codes.as_it_is)
        )
    with st.container(horizontal=True, gap="medium"):
        show_image(to_pixels(resolved.image), "original", 96)
        show_image(back, "decoder rotated back", 96)
        show_image(as_it_is, "decoder unchanged", 96)


def _show_curves(
    comparison: Comparison,
    planes: Planes,
    masses: list[JointMass],
    resolved: tuple[ResolvedStart, ResolvedStart],
    degrees: int,
) -> None:
    angles = np.radians(DEGREES)
    kl, reconstruction = [], []
    families = [side.run.record.latents for side in comparison.sides]
    for index, (side, plane, mass, its) in enumerate(
        zip(comparison.sides, planes, masses, resolved, strict=True)
    ):
        color = FAMILY_COLORS[families[index]]
        if index and families[0] == families[1]:
            color = SECOND_COLOR
        costs = costs_by_angle(mass, angles)
        kl.append(Curve(side.name, color, costs.kl))
        kl.append(Curve(f"{side.name}, dependence", color, costs.dependence, "dot"))
        if isinstance(mass, GridMass):
            kl.append(Curve(f"{side.name}, cells spread", color, costs.kl_spread, "dash"))
        if its.posterior is not None and its.image is not None:
            code = its.posterior.mean_code()[0]
            codes = turned_codes(code, plane, joint_mass(its.posterior, plane), angles)
            with COMPUTING:
                losses = losses_of_codes(side.model, its.image, codes.turned_back)
            reconstruction.append(Curve(side.name, color, losses))
    charts = {
        "KL of the two latents, nats": kl,
        "Reconstruction of the image, nats": reconstruction,
    }
    for column, (unit, curves) in zip(st.columns(2), charts.items(), strict=True):
        with column:
            if curves:
                st.plotly_chart(
                    angle_curves(DEGREES, curves, degrees, unit), key=unit, config=NO_TOOLBAR
                )
