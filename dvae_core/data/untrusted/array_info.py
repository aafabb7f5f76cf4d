"""What a file says about an array in it, checked before the array is read."""

from dataclasses import asdict, dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dvae_core.data.untrusted.limits import MAX_ARRAY_BYTES, MAX_TEXT_CHARACTERS, exceeds_ratio
from dvae_core.errors import DataError, printable


@dataclass(frozen=True)
class ArrayInfo:
    """An array of numbers, truth values or texts of fixed length.

    Attributes:
        shape: sizes of its axes.
        dtype: numpy's string for it.
        offset: where its bytes start in the file if they lie there as they are, else None.
        is_fortran: its first axis runs fastest, so that it cannot be read block by block.
        chunk_rows: entries along the first axis that are packed together.
    """

    shape: tuple[int, ...]
    dtype: str
    offset: int | None = None
    is_fortran: bool = False
    chunk_rows: int = 1

    @property
    def row_bytes(self) -> int:
        """Bytes of one entry along the first axis."""
        return prod(self.shape[1:]) * np.dtype(self.dtype).itemsize

    @property
    def total_bytes(self) -> int:
        """Bytes of the whole array."""
        return prod(self.shape) * np.dtype(self.dtype).itemsize

    def as_json(self) -> dict[str, Any]:
        """The attributes; `from_json` reads them."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> "ArrayInfo":
        """What `as_json` gave."""
        return cls(**{**content, "shape": tuple(content["shape"])})


def raw_bytes(array: NDArray) -> memoryview:
    """The bytes of an array, of whatever type, without a copy where it is contiguous."""
    return array.reshape(-1).view(np.uint8).data


def check_array(name: str, shape: tuple[int, ...], dtype: np.dtype, packed_bytes: int) -> None:
    """Refuse an array by its header alone.

    Args:
        name: of the array, for the message.
        shape: in the header.
        dtype: in the header.
        packed_bytes: that the array takes up in the file.

    Raises:
        DataError: it holds anything but numbers, truth values and short texts, is empty, is
            larger than allowed, or is larger than its packed size makes likely.
    """
    if dtype.kind not in "biufUS" or dtype.hasobject or dtype.names or dtype.subdtype:
        raise DataError(
            f"{name} holds {printable(dtype)}, but only numbers, truth values and texts are read"
        )
    if dtype.kind in "US" and dtype.itemsize > 4 * MAX_TEXT_CHARACTERS:
        raise DataError(f"{name} holds texts of more than {MAX_TEXT_CHARACTERS} characters")
    if dtype.kind not in "US" and dtype.itemsize > 8:
        raise DataError(f"{name} holds {dtype}, but numbers of at most 64 bits are read")
    if not 1 <= len(shape) <= 8:
        raise DataError(f"{name} has {len(shape)} axes, but arrays have 1 to 8")
    num_bytes = prod(shape) * dtype.itemsize
    if num_bytes <= 0:
        raise DataError(f"{name} is empty: its shape is {shape}")
    if num_bytes > MAX_ARRAY_BYTES:
        raise DataError(
            f"{name} claims {num_bytes / 1e9:.0f} GB, but at most "
            f"{MAX_ARRAY_BYTES / 1e9:.0f} GB are read"
        )
    if exceeds_ratio(num_bytes, packed_bytes):
        raise DataError(
            f"{name} would unpack from {packed_bytes:,} bytes to {num_bytes:,}, more than images do"
        )
