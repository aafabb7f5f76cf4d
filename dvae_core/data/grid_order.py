"""Checking the order of the combinations of factors in a file."""

from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dvae_core.errors import DataError


def check_grid_order(path: Path, labels: NDArray, sizes: tuple[int, ...]) -> None:
    """Raise `DataError` unless the labels run through the full grid, the last factor fastest.

    Args:
        path: to tell of.
        labels: numbers (images, F), rising with the factors' indices.
        sizes: number of values of each factor, (F,).
    """
    if labels.shape != (prod(sizes), len(sizes)):
        raise DataError(
            f"{path} has labels of shape {labels.shape}, not {(prod(sizes), len(sizes))} as "
            f"published"
        )
    for factor, size in enumerate(sizes):
        values, indices = np.unique(labels[:, factor], return_inverse=True)
        repeats = prod(sizes[factor + 1 :])
        expected = np.arange(len(labels)) // repeats % size
        if len(values) != size or not np.array_equal(indices, expected):
            raise DataError(f"{path} lists its images in another order than was published")
