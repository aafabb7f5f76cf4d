"""Both models' codes rotated by an angle, and what each term of the loss makes of it."""

from collections.abc import Mapping, Sequence

import numpy as np
import streamlit as st

from dvae_core.analysis.rotation import (
    JointMass,
    RotationCosts,
    joint_mass,
    round_normal,
    turned_codes,
)
from dvae_core.analysis.traversal import decode_codes, to_pixels
from dvae_core.figures.compare import Curve, angle_curves, mass_heatmap
from dvae_core.figures.style import FAMILY_COLORS, PALETTE
from dvae_core.models.vae import VAE
from dvae_core.runs.run import Run
from ui.cached import COMPUTING, ROTATION_IMAGES, st_encode_images, st_rotation_costs
from ui.charts import NO_TOOLBAR
from ui.compare.comparison import Comparison, Side
from ui.errors import errors_shown, plain
from ui.expander import show_expander
from ui.images import show_image
from ui.start_picker import ResolvedStart

DEGREES = tuple(range(0, 91, 5))
Planes = tuple[tuple[int, int], tuple[int, int]]
MASSES = {
    "aggregate": "All images",
    "image": "Current image",
    "made": "Synthetic",
}

EXPLANATION = f"""
**What training pays.** *KL of an image* is the KL that the loss charges for the rotated code of an
image, averaged over {ROTATION_IMAGES} images. An encoder outputs a product of independent latents,
so it is the KL of the product that is nearest to the rotated posterior. *Reconstruction* is the
loss of the same images from the rotated code, by a decoder that rotates back first, as one that was
trained under the rotation would. *Dependence* is the mutual information of the two latents over all
images. Only an objective with total correlation, such as FactorVAE, charges it.

**How codes are rotated.** Gaussian: mean and covariance rotate, in closed form. Categorical: the
joint mass of the two latents has K₁ x K₂ cells; each cell's mass moves to the cell nearest to where
the rotation takes it, and mass beyond the border is clipped to it. Cells that meet can no longer be
told apart, which the reconstruction pays for. *Shrunk to fit*: the encoder also shrinks the rotated
codes until none is beyond the border, and the decoder enlarges them again. Nothing is clipped then,
but the codes have fewer cells, at 45° half of them.

**The pictures** show the mass of all images, of the current image, or a synthetic one. *KL of the
mass* is from the prior. For all images, no loss contains it.
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
            first, second = (plain(side.names.words(latent)) for latent in plane)
            st.markdown(f"**{plain(side.name)}**, {first} and {second}")
            _show_terms(mass, degrees)
            _show_images(side.model, its, plane, degrees)
            turned = mass.turned(np.radians(degrees))
            st.plotly_chart(
                mass_heatmap(turned.picture(), plane, degrees, side.names),
                key=f"mass-{test_id}",
                config=NO_TOOLBAR,
            )
    _show_curves(comparison, planes, degrees)
    with show_expander("What exactly is computed", "rotation-formula", ":material/functions:"):
        st.markdown(EXPLANATION)


def _mass(
    kind: str, side: Side, dataset_name: str, plane: tuple[int, int], resolved: ResolvedStart
) -> JointMass:
    if kind == "made":
        counts = side.model.latents.category_counts
        return joint_mass(side.model.prior(), plane) if counts else round_normal()
    if kind == "image" and resolved.posterior is not None:
        return joint_mass(resolved.posterior, plane)
    return joint_mass(st_encode_images(side.run, dataset_name), plane)


def _show_terms(mass: JointMass, degrees: int) -> None:
    turned = mass.turned(np.radians(degrees))
    changes = {
        "KL of the mass, nats": (mass.kl(), turned.kl()),
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


def _show_curves(comparison: Comparison, planes: Planes, degrees: int) -> None:
    paid: list[Curve] = []
    dependence: list[Curve] = []
    reconstruction: list[Curve] = []
    families = [side.run.record.latents for side in comparison.sides]
    name = comparison.dataset.name
    for index, (side, plane) in enumerate(zip(comparison.sides, planes, strict=True)):
        color = FAMILY_COLORS[families[index]]
        if index and families[0] == families[1]:
            color = PALETTE[-1]  # both are of one family
        costs = st_rotation_costs(side.run, name, plane, DEGREES)
        aggregate = joint_mass(st_encode_images(side.run, name), plane)
        of_kl, of_losses = cost_curves(side.name, color, costs, side.run)
        paid += of_kl
        reconstruction += of_losses
        along = np.array([aggregate.turned(angle).dependence() for angle in np.radians(DEGREES)])
        dependence.append(Curve(f"{side.name}, dependence", color, along, "dot"))
    charts = {
        "KL of an image, and dependence, nats": paid + dependence,
        "Reconstruction, nats": reconstruction,
    }
    show_curves(charts, degrees)


def cost_curves(
    name: str, color: str, costs: RotationCosts, run: Run
) -> tuple[list[Curve], list[Curve]]:
    """Lines of the KL and of the reconstruction over `DEGREES`; two of each if the run has a grid,
    whose rotated codes can be shrunk until they fit."""
    paid, losses = [Curve(name, color, costs.kl)], [Curve(name, color, costs.reconstruction)]
    if run.record.category_counts:
        fitted = f"{name}, shrunk to fit"
        paid.append(Curve(fitted, color, costs.fitted_kl, "dash"))
        losses.append(Curve(fitted, color, costs.fitted_reconstruction, "dash"))
    return paid, losses


def show_curves(charts: Mapping[str, Sequence[Curve]], degrees: int) -> None:
    """Two charts side by side, by the unit of their curves over `DEGREES`."""
    for column, (unit, curves) in zip(st.columns(2), charts.items(), strict=True):
        with column:
            st.plotly_chart(
                angle_curves(DEGREES, curves, degrees, unit),
                key=f"rotation-{unit}",
                config=NO_TOOLBAR,
            )
