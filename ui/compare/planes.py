"""The grid of two factors in the plane of the latents that encode them: one panel per run."""

from collections.abc import Sequence
from functools import partial
from itertools import product

import numpy as np
import streamlit as st

from dvae_core.analysis.axis_angles import FactorGrid, FactorPlane, factor_grid, factor_plane
from dvae_core.analysis.traversal import to_pixels
from dvae_core.data.dataset import Dataset
from dvae_core.evaluation.information import countable, information_of_countable
from dvae_core.evaluation.metrics.mig import mig
from dvae_core.evaluation.representation import Representation
from dvae_core.figures.latent_plane import draw_plane
from dvae_core.models.vae import VAE
from dvae_core.runs.names import NO_NAMES, LatentNames
from ui.errors import plain
from ui.latent_plane import Panel, latent_planes
from ui.link import current_view, set_view
from ui.selection import Start
from ui.start_picker import factors_of_start
from ui.widgets import choose

STRAIGHT = 0.6  # R² of the linear map, below which its angles say little
CLEAR_DEGREES = 5.0
OWN = 0.9  # share of the variation along an axis from which on the axis is that of one factor
CLEAR_SHARE = 0.1
# Parts of the link that name the factors of the plane, and the labels of their boxes.
FACTORS = {"one": "One factor", "other": "Another factor"}


def choose_factors(dataset: Dataset, points: Sequence[Representation]) -> tuple[int, int] | None:
    """Two factors, by name, which the link says; None, and a word, where there are no two.

    Args:
        dataset: of the runs.
        points: of both runs; by default, the factors are the two that they encode best.
    """
    varying = [factor for factor, size in enumerate(dataset.factor_sizes) if size > 1]
    if len(varying) < 2:
        st.info(plain(f"{dataset.name} has no two factors that span a grid."))
        return None
    if len(varying) == 2:
        return varying[0], varying[1]
    names = {dataset.factor_names[factor]: factor for factor in varying}
    chosen = []
    for part, default in zip(FACTORS, _best_encoded(varying, points), strict=True):
        factor = names.get(current_view().get(part, ""), default)
        choose(
            FACTORS[part],
            {factor: name for name, factor in names.items()},
            factor,
            name=f"compare-{dataset.name}-{part}",
            take=partial(_keep_factor, part, dataset.factor_names),
            label_visibility="collapsed",
            width=220,
        )
        chosen.append(factor)
    first, second = chosen
    if first == second:
        st.info("Choose two different factors.")
        return None
    return first, second


def _keep_factor(part: str, names: Sequence[str], factor: int) -> None:
    set_view(**{part: names[factor]})


def _best_encoded(varying: Sequence[int], points: Sequence[Representation]) -> tuple[int, int]:
    """The two factors of which single latents of both runs hold the largest shares, in order."""
    shares = []
    for run in points:
        found = information_of_countable(run.codes, run.factors)
        shares.append(found.matrix.max(0) / np.maximum(found.factor_entropy, 1e-9))
    total = np.sum(shares, axis=0)
    first, second = sorted(sorted(varying, key=lambda factor: -total[factor])[:2])
    return first, second


def grid_around(dataset: Dataset, start: Start | None, pair: tuple[int, int]) -> FactorGrid:
    """The grid of two factors; the others stay as at the start, or typical."""
    factors = factors_of_start(start, dataset) or dataset.typical_factors()
    return factor_grid(dataset, list(factors), pair)


def mig_of_countable(points: Representation) -> float | None:
    """MIG of the factors that can be counted; None without any, or with a single latent."""
    counted = countable(points.factors)
    if points.codes.shape[1] < 2 or not counted.any():
        return None
    return mig(points.codes, points.factors[:, counted])


def plane_panel(
    title: str,
    model: VAE,
    points: Representation,
    dataset: Dataset,
    grid: FactorGrid,
    latent_names: LatentNames = NO_NAMES,
) -> tuple[Panel, FactorPlane]:
    """The panel of one run, and what it shows.

    Raises:
        EvaluationError: the model has one latent, or its codes do not vary over the grid.
    """
    plane = factor_plane(model, points, grid)
    first, second = (dataset.factor_names[factor] for factor in grid.pair)
    picture = draw_plane(
        plane.codes,
        plane.latents,
        (first, second),
        bounded=model.latents.num_categories is not None,
        arrows=plane.fitted.matrix,
        centre=plane.fitted.centre,
        latent_names=latent_names,
    )
    off = np.degrees(plane.fitted.angles)
    note = f"{first} {off[0]:.0f}° and {second} {off[1]:.0f}° off the nearest axis"
    note += f" (linear fit R² {plane.fitted.r_squared:.2f})"
    if (score := mig_of_countable(points)) is not None:
        note = f"MIG {score:.3f} · {note}"
    return Panel(title, note, picture), plane


def verdict(names: Sequence[str], planes: Sequence[FactorPlane]) -> str:
    """Which of two runs lies nearer to its axes, in one sentence.

    Args:
        names: of the two runs.
        planes: of the two runs, over the same grid.
    """
    bent = [
        name for name, plane in zip(names, planes, strict=True) if plane.fitted.r_squared < STRAIGHT
    ]
    if bent:
        shares = [float(plane.own_shares.mean()) for plane in planes]
        said = f"{shares[0]:.0%} against {shares[1]:.0%} of the variation along the axes"
        if min(shares) >= OWN:
            found = f"In both runs, each axis follows one of these two factors: {said}."
        elif abs(shares[0] - shares[1]) < CLEAR_SHARE:
            found = f"The axes of both runs follow these two factors about equally well: {said}."
        else:
            first, second = names if shares[0] > shares[1] else reversed(names)
            found = (
                f"The axes of {first} follow these two factors more closely than those of "
                f"{second}: {max(shares):.0%} against {min(shares):.0%} of the variation."
            )
        of_whom = "" if len(bent) == len(names) else f" of {bent[0]}"
        return f"{found} The angles{of_whom} say little: values may lie in another order."
    off = [float(np.degrees(plane.fitted.angles).mean()) for plane in planes]
    angles = f"{off[0]:.0f}° against {off[1]:.0f}°"
    if abs(off[0] - off[1]) < CLEAR_DEGREES:
        return f"Both runs hold these two factors about equally near to their axes: {angles}."
    nearer, other = names if off[0] < off[1] else reversed(names)
    return (
        f"{nearer} holds these two factors nearer to its axes than {other}: {min(off):.0f}° "
        f"against {max(off):.0f}° off on average."
    )


def show_panels(
    panels: Sequence[Panel], dataset: Dataset, grid: FactorGrid, *, key: str, columns: int = 2
) -> None:
    """Panels side by side, over the same grid of images."""
    first, second = (dataset.factor_names[factor] for factor in grid.pair)
    labels = [f"{first} {a}, {second} {b}" for a, b in product(*grid.values)]
    latent_planes(panels, to_pixels(grid.images), labels, key=key, columns=columns)
