"""Arrays in an HDF5 file, with everything refused that reaches out of it.

HDF5's native reader can crash on a damaged file: only to be used in a process that may die.
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
    """The named datasets of an HDF5 file; no other object is opened.

    Attributes:
        arrays: those that are there.
        contents: names of what is there in all, the first few.

    Args:
        path: the file.
        names: of the datasets to look for, parts of the way separated by "/".

    Raises:
        DataError: a dataset is not what it should be, or lies outside the file.
        Exception: almost any, from h5py, for a damaged file.
    """

    def __init__(self, path: Path, names: Sequence[str]) -> None:
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
        """Entries start to stop along the first axis."""
        return np.ascontiguousarray(self._datasets[name][start:stop])

    def read_whole(self, name: str) -> NDArray:
        """The whole array; texts of any kind come as numpy's of fixed length."""
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
            # The links are asked, since h5py's `in` would follow them.
            if not isinstance(found, h5py.Group) or not found.id.links.exists(part.encode()):
                return None
            if found.id.links.get_info(part.encode()).type != h5py.h5l.TYPE_HARD:
                raise DataError(
                    f"{name} is a link to somewhere else: only files that hold their data "
                    f"themselves are read"
                )
            found = found[part]
        return found if isinstance(found, h5py.Dataset) else None


def _describe(name: str, dataset: h5py.Dataset) -> ArrayInfo:
    if dataset.is_virtual or dataset.external:
        raise DataError(
            f"{name} takes its data from other files: only files that hold their data themselves "
            f"are read"
        )
    properties = dataset.id.get_create_plist()
    filters = {properties.get_filter(i)[0] for i in range(properties.get_nfilters())}
    if unknown := filters - {_DEFLATE, _SHUFFLE, _FLETCHER32, _LZF}:
        raise DataError(
            f"{name} is packed with HDF5 filter {min(unknown)}: save it again with gzip or "
            f"without a filter"
        )
    shape, dtype = dataset.shape, dataset.dtype
    if shape is None:
        raise DataError(f"{name} is empty")
    if h5py.check_string_dtype(dtype) is not None and dtype.hasobject:
        dtype = np.dtype(f"U{MAX_TEXT_CHARACTERS}")
        if dataset.size > MAX_WHOLE_BYTES // dtype.itemsize:
            raise DataError(f"{name} holds {dataset.size:,} texts, which is more than is read")
        packed_bytes = MAX_WHOLE_BYTES  # the texts lie elsewhere in the file
    else:
        packed_bytes = dataset.id.get_storage_size()
    check_array(name, shape, dtype, packed_bytes)
    chunk = dataset.chunks
    if chunk is not None and np.prod(chunk, dtype=object) * dtype.itemsize > _MAX_CHUNK_BYTES:
        raise DataError(
            f"{name} is packed in chunks of shape {chunk}, which is more than "
            f"{_MAX_CHUNK_BYTES // 2**20} MB at a time: save it again with smaller chunks"
        )
    return ArrayInfo(shape, dtype.str, chunk_rows=chunk[0] if chunk else 1)
