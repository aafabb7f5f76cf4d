"""The header of an array in a file, checked before the array is read."""

from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from dvae_core.data.untrusted.limits import MAX_ARRAY_BYTES, MAX_TEXT_CHARACTERS, exceeds_ratio
from dvae_core.errors import DataError, printable


@dataclass(frozen=True)
class ArrayInfo:
    """An array of numbers, booleans or texts of fixed length.

    Attributes:
        shape: size of each axis.
        dtype: numpy's string for its type.
        offset: position of its uncompressed bytes in the file, or None.
        is_fortran: whether its first axis varies fastest, so that it has no blocks of rows.
        chunk_rows: number of rows that are compressed together.
    """

    shape: tuple[int, ...]
    dtype: str
    offset: int | None = None
    is_fortran: bool = False
    chunk_rows: int = 1

    @property
    def row_bytes(self) -> int:
        """Bytes of one row, an entry along the first axis."""
        return prod(self.shape[1:]) * np.dtype(self.dtype).itemsize

    @property
    def total_bytes(self) -> int:
        """Bytes of the whole array."""
        return prod(self.shape) * np.dtype(self.dtype).itemsize


def raw_bytes(array: NDArray) -> memoryview:
    """The bytes of an array of any type, without a copy if it is contiguous."""
    return array.reshape(-1).view(np.uint8).data


def check_array(name: str, shape: tuple[int, ...], dtype: np.dtype, packed_bytes: int) -> None:
    """Check an array by its header and its size in the file.

    Raises:
        DataError: the array has another type than numbers, booleans and short texts, is empty, is
            larger than allowed, or is implausibly large for its packed size.
    """
    if dtype.kind not in "biufUS" or dtype.hasobject or dtype.names or dtype.subdtype:
        advice = f" with numpy.array({name}.tolist(), dtype=str)" if dtype.hasobject else ""
        raise DataError(
            f"{name} has the type {printable(dtype)}: save numbers, booleans or texts{advice}"
        )
    if dtype.kind in "US" and dtype.itemsize > 4 * MAX_TEXT_CHARACTERS:
        raise DataError(f"{name} has texts of more than {MAX_TEXT_CHARACTERS} characters")
    if dtype.kind not in "US" and dtype.itemsize > 8:
        raise DataError(f"{name} has the type {dtype}: give numbers of at most 64 bits")
    if not 1 <= len(shape) <= 8:
        raise DataError(f"{name} has {len(shape)} axes: give 1 to 8")
    num_bytes = prod(shape) * dtype.itemsize
    if num_bytes <= 0:
        raise DataError(f"{name} is empty: its shape is {shape}")
    if num_bytes > MAX_ARRAY_BYTES:
        raise DataError(
            f"{name} has {num_bytes / 1e9:.0f} GB by its header: give at most "
            f"{MAX_ARRAY_BYTES / 1e9:.0f} GB"
        )
    if exceeds_ratio(num_bytes, packed_bytes):
        raise DataError(
            f"{name} would unpack from {packed_bytes:,} bytes to {num_bytes:,}, more than images "
            f"can"
        )
