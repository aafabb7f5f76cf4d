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
    if not np.array_equal(grid_order(path, labels, sizes), np.arange(prod(sizes))):
        raise DataError(f"{path} has its images in another order than the published file")


def grid_order(path: Path, labels: NDArray, sizes: tuple[int, ...]) -> NDArray[np.int64]:
    """Numbers of the images in the order of the full grid, the last factor fastest.

    Args:
        path: file to name in the error.
        labels: numbers (images, F) that increase with the indices of the factors.
        sizes: number of values of each factor, (F,).

    Raises:
        DataError: the labels are not a grid of these sizes, with each combination once.
    """
    if labels.shape != (prod(sizes), len(sizes)):
        raise DataError(
            f"{path} has labels of shape {labels.shape}, but the published shape is "
            f"{(prod(sizes), len(sizes))}"
        )
    columns = [np.unique(column, return_inverse=True) for column in labels.T]
    found = tuple(len(values) for values, _ in columns)
    if found != sizes:
        raise DataError(f"{path} has {found} values of its factors, but {sizes} are published")
    places = np.ravel_multi_index([indices for _, indices in columns], sizes)
    order = np.argsort(places, kind="stable")
    if not np.array_equal(places[order], np.arange(len(places))):
        raise DataError(f"{path} has a combination of factors twice, and another one not at all")
    return order


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
