"""Factors of imported images."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dvae_core.data.imported.options import ImportOptions
from dvae_core.data.untrusted.limits import MAX_FACTORS
from dvae_core.errors import DataError, printable

_NAME_CHARACTERS = 40
_ROUNDING = 1e-5
"""Share of a factor's range by which equal values may differ after rounding."""

_MANY_VALUES = 20
_MANY_SHARE = 0.2
"""A factor with more values than this, and than this share of the images, looks continuous."""

_MANY_REAL_VALUES = 100
"""Real numbers with more values than this look continuous, however many images there are."""

_LEAST_ONE_HOT = 3  # fewer columns may be a factor and its opposite


@dataclass(frozen=True)
class Labels:
    """Factors of each image.

    Attributes:
        names: name of each factor, (F,).
        sizes: number of values of each factor, (F,), at least 2.
        indices: int32 (images, F), index of each value among the sorted values of its factor.
        left_out: names of the columns with a single value.
        remarks: what was made of the columns, one sentence each.
    """

    names: tuple[str, ...]
    sizes: tuple[int, ...]
    indices: NDArray[np.int32]
    left_out: tuple[str, ...]
    remarks: tuple[str, ...] = ()

    @property
    def num_combinations(self) -> int:
        """Number of different combinations of factors."""
        return len(np.unique(self.indices, axis=0))


def labels_from(
    columns: NDArray | Sequence[NDArray],
    names: Sequence[str] | None,
    count: int,
    options: ImportOptions | None = None,
) -> Labels:
    """The factors in columns of integers, real numbers or texts.

    Columns of 0 and 1 with a single 1 in each row become one factor, unless `keep_one_hot` is set.
    Real numbers that differ by rounding are one value. Factors that look continuous are binned if
    `bins` is set.

    Args:
        columns: (images, F), or (images,) for a single factor; or a list of (images,).
        names: names of the columns, (F,); by default "factor 0", "factor 1", …
        count: number of images.
        options: what was asked.

    Raises:
        DataError: the shape does not fit the images or the names, or a number is not finite.
    """
    options = options or ImportOptions()
    separate = _separate(columns, count)
    num_factors = len(separate)
    if num_factors > MAX_FACTORS:
        raise DataError(f"factors has {num_factors} columns: give at most {MAX_FACTORS}")
    if any(column.dtype.kind == "f" and not np.isfinite(column).all() for column in separate):
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

    named, remarks = list(zip(shown, separate, strict=True)), list[str]()
    if not options.keep_one_hot:
        named = _one_hot_joined(named, remarks)
    ranks = [_ranks(name, column, options.bins, remarks) for name, column in named]
    sizes = [int(rank.max()) + 1 for rank in ranks]
    kept = [i for i, size in enumerate(sizes) if size > 1]
    indices = np.empty((count, len(kept)), np.int32)
    for place, i in enumerate(kept):
        indices[:, place] = ranks[i]
    return Labels(
        names=tuple(named[i][0] for i in kept),
        sizes=tuple(sizes[i] for i in kept),
        indices=indices,
        left_out=tuple(named[i][0] for i, size in enumerate(sizes) if size == 1),
        remarks=tuple(remarks),
    )


def called(name: str) -> str:
    """A factor in a sentence: "factor shape", but not "factor factor 0"."""
    return name if name.startswith("factor") else f"factor {name}"


def _separate(columns: NDArray | Sequence[NDArray], count: int) -> list[NDArray]:
    if isinstance(columns, np.ndarray):
        if columns.ndim == 1:
            columns = columns[:, np.newaxis]  # (images,) -> (images, 1)
        if columns.ndim != 2 or len(columns) != count:
            raise DataError(
                f"factors has the shape {columns.shape}, but must have ({count}, number of "
                f"factors) for {count:,} images"
            )
        return list(columns.T)
    return list(columns)


def _one_hot_joined(
    named: list[tuple[str, NDArray]], remarks: list[str]
) -> list[tuple[str, NDArray]]:
    """The columns, with each block of one-hot ones replaced by the place of the 1.

    A block is the shortest run of columns of 0 and 1 that has a single 1 in each row.
    """
    joined: list[tuple[str, NDArray]] = []
    start = 0
    while start < len(named):
        size = _one_hot_block([column for _, column in named[start:]])
        if size < _LEAST_ONE_HOT:
            size = max(size, 1)
            joined += named[start : start + size]
        else:
            block = named[start : start + size]
            others = {name for name, _ in (*joined, *named[start + size :])}
            name = _free_name(_common_name([name for name, _ in block]), others)
            joined.append((name, np.argmax([column for _, column in block], axis=0)))
            remarks.append(
                f"{size} one-hot columns become {called(name)} (--keep-one-hot keeps them)"
            )
        start += size
    return joined


def _one_hot_block(columns: Sequence[NDArray]) -> int:
    """Number of first columns that together have a single 1 in each row; 0 if there are none."""
    total = np.zeros(len(columns[0]), np.int64)
    for size, column in enumerate(columns, start=1):
        if not _is_binary(column):
            return 0
        total += column.astype(np.int64)
        if (total == 1).all():
            return size
        if (total > 1).any():
            return 0
    return 0


def _free_name(name: str, taken: set[str]) -> str:
    number, free = 2, name
    while free in taken:
        free, number = f"{name} {number}", number + 1
    return free


def _is_binary(column: NDArray) -> bool:
    return column.dtype.kind in "biuf" and bool(((column == 0) | (column == 1)).all())


def _common_name(names: Sequence[str]) -> str:
    """What the names of one-hot columns have in common, such as shape of shape_0 and shape_1."""
    stems = {re.sub(r"[\s_\-.:=]*\d+$", "", name) for name in names}
    stem = stems.pop() if len(stems) == 1 else ""
    return stem if stem not in ("", "factor") else "class"


def _ranks(name: str, column: NDArray, bins: int, remarks: list[str]) -> NDArray[np.int64]:
    """The place of each value among the sorted values of its column, (images,)."""
    values, ranks = np.unique(column, return_inverse=True)
    if column.dtype.kind == "f" and len(values) > 1:
        tolerance = _ROUNDING * (values[-1] - values[0])
        merged = np.concatenate(([0], np.cumsum(np.diff(values) > tolerance)))
        widths = np.bincount(
            merged, np.concatenate(([0], np.diff(values) * (np.diff(merged) == 0)))
        )
        # Dense values are neighbours in a chain, which says nothing about rounding.
        if widths.max() > tolerance:
            merged = np.arange(len(values))
        if merged[-1] + 1 < len(values):
            remarks.append(
                f"{len(values):,} values of {called(name)} differ by rounding only and become "
                f"{merged[-1] + 1:,}"
            )
        ranks = merged[ranks]
    found = int(ranks.max()) + 1
    is_continuous = found > max(_MANY_VALUES, _MANY_SHARE * len(column)) or (
        column.dtype.kind == "f" and found > _MANY_REAL_VALUES
    )
    if column.dtype.kind not in "iuf" or not is_continuous:
        return ranks
    if not bins:
        remarks.append(
            f"{called(name)} has {found:,} values for {len(column):,} images and looks continuous: "
            f"give --bins 10, or metrics treat each value as a class"
        )
        return ranks
    low, high = float(column.min()), float(column.max())
    # Integers are subtracted exactly, however large they are.
    above = (column - column.min()).astype(np.float64)
    shares = above / above.max()
    binned = np.minimum((shares * bins).astype(np.int64), bins - 1)
    remarks.append(f"{called(name)} is binned: {bins} equal bins from {low:g} to {high:g}")
    # A bin without an image is no value.
    return np.unique(binned, return_inverse=True)[1]
