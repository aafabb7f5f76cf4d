"""Checking the order of the combinations of factors in a file."""

from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dvae_core.data.folder import data_folder
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


@dataclass(frozen=True)
class PublishedFiles:
    """The files of an original data set, in the data folder or in its folder there.

    Attributes:
        family: the set's name, as `download` takes it; also the name of its folder.
        alternatives: for each file needed, the names under which it is published.
    """

    family: str
    alternatives: tuple[tuple[str, ...], ...]

    def find(self) -> tuple[Path, ...]:
        """Those of the files that are there; as many as `alternatives` when none is missing."""
        found = (self._find(names) for names in self.alternatives)
        return tuple(path for path in found if path is not None)

    def require(self) -> tuple[Path, ...]:
        """All of the files, or a `DataError` that tells how to get what is missing."""
        found = self.find()
        if len(found) < len(self.alternatives):
            raise DataError(f"{self.family} has no file yet: {self.how_to_get()}")
        return found

    def how_to_get(self) -> str:
        """What a person without all of the files can do."""
        missing = [names for names in self.alternatives if self._find(names) is None]
        rest = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        return (
            f"run 'python -m dvae_core download {self.family}', or put "
            f"{' or '.join(missing[0])}{rest} into {data_folder()}/"
        )

    def _find(self, names: tuple[str, ...]) -> Path | None:
        for name in names:
            for path in (data_folder() / name, data_folder() / self.family / name):
                if path.is_file():
                    return path
        return None
