"""A single array in a file: .npy of numpy, or IDX as MNIST is published, also packed by gzip."""

import gzip
import io
import zlib
from math import prod
from pathlib import Path
from typing import IO

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from dvae_core.data.untrusted.array_info import ArrayInfo, check_array
from dvae_core.data.untrusted.limits import exceeds_ratio
from dvae_core.errors import DataError

NAME = "images"
"""The name of the array, which the file does not state."""

GZIP_SIGNATURE = b"\x1f\x8b"
IDX_SIGNATURE = b"\0\0"
NPY_SIGNATURE = b"\x93NUMPY"
_IDX_TYPES = {8: "u1", 9: "i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
_CHUNK_BYTES = 2**20
_NPY_HEADERS = {
    (1, 0): npy_format.read_array_header_1_0,
    (2, 0): npy_format.read_array_header_2_0,
}


class SingleArrayFile:
    """An array that is the whole file. Rows are read where they are, so it may be large.

    Attributes:
        arrays: the array, named "images".
        contents: ["images"].
        is_column_major: always False.

    Args:
        path: the file.

    Raises:
        DataError: the array is invalid, or the file is truncated.
    """

    is_column_major = False

    def __init__(self, path: Path) -> None:
        self.contents = [NAME]
        self._file: IO[bytes] = open(path, "rb")  # noqa: SIM115
        try:
            start = self._file.read(len(NPY_SIGNATURE))
            if start.startswith(GZIP_SIGNATURE):
                self._file.close()
                self._file = io.BytesIO(_unpacked(path))
            self._file.seek(0)
            describe = _npy_header if start == NPY_SIGNATURE else _idx_header
            shape, dtype, is_fortran = describe(self._file)
            self._offset = self._file.tell()
            num_bytes = self._file.seek(0, io.SEEK_END)
            check_array(NAME, shape, dtype, num_bytes)
            stated = prod(shape) * dtype.itemsize
            if self._offset + stated != num_bytes:
                raise DataError(
                    f"it has {num_bytes - self._offset:,} bytes of numbers, but its header states "
                    f"{stated:,}"
                )
        except BaseException:
            self.close()
            raise
        self.arrays = {NAME: ArrayInfo(shape, dtype.str, None, is_fortran and len(shape) > 1)}

    def read(self, name: str, start: int, stop: int) -> NDArray:
        """Rows `start` to `stop`."""
        info = self.arrays[name]
        self._file.seek(self._offset + start * info.row_bytes)
        data = self._file.read((stop - start) * info.row_bytes)
        return np.frombuffer(data, info.dtype).reshape(stop - start, *info.shape[1:])

    def read_whole(self, name: str) -> NDArray:
        """The whole array."""
        return self.read(name, 0, self.arrays[name].shape[0])

    def close(self) -> None:
        """Close the file."""
        self._file.close()


_Header = tuple[tuple[int, ...], np.dtype, bool]


def _npy_header(file: IO[bytes]) -> _Header:
    """Shape, type, and whether the first axis varies fastest."""
    version = npy_format.read_magic(file)
    if version not in _NPY_HEADERS:
        raise DataError(f"it has .npy version {version}: save it again with numpy")
    shape, is_fortran, dtype = _NPY_HEADERS[version](file)
    return shape, dtype, is_fortran


def _idx_header(file: IO[bytes]) -> _Header:
    start = file.read(4)
    if len(start) < 4 or start[:2] != IDX_SIGNATURE or start[2] not in _IDX_TYPES:
        raise DataError("it is no array of a known kind")
    sizes = file.read(4 * start[3])
    if len(sizes) != 4 * start[3]:
        raise DataError("it is truncated")
    shape = tuple(int(size) for size in np.frombuffer(sizes, ">u4"))
    return shape, np.dtype(_IDX_TYPES[start[2]]), False


def _unpacked(path: Path) -> bytes:
    packed_bytes, parts, total = path.stat().st_size, list[bytes](), 0
    try:
        with gzip.open(path) as file:
            while chunk := file.read(_CHUNK_BYTES):
                total += len(chunk)
                if exceeds_ratio(total, packed_bytes):
                    raise DataError("it unpacks to more than any pictures")
                parts.append(chunk)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"it is not a complete gzip file ({error})") from None
    return b"".join(parts)
