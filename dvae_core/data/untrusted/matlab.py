"""Arrays in a MATLAB file of version 5 to 7, read by scipy in the child process.

Version 7.3 is HDF5, see `hdf5.py`. MATLAB stores columns first and images along the last axis; both
are turned here, so that images come first.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dvae_core.data.untrusted.array_info import ArrayInfo, check_array
from dvae_core.data.untrusted.limits import MAX_CONTENTS, MAX_WHOLE_BYTES
from dvae_core.errors import DataError

SIGNATURE = b"MATLAB 5.0 MAT-file"
SIGNATURE_73 = b"MATLAB 7.3 MAT-file"
_NUMBERS = (
    "double",
    "single",
    "logical",
    *(f"{u}int{n}" for u in ("", "u") for n in (8, 16, 32, 64)),
)


class MatlabFile:
    """The named arrays of numbers in a file; opens no other object.

    Attributes:
        arrays: the arrays that exist.
        contents: names of the first objects in the file.
        is_column_major: always False: arrays are turned as they are read.

    Raises:
        DataError: an array is invalid.
        Exception: scipy raises almost any exception for a damaged file.
    """

    is_column_major = False

    def __init__(self, path: Path, names: Sequence[str]) -> None:
        from scipy.io import loadmat, whosmat

        found = {name: (shape, kind) for name, shape, kind in whosmat(str(path))}
        self.contents = list(found)[:MAX_CONTENTS]
        wanted = [name for name in names if name in found]
        for name in wanted:
            shape, kind = found[name]
            if kind not in _NUMBERS:
                raise DataError(f"{name} has the type {kind}: give an array of numbers")
            # The type of the numbers in the file may be narrower, never wider.
            check_array(name, shape, np.dtype("f8"), max(path.stat().st_size, MAX_WHOLE_BYTES))
        loaded = loadmat(str(path), variable_names=wanted) if wanted else {}
        rows = {max(loaded[name].shape) for name in wanted if loaded[name].ndim == 2}
        self._arrays = {name: _images_first(loaded[name], rows) for name in wanted}
        self.arrays = {
            name: ArrayInfo(array.shape, array.dtype.str) for name, array in self._arrays.items()
        }

    def read(self, name: str, start: int, stop: int) -> NDArray:
        """Rows `start` to `stop`."""
        return np.ascontiguousarray(self._arrays[name][start:stop])

    def read_whole(self, name: str) -> NDArray:
        """The whole array."""
        return np.ascontiguousarray(self._arrays[name])

    def close(self) -> None:
        """Nothing is left open."""


def _images_first(array: NDArray, rows: set[int]) -> NDArray:
    """The array with the images along its first axis; `rows` are the lengths of other arrays."""
    if array.ndim > 2:
        if array.shape[0] in rows and array.shape[-1] not in rows:
            return array  # as scipy saves arrays of numpy
        return np.moveaxis(array, -1, 0)  # (H, W, [C,] images) -> (images, H, W [, C])
    is_row = array.ndim == 2 and array.shape[0] == 1
    return array.T if is_row else array
