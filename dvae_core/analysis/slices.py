"""Slices of an encoded set: its report beside that of the whole set, and the worst images in it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dvae_core.analysis.conditions import Mask
from dvae_core.analysis.encoded import EncodedSet
from dvae_core.analysis.latent_data import categories_or_bins, information_of_points
from dvae_core.errors import EvaluationError
from dvae_core.evaluation.information import PAPER_BINS

MIN_POINTS = 50
"""Points in a slice without which no information is counted, however few categories there are."""


@dataclass(frozen=True)
class SliceReport:
    """Means and information over a slice, beside those over the whole encoded set.

    Attributes:
        count: images in the slice.
        total: images in the set, n.
        loss: mean reconstruction loss in the slice, nats.
        total_loss: the same over the set, nats.
        kl: mean KL of each latent in the slice, nats, (N,).
        total_kl: the same over the set, nats, (N,).
        factor_names: (F,).
        information: mutual information of latents and factors in the slice, nats, (N, F); nan where
            `undefined` says why.
        total_information: the same over the set, nats, (N, F).
        undefined: for each factor why there is no information in the slice, or "", (F,).
        total_undefined: the same of the set, (F,).
    """

    count: int
    total: int
    loss: float
    total_loss: float
    kl: NDArray[np.float64]
    total_kl: NDArray[np.float64]
    factor_names: tuple[str, ...]
    information: NDArray[np.float64]
    total_information: NDArray[np.float64]
    undefined: tuple[str, ...]
    total_undefined: tuple[str, ...]


def slice_report(encoded: EncodedSet, mask: Mask) -> SliceReport:
    """Means and information over a slice, beside those over the whole set.

    Information is between the most likely categories, or mean codes in 20 equal-width bins over the
    whole set, and each factor, with the correction "miller_madow" of `mutual_information_matrix`.
    It needs as many points as the latent with the most categories has (20 for bins), and 50.

    Args:
        encoded: codes of n images.
        mask: the slice, (n,).

    Raises:
        EvaluationError: the mask is malformed, or the slice is empty.
    """
    if mask.shape != (len(encoded),) or mask.dtype != np.bool_:
        raise EvaluationError(
            f"the mask is {mask.dtype} {mask.shape}, but must be bool ({len(encoded)},)"
        )
    if not mask.any():
        raise EvaluationError(
            f"none of the {len(encoded):,} images is in the slice: choose a wider condition"
        )
    least = max(MIN_POINTS, *(encoded.category_counts or (PAPER_BINS,)))
    names = encoded.factor_names
    parts = []
    for part in (mask, np.ones_like(mask)):
        if names and len(encoded) >= least:
            cells = categories_or_bins(encoded)[part]
        else:  # binning itself needs points
            cells = np.zeros((np.count_nonzero(part), encoded.num_latents), np.int64)
        parts.append(information_of_points(cells, encoded.factors[part], least))
    (information, undefined), (total_information, total_undefined) = parts
    return SliceReport(
        count=int(np.count_nonzero(mask)),
        total=len(encoded),
        loss=float(encoded.losses[mask].mean(dtype=np.float64)),
        total_loss=float(encoded.losses.mean(dtype=np.float64)),
        kl=encoded.kl[mask].mean(axis=0, dtype=np.float64),
        total_kl=encoded.mean_kl,
        factor_names=names,
        information=information,
        total_information=total_information,
        undefined=undefined,
        total_undefined=total_undefined,
    )


def worst_reconstructions(
    encoded: EncodedSet, count: int, mask: Mask | None = None
) -> NDArray[np.int64]:
    """Rows of the images with the greatest reconstruction loss, the worst first, int64 (B,). Of
    equal losses the lower row comes first.

    Args:
        encoded: codes of n images.
        count: number of images; all if there are fewer.
        mask: the slice to choose from, (n,); None for all.

    Raises:
        EvaluationError: the count is below 1.
    """
    if count < 1:
        raise EvaluationError(f"count is {count}, but must be at least 1")
    order = np.argsort(-encoded.losses, kind="stable")
    return order[:count] if mask is None else order[mask[order]][:count]


@dataclass(frozen=True)
class PartCount:
    """What one of several conditions leaves.

    Attributes:
        alone: images that meet it.
        without: images that meet all others.
    """

    alone: int
    without: int


def part_counts(masks: Sequence[Mask]) -> list[PartCount]:
    """For each of several conditions (n,), how many images meet it, and how many meet all others:
    which of them is to blame for an empty slice.

    Args:
        masks: one for each condition, bool (n,).
    """
    misses = np.sum([~mask for mask in masks], axis=0) if masks else np.zeros(0)
    return [
        PartCount(int(np.count_nonzero(mask)), int(np.count_nonzero(misses - ~mask == 0)))
        for mask in masks
    ]
