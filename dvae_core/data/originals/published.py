"""Finding published files, and checking the order of their images."""

from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dvae_core.data.folder import data_folder
from dvae_core.errors import DataError


def check_grid_order(path: Path, labels: NDArray, sizes: tuple[int, ...]) -> None:
    """Raise `DataError` unless `labels` run through the full grid, the last factor fastest.

    Args:
        path: file to name in the error.
        labels: numbers (images, F) that increase with the indices of the factors.
        sizes: number of values of each factor, (F,).
    """
    if labels.shape != (prod(sizes), len(sizes)):
        raise DataError(
            f"{path} has labels of shape {labels.shape}, but the published shape is "
            f"{(prod(sizes), len(sizes))}"
        )
    for factor, size in enumerate(sizes):
        values, indices = np.unique(labels[:, factor], return_inverse=True)
        repeats = prod(sizes[factor + 1 :])
        expected = np.arange(len(labels)) // repeats % size
        if len(values) != size or not np.array_equal(indices, expected):
            raise DataError(f"{path} has its images in another order than the published file")


@dataclass(frozen=True)
class PublishedFiles:
    """The files of a published data set, in the data folder or its subfolder `family`.

    Attributes:
        family: name for `download`, and name of the subfolder.
        alternatives: the published names of each file.
    """

    family: str
    alternatives: tuple[tuple[str, ...], ...]

    def find(self) -> tuple[Path, ...]:
        """Paths of the existing files; as many as `alternatives` if none is missing."""
        found = (self._find(names) for names in self.alternatives)
        return tuple(path for path in found if path is not None)

    def require(self) -> tuple[Path, ...]:
        """Paths of all files; raises `DataError` if one is missing."""
        found = self.find()
        if len(found) < len(self.alternatives):
            raise DataError(f"the file of {self.family} is missing: {self.how_to_get()}")
        return found

    def how_to_get(self) -> str:
        """Instructions for getting the missing files."""
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
