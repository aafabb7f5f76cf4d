"""The binary matrices of the NORB data sets: `.mat`, but not Matlab's."""

import gzip
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from dvae_core.errors import DataError

_KINDS: dict[int, np.dtype] = {0x1E3D4C55: np.dtype("u1"), 0x1E3D4C54: np.dtype("<i4")}
_MAX_AXES = 8
_MAX_ENTRY_NUMBERS = 2**20  # along the first axis; SmallNORB has 2 x 96 x 96


class NorbMatrix:
    """A matrix that is read in order, from a file that may be packed with gzip.

    The header holds little-endian integers of 32 bits: a number for the kind of entries, the
    number of axes, then at least three sizes. The last axis runs fastest. Use it in a `with`
    statement.

    Attributes:
        shape: sizes of its axes.
        dtype: of its entries.

    Raises:
        DataError: it is damaged, cut off or no such matrix.

    Source: the description of the file format by the authors of SmallNORB.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        opener: Callable[[Path, str], Any] = gzip.open if path.suffix == ".gz" else open
        self._file: IO[bytes] = opener(path, "rb")
        try:
            kind, axes = self._integers(2)
            if kind not in _KINDS or not 1 <= axes <= _MAX_AXES:
                raise DataError(f"{path} is no matrix of bytes or integers in NORB's format")
            self.dtype = _KINDS[kind]
            self.shape = tuple(self._integers(max(3, axes))[:axes])
            if min(self.shape) < 1 or prod(self.shape[1:]) > _MAX_ENTRY_NUMBERS:
                raise DataError(f"{path} claims a shape of {self.shape}")
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> "NorbMatrix":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def blocks(self, rows: int) -> Iterator[NDArray]:
        """The whole matrix, at most `rows` entries of its first axis at a time."""
        for start in range(0, self.shape[0], rows):
            shape = (min(rows, self.shape[0] - start), *self.shape[1:])
            data = self._read(prod(shape) * self.dtype.itemsize)
            yield np.frombuffer(data, self.dtype).reshape(shape)
        with _told_of(self._path):
            if self._file.read(1):  # also checks gzip's sum
                raise DataError(f"{self._path} goes on past the end of its matrix")

    def _integers(self, count: int) -> list[int]:
        return np.frombuffer(self._read(4 * count), "<i4").tolist()

    def _read(self, count: int) -> bytes:
        with _told_of(self._path):
            data = self._file.read(count)
        if len(data) != count:
            raise DataError(f"{self._path} is cut off")
        return data


@contextmanager
def _told_of(path: Path) -> Iterator[None]:
    try:
        yield
    except EOFError:
        raise DataError(f"{path} is cut off") from None
    except (OSError, zlib.error):
        raise DataError(f"{path} is damaged, or not packed with gzip") from None
