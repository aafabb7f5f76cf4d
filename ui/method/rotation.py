"""Method: what a rotation of two latents costs each family, and where factors lie therefore."""

import numpy as np
import streamlit as st

from dvae_core.analysis.rotation import JointMass, NormalMass, uniform_grid
from dvae_core.figures.compare import Curve, mass_heatmap
from dvae_core.figures.style import FAMILY_COLORS
from dvae_core.runs.catalog import usable_runs
from dvae_core.runs.run import Run
from ui.cached import (
    ROTATION_IMAGES,
    st_encode_points,
    st_load_dataset,
    st_load_model,
    st_rotation_costs,
)
from ui.charts import NO_TOOLBAR
from ui.compare.planes import grid_around, plane_panel, show_panels, verdict
from ui.compare.rotation import DEGREES, cost_curves, show_curves
from ui.errors import errors_shown, plain
from ui.method.latents import NUM_CATEGORIES
from ui.method.sections import show_heading

EXAMPLES = ("checkpoints/circles-gaussian", "checkpoints/circles-categorical")
PLANE = (0, 1)  # these runs have two latents


@st.fragment
def show_circle_and_grid() -> None:
    """The two priors of two latents, rotated, and what that costs two models."""
    show_heading("circle-and-grid")
    st.markdown(
        "A standard normal over two latents is the same in every direction, like a circle. If a "
        "model rotates all its codes, each image pays the same KL as before, and a decoder that "
        "rotates back gives the same images. Nothing in the loss says which way the axes point. "
        "(Only the encoder's diagonal covariance tells directions apart, and only if the variances "
        "differ.)"
    )
    st.markdown(
        "A uniform grid has rows, columns and a border. Rotated by anything but a quarter turn, "
        "cells leave the grid or land on the same cell. What is charged for that is the "
        "**reconstruction**: images that share a cell cannot be told apart. The KL of an image "
        "hardly changes, since a sharp posterior stays sharp wherever it moves. Most of the price "
        "is that of the border, and an encoder can avoid it: it shrinks the rotated square until "
        "it fits, as the dashed lines below do. Then the codes have fewer cells, which costs "
        "little here. So a grid favours codes that keep to its rows and columns only by a few "
        "nats, and training can still end in another optimum."
    )
    degrees = st.slider("Rotate both by", 0, 90, 20, 5, format="%d°", key="method-angle")
    masses: dict[str, JointMass] = {
        "gaussian": NormalMass(np.zeros(2), np.eye(2)),
        "categorical": uniform_grid(NUM_CATEGORIES),
    }
    for column, (family, mass) in zip(st.columns(2), masses.items(), strict=True):
        turned = mass.turned(np.radians(degrees))
        with column, st.container(key=f"prior-{family}"):
            st.markdown(f"**{family}** prior")
            st.plotly_chart(
                mass_heatmap(turned.picture(), PLANE, degrees),
                key=f"prior-{family}-picture",
                config=NO_TOOLBAR,
            )
            st.metric("Mass clipped at the border", f"{turned.clipped:.1%}")
    examples = _examples()
    if examples is not None:
        with errors_shown():
            _show_costs(examples, degrees)


def show_factors() -> None:
    """The grid of two factors in the planes of two models, as on Compare."""
    show_heading("factors")
    st.markdown(
        "The factors of an image vary independently: every x goes with every y. Such a data set "
        "is itself a grid in a square. If its axes are those of the latents, it fits: nothing "
        "leaves the border or merges; at any other angle, corners stick out, or the square has to "
        "be smaller and has fewer cells. So for the categorical run the loss is lowest along "
        "the axes, by a few nats, and there each latent follows one factor. Other runs end rotated "
        "all the same (docs/results.md). Below, one disc at all its positions, "
        "encoded by one model of each family:"
    )
    examples = _examples()
    if examples is None:
        return
    with errors_shown():
        record = examples[0].record
        dataset = st_load_dataset(record.dataset, record.image_size)
        grid = grid_around(dataset, None, (0, 1))
        drawn = [
            plane_panel(
                run.id, st_load_model(run), st_encode_points(run, dataset.name), dataset, grid
            )
            for run in examples
        ]
        show_panels([panel for panel, _ in drawn], dataset, grid, key="method-planes")
        st.caption(
            plain(verdict([run.id for run in examples], [plane for _, plane in drawn]))
            + " One run of each family proves nothing. Compare shows several seeds of both runs "
            "where a folder has them."
        )


def _show_costs(examples: tuple[Run, Run], degrees: int) -> None:
    paid: list[Curve] = []
    reconstruction: list[Curve] = []
    changes: list[str] = []
    at = DEGREES.index(degrees)
    for run in examples:
        record = run.record
        costs = st_rotation_costs(run, record.dataset, PLANE, DEGREES)
        of_kl, of_losses = cost_curves(run.id, FAMILY_COLORS[record.latents], costs, run)
        paid += of_kl
        reconstruction += of_losses
        changes.append(
            f"{run.id} {costs.kl[at] - costs.kl[0]:+.2f} nats of KL and "
            f"{costs.reconstruction[at] - costs.reconstruction[0]:+.1f} of reconstruction"
        )
        if record.category_counts:
            changes[-1] += (
                f", or {costs.fitted_kl[at] - costs.kl[0]:+.2f} and "
                f"{costs.fitted_reconstruction[at] - costs.reconstruction[0]:+.1f} if shrunk to fit"
            )
    st.markdown(
        "The same on two trained models, whose codes are rotated and decoded by a decoder that "
        f"rotates back, averaged over {ROTATION_IMAGES} images:"
    )
    show_curves({"KL of an image, nats": paid, "Reconstruction, nats": reconstruction}, degrees)
    st.caption(
        plain(f"At {degrees}°: {'; '.join(changes)}.")
        + " *Shrunk to fit*: the encoder also shrinks the rotated codes until none is beyond the "
        "border, and the decoder enlarges them again. Nothing is clipped then; what is left is the "
        "cost of fewer cells for the same codes."
    )


def _examples() -> tuple[Run, Run] | None:
    runs = dict(usable_runs())
    if not all(address in runs for address in EXAMPLES):
        st.caption("The shipped runs on circles are missing, so no model is shown here.")
        return None
    return runs[EXAMPLES[0]], runs[EXAMPLES[1]]
