"""Draws of fixed factors and their values, for the FactorVAE and BetaVAE scores."""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from dvae_core.data.dataset import Dataset
from dvae_core.errors import EvaluationError
from dvae_core.evaluation.checks import check_several_factors

BATCH_SIZE = 64  # images, or pairs of images, behind one point


def varying_factors(dataset: Dataset, metric: str) -> NDArray[np.int64]:
    """Indices of the factors with more than one value.

    Raises:
        EvaluationError: there are fewer than two of them.
    """
    check_has_factors(dataset)
    varying = np.flatnonzero(np.array(dataset.factor_sizes) > 1)
    check_several_factors(len(varying), metric)
    return varying


def check_has_factors(dataset: Dataset) -> None:
    """Raise `EvaluationError` for a data set without factors."""
    if not dataset.factor_sizes:
        raise EvaluationError(
            f"this metric needs ground-truth factors, but {dataset.name} has none"
        )


def draw_fixed_factors(
    candidates: NDArray[np.int64], num_points: int, generator: torch.Generator
) -> NDArray[np.int64]:
    """The factor that each point fixes, (points,), uniform among the candidates."""
    choice = torch.randint(
        len(candidates), (num_points,), generator=generator, device=generator.device
    )
    return candidates[choice.cpu().numpy()]


def group_by_fixed_value(
    fixed: NDArray[np.int64], values: NDArray[np.int64]
) -> Iterator[tuple[int, int, NDArray[np.int64]]]:
    """Factor, value, and the positions that fix this factor at this value, in ascending order.

    Args:
        fixed: fixed factor of each position, (positions,).
        values: value of that factor, (positions,).
    """
    for factor in np.unique(fixed):
        for value in np.unique(values[fixed == factor]):
            yield int(factor), int(value), np.flatnonzero((fixed == factor) & (values == value))
