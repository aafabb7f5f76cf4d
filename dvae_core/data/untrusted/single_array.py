"""A single array in a file: .npy of numpy, or IDX as MNIST is published, also packed by gzip."""

import gzip
import zlib
from math import prod
from pathlib import Path

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
    """An array that is the whole file.

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
        with open(path, "rb") as file:
            start = file.read(len(NPY_SIGNATURE))
        if start == NPY_SIGNATURE:
            self._array = _npy(path)
        else:
            self._array = _idx(path, is_packed=start.startswith(GZIP_SIGNATURE))
        fortran = bool(self._array.ndim > 1 and not self._array.flags.c_contiguous)
        info = ArrayInfo(self._array.shape, self._array.dtype.str, None, fortran)
        self.arrays = {NAME: info}

    def read(self, name: str, start: int, stop: int) -> NDArray:
        """Rows `start` to `stop`."""
        return np.ascontiguousarray(self._array[start:stop])

    def read_whole(self, name: str) -> NDArray:
        """The whole array."""
        return np.ascontiguousarray(self._array)

    def close(self) -> None:
        """Nothing is left open."""


def _npy(path: Path) -> NDArray:
    with open(path, "rb") as file:
        version = npy_format.read_magic(file)
        if version not in _NPY_HEADERS:
            raise DataError(f"it has .npy version {version}: save it again with numpy")
        shape, is_fortran, dtype = _NPY_HEADERS[version](file)
        offset = file.tell()
    file_bytes = path.stat().st_size
    check_array(NAME, shape, dtype, file_bytes)
    if offset + prod(shape) * dtype.itemsize != file_bytes:
        raise DataError(
            f"it has {file_bytes - offset:,} bytes of numbers, but its header states "
            f"{prod(shape) * dtype.itemsize:,}"
        )
    return np.memmap(path, dtype, "r", offset, shape, "F" if is_fortran else "C")


def _idx(path: Path, is_packed: bool) -> NDArray:
    content = _unpacked(path) if is_packed else path.read_bytes()
    num_axes = content[3] if len(content) > 3 else 0
    header_bytes = 4 + 4 * num_axes
    if content[:2] != IDX_SIGNATURE or content[2:3] == b"" or content[2] not in _IDX_TYPES:
        raise DataError("it is no array of a known kind")
    shape = tuple(int(n) for n in np.frombuffer(content[4:header_bytes], ">u4"))
    dtype = np.dtype(_IDX_TYPES[content[2]])
    if len(shape) != num_axes:
        raise DataError("it is truncated")
    check_array(NAME, shape, dtype, len(content))
    if header_bytes + prod(shape) * dtype.itemsize != len(content):
        raise DataError(
            f"it has {len(content) - header_bytes:,} bytes of numbers, but its header states "
            f"{prod(shape) * dtype.itemsize:,}"
        )
    return np.frombuffer(content, dtype, offset=header_bytes).reshape(shape)


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
