"""Arrays in an HDF5 file; raises an error for data outside the file.

The native HDF5 library can crash on a damaged file, so use this module only in a child process.
"""

from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from dvae_core.data.untrusted.array_info import ArrayInfo, check_array
from dvae_core.data.untrusted.limits import (
    BLOCK_BYTES,
    MAX_CONTENTS,
    MAX_TEXT_CHARACTERS,
    MAX_WHOLE_BYTES,
)
from dvae_core.errors import DataError

_DEFLATE, _SHUFFLE, _FLETCHER32, _LZF = 1, 2, 3, 32000
_MAX_CHUNK_BYTES = 2 * BLOCK_BYTES


class Hdf5File:
    """The named datasets of an HDF5 file; opens no other object.

    Attributes:
        arrays: the datasets that exist.
        contents: names of the first objects in the file.
        is_column_major: whether rows and columns of images are exchanged, as MATLAB stores them.

    Args:
        path: the file.
        names: paths of the datasets, with "/" between the parts.
        is_column_major: see above.

    Raises:
        DataError: a dataset is invalid, or outside the file.
        Exception: h5py raises almost any exception for a damaged file.
    """

    def __init__(self, path: Path, names: Sequence[str], *, is_column_major: bool = False) -> None:
        self.is_column_major = is_column_major
        self.arrays: dict[str, ArrayInfo] = {}
        self._datasets: dict[str, h5py.Dataset] = {}
        self._file = h5py.File(path, "r", locking=False)
        try:
            self.contents = list(islice(self._file, MAX_CONTENTS))
            for name in names:
                dataset = self._find(name)
                if dataset is not None:
                    self.arrays[name] = _describe(name, dataset)
                    self._datasets[name] = dataset
        except BaseException:
            self.close()
            raise

    def read(self, name: str, start: int, stop: int) -> NDArray:
        """Rows `start` to `stop`."""
        return np.ascontiguousarray(self._datasets[name][start:stop])

    def read_whole(self, name: str) -> NDArray:
        """The whole array, with texts as numpy texts of fixed length."""
        dataset = self._datasets[name]
        if h5py.check_string_dtype(dataset.dtype) is None:
            return np.ascontiguousarray(dataset[()])
        texts = dataset.asstr(errors="replace")[()]
        shortened = [str(text)[:MAX_TEXT_CHARACTERS] for text in texts.ravel()]
        return np.array(shortened, dtype="U").reshape(dataset.shape)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _find(self, name: str) -> h5py.Dataset | None:
        found: h5py.Group | h5py.Dataset = self._file
        for part in name.split("/"):
            # Check the link itself, because `in` of h5py would follow it.
            if not isinstance(found, h5py.Group) or not found.id.links.exists(part.encode()):
                return None
            if found.id.links.get_info(part.encode()).type != h5py.h5l.TYPE_HARD:
                raise DataError(
                    f"{name} is a link to another place: save the data in the file itself"
                )
            found = found[part]
        return found if isinstance(found, h5py.Dataset) else None


def _describe(name: str, dataset: h5py.Dataset) -> ArrayInfo:
    if dataset.is_virtual or dataset.external:
        raise DataError(f"{name} has its data in other files: save the data in the file itself")
    properties = dataset.id.get_create_plist()
    filters = {properties.get_filter(i)[0] for i in range(properties.get_nfilters())}
    if unknown := filters - {_DEFLATE, _SHUFFLE, _FLETCHER32, _LZF}:
        raise DataError(
            f"{name} uses the HDF5 filter {min(unknown)}: save it again with gzip or without a "
            f"filter"
        )
    shape, dtype = dataset.shape, dataset.dtype
    if shape is None:
        raise DataError(f"{name} is empty")
    if h5py.check_string_dtype(dtype) is not None and dtype.hasobject:
        dtype = np.dtype(f"U{MAX_TEXT_CHARACTERS}")
        if dataset.size > MAX_WHOLE_BYTES // dtype.itemsize:
            raise DataError(f"{name} has too many texts ({dataset.size:,}): give fewer")
        packed_bytes = MAX_WHOLE_BYTES  # the texts are elsewhere in the file
    else:
        packed_bytes = dataset.id.get_storage_size()
    check_array(name, shape, dtype, packed_bytes)
    chunk = dataset.chunks
    if chunk is not None and np.prod(chunk, dtype=object) * dtype.itemsize > _MAX_CHUNK_BYTES:
        raise DataError(
            f"{name} has chunks of shape {chunk}, more than {_MAX_CHUNK_BYTES // 2**20} MB each: "
            f"save it again with smaller chunks"
        )
    return ArrayInfo(shape, dtype.str, chunk_rows=chunk[0] if chunk else 1)
