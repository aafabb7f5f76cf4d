"""Factors of imported images."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dvae_core.data.untrusted.limits import MAX_FACTORS
from dvae_core.errors import DataError, printable

_NAME_CHARACTERS = 40


@dataclass(frozen=True)
class Labels:
    """Factors of each image.

    Attributes:
        names: name of each factor, (F,).
        sizes: number of values of each factor, (F,), at least 2.
        indices: int32 (images, F), index of each value among the sorted values of its factor.
        left_out: names of the columns with a single value.
    """

    names: tuple[str, ...]
    sizes: tuple[int, ...]
    indices: NDArray[np.int32]
    left_out: tuple[str, ...]

    @property
    def num_combinations(self) -> int:
        """Number of different combinations of factors."""
        return len(np.unique(self.indices, axis=0))


def labels_from(columns: NDArray, names: Sequence[str] | None, count: int) -> Labels:
    """The factors in columns of integers, real numbers or texts.

    Args:
        columns: (images, F), or (images,) for a single factor.
        names: names of the columns, (F,); by default "factor 0", "factor 1", …
        count: number of images.

    Raises:
        DataError: the shape does not fit the images or the names, or a number is not finite.
    """
    if columns.ndim == 1:
        columns = columns[:, np.newaxis]  # (images,) -> (images, 1)
    if columns.ndim != 2 or len(columns) != count:
        raise DataError(
            f"factors has the shape {columns.shape}, but must have ({count}, number of factors) "
            f"for {count:,} images"
        )
    num_factors = columns.shape[1]
    if num_factors > MAX_FACTORS:
        raise DataError(f"factors has {num_factors} columns: give at most {MAX_FACTORS}")
    if columns.dtype.kind == "f" and not np.isfinite(columns).all():
        raise DataError("factors has numbers that are not finite: remove NaN and infinity")
    if names is None:
        names = [f"factor {i}" for i in range(num_factors)]
    if len(names) != num_factors:
        raise DataError(
            f"factor_names has {len(names)} names for {num_factors} factors: give one each"
        )
    shown = [printable(name, _NAME_CHARACTERS).strip() for name in names]
    if len(set(shown)) != num_factors or "" in shown:
        raise DataError("factor_names has an empty name or a name twice: give unique names")

    sizes, indices = [], np.empty(columns.shape, np.int32)
    for i in range(num_factors):
        values, indices[:, i] = np.unique(columns[:, i], return_inverse=True)
        sizes.append(len(values))
    kept = [i for i in range(num_factors) if sizes[i] > 1]
    return Labels(
        names=tuple(shown[i] for i in kept),
        sizes=tuple(sizes[i] for i in kept),
        indices=np.ascontiguousarray(indices[:, kept]),
        left_out=tuple(shown[i] for i in range(num_factors) if sizes[i] == 1),
    )
