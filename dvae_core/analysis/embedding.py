"""Codes as points of a plane: principal components, and UMAP where it is installed."""

from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

from dvae_core.analysis.encoded import EncodedSet
from dvae_core.errors import EvaluationError

JITTER = 0.35
"""Largest shift of a point in `latent_plane`, in mean distances of neighbouring categories."""


@dataclass(frozen=True)
class Embedding:
    """Codes of n images in two dimensions.

    Attributes:
        method: name, for a title.
        points: float64 (n, 2).
        explained: share of the codes' variance along each axis, (2,); None if the axes have no
            such meaning.
        axes: names of the axes; None for the method with a number.
    """

    method: str
    points: NDArray[np.float64]
    explained: NDArray[np.float64] | None
    axes: tuple[str, str] | None = None


def latent_plane(encoded: EncodedSet, x: int, y: int, seed: int = 0) -> Embedding:
    """The mean codes of two latents, (n, 2).

    Confident posteriors of categorical latents put many images on one spot. Their points are moved
    at random by up to 0.35 of the mean distance between neighbouring categories, so that categories
    stay apart; points of Gaussian latents stay where they are.

    Args:
        encoded: codes of n images.
        x: index of one latent.
        y: index of the other.
        seed: of the shifts, which are the same for each row every time.

    Raises:
        EvaluationError: there is no such latent.
    """
    encoded.check_latent(x)
    encoded.check_latent(y)
    points = encoded.codes[:, [x, y]].astype(np.float64)
    if encoded.categories is not None:
        categories = np.ptp(encoded.categories[:, [x, y]], axis=0)
        steps = np.ptp(points, axis=0) / np.maximum(categories, 1)
        points += steps * np.random.default_rng(seed).uniform(-JITTER, JITTER, points.shape)
    return Embedding("latents", points, None, (f"latent {x}", f"latent {y}"))


def principal_components(encoded: EncodedSet) -> Embedding:
    """The first two principal components of the mean codes, (n, 2) (Pearson 1901).

    Codes are centred but not scaled, so that latents that hardly vary hardly count. The largest
    weight of each component is positive. With one latent, the second coordinate is 0.

    Raises:
        EvaluationError: there are fewer than two images, or all have the same code.
    """
    codes = encoded.codes.astype(np.float64)
    centred = codes - codes.mean(axis=0)
    total = np.square(centred).sum()
    if len(codes) < 2 or total == 0:
        raise EvaluationError(
            f"principal components need codes that differ, but {len(codes)} images have the same"
        )
    # Of the covariance (N, N) rather than of the codes (n, N): n may be a million.
    variances, weights = np.linalg.eigh(centred.T @ centred)
    order = np.argsort(-variances, kind="stable")[:2]
    components = weights[:, order]  # (N, 2)
    largest = np.abs(components).argmax(axis=0)
    components = components * np.sign(components[largest, np.arange(components.shape[1])])
    missing = 2 - components.shape[1]
    points = np.pad(centred @ components, ((0, 0), (0, missing)))
    explained = np.pad(np.maximum(variances[order], 0) / total, (0, missing))
    return Embedding("principal components", points, explained)


def is_umap_installed() -> bool:
    """Whether `umap_embedding` finds its package."""
    return find_spec("umap") is not None


def umap_embedding(encoded: EncodedSet, num_neighbours: int = 15, seed: int = 0) -> Embedding:
    """UMAP of the mean codes, (n, 2) (McInnes et al. 2018), each latent in units of its standard
    deviation over the set and without latents that are not active.

    Args:
        encoded: codes of n images.
        num_neighbours: neighbours of a point whose distances are kept; more show coarser structure.
        seed: of the optimisation.

    Raises:
        EvaluationError: umap-learn is not installed, there are too few images, or no latent is
            active.
    """
    if not 2 <= num_neighbours < len(encoded):
        raise EvaluationError(
            f"num_neighbours is {num_neighbours}, but must be from 2 to {len(encoded) - 1}, fewer "
            f"than the images"
        )
    codes = encoded.scaled_codes()[:, encoded.scales() > 0]
    if not codes.shape[1]:
        raise EvaluationError("no latent is active (mean KL above 0.05 nats), so no images differ")
    try:
        umap = import_module("umap")
    except ImportError:
        raise EvaluationError(
            "UMAP needs the package umap-learn: install it with 'pip install umap-learn', or use "
            "principal components"
        ) from None
    reducer = umap.UMAP(n_components=2, n_neighbors=num_neighbours, random_state=seed, n_jobs=1)
    return Embedding("UMAP", np.asarray(reducer.fit_transform(codes), dtype=np.float64), None)
