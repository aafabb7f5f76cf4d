"""Opening files of unknown origin in a child process of limited memory and time.

A bad file only causes a `DataError` of one line.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import isfinite, prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dvae_core.data.untrusted.array_info import ArrayInfo
from dvae_core.data.untrusted.limits import BLOCK_BYTES, MAX_UNPACKED_BYTES
from dvae_core.errors import DataError, printable
from dvae_core.progress import Progress, no_progress
from dvae_core.system.sandbox import SandboxError, SandboxProcess

# Includes the interpreter and its libraries (160 MB); the total stays below 512 MB.
MEMORY_BYTES = 448 * 2**20
_SECONDS = 0.8  # CPU time for a header or one image
_BYTES_PER_SECOND = 10e6  # slowest unpacking
_ZEROS_PER_SECOND = 50e6  # slowest unpacking of a file that shrinks a thousandfold


class Reader(SandboxProcess):
    """The child process that opens the files, limited to `memory_bytes`. Use it in a `with`
    statement."""

    def __init__(self, memory_bytes: int = MEMORY_BYTES) -> None:
        super().__init__(memory_bytes)

    def open_arrays(self, path: Path, names: Sequence[str]) -> "ArrayFile":
        """The named arrays of a .npz or HDF5 file, which stays open until the next call.

        Raises:
            DataError: the file has another format, or an array is not allowed.
        """
        answer, _ = self._ask_file(path, "arrays:open_arrays", names=list(names))
        arrays = {
            name: ArrayInfo(**info | {"shape": tuple(info["shape"])})
            for name, info in answer["arrays"].items()
        }
        return ArrayFile(self, path, arrays, tuple(answer["contents"]))

    def picture_header(self, path: Path) -> tuple[int, int, bool]:
        """Height, width, and whether an image is grey, from its header."""
        answer, _ = self._ask_file(path, "pictures:picture_header")
        return answer["height"], answer["width"], answer["is_grey"]

    def read_picture(self, path: Path, size: int, channels: int) -> NDArray[np.uint8]:
        """An image scaled to uint8 (size, size, channels); `channels` is 1 or 3."""
        _, data = self._ask_file(
            path, "pictures:read_picture", reads_all=True, size=size, channels=channels
        )
        return _as_array(path, data, np.dtype(np.uint8), (size, size, channels))

    def meshes(self, path: Path) -> Iterator[tuple[str, NDArray[np.uint8]]]:
        """Names and `im` arrays, uint8 with five axes, of the car meshes in a .tar.gz."""
        self._ask_file(path, "meshes:open_meshes")
        # The whole file may precede the next mesh, and zeros unpack to as much as is allowed.
        seconds = _reading_seconds(path) + MAX_UNPACKED_BYTES / _ZEROS_PER_SECOND
        while True:
            answer, data = self.ask_about(path, "meshes:next_mesh", seconds, continues=True)
            if answer["name"] is None:
                return
            shape = tuple(answer["shape"])
            yield answer["name"], _as_array(path, data, np.dtype(np.uint8), shape)

    def ask_about(
        self,
        path: Path,
        operation: str,
        seconds: float,
        /,
        continues: bool = False,
        **arguments: Any,
    ) -> tuple[dict[str, Any], bytes]:
        """Send one request about a file.

        Args:
            path: file to name in an error.
            operation: "module:function", with a module of this folder.
            seconds: limit of CPU time.
            continues: whether the request needs the file that an earlier request opened.
            **arguments: arguments of the function.

        Raises:
            DataError: the file is invalid, or the child process died.
        """
        try:
            return self.ask(f"{__package__}.{operation}", arguments, seconds, continues)
        except SandboxError as error:
            raise DataError(f"{_shown(path)} cannot be read: {printable(error, 400)}") from None

    def _ask_file(
        self, path: Path, operation: str, reads_all: bool = False, **arguments: Any
    ) -> tuple[dict[str, Any], bytes]:
        if not path.exists():
            raise DataError(f"{_shown(path)} does not exist")
        if not path.is_file():  # a device or a pipe may never end
            raise DataError(f"{_shown(path)} is not a regular file")
        seconds = _reading_seconds(path) if reads_all else _SECONDS
        return self.ask_about(path, operation, seconds, path=str(path), **arguments)


@dataclass(frozen=True)
class ArrayFile:
    """Arrays of a file that a reader keeps open.

    Attributes:
        arrays: the requested arrays that exist.
        contents: names of the first objects in the file.
    """

    reader: Reader
    path: Path
    arrays: dict[str, ArrayInfo]
    contents: tuple[str, ...]

    def require(self, name: str) -> ArrayInfo:
        """The array with this name; raises `DataError` if it does not exist."""
        if name not in self.arrays:
            found = ", ".join(self.contents) or "nothing"
            raise DataError(f"{_shown(self.path)} has no array '{name}', only {found}: add it")
        return self.arrays[name]

    def require_published(self, name: str, shape: tuple[int, ...]) -> None:
        """Raise `DataError` unless the array exists as uint8 with this shape."""
        info = self.require(name)
        if info.shape != shape or info.dtype != "|u1":
            raise DataError(
                f"{_shown(self.path)} has {name} of type {info.dtype} and shape {info.shape}, but "
                f"uint8 of shape {shape} is published"
            )

    def read(self, name: str, start: int, stop: int) -> NDArray:
        """Rows `start` to `stop`."""
        info = self.arrays[name]
        _, data = self._ask("read", name, stop - start, start=start, stop=stop)
        return _as_array(self.path, data, np.dtype(info.dtype), (stop - start, *info.shape[1:]))

    def blocks(self, name: str) -> Iterator[NDArray]:
        """The whole array in consecutive blocks of rows."""
        for start, stop in self.bounds(name):
            yield self.read(name, start, stop)

    def read_whole(self, name: str) -> NDArray:
        """The whole array, of limited size, with texts as numpy texts of fixed length."""
        answer, data = self._ask("read_whole", name, self.arrays[name].shape[0])
        return _as_array(self.path, data, np.dtype(answer["dtype"]), tuple(answer["shape"]))

    def limits(self, name: str, progress: Progress = no_progress) -> tuple[float, float]:
        """Smallest and largest number of an array, after reading and checking all of it.

        Raises:
            DataError: a number is not finite, or the file is damaged.
        """
        least, greatest = float("inf"), float("-inf")
        for start, stop in self.bounds(name):
            answer, _ = self._ask("limits", name, stop - start, start=start, stop=stop)
            if not isfinite(answer["least"]) or not isfinite(answer["greatest"]):
                raise DataError(
                    f"{_shown(self.path)} has numbers in {name} that are not finite, in rows "
                    f"{start:,} to {stop - 1:,}"
                )
            least, greatest = min(least, answer["least"]), max(greatest, answer["greatest"])
            progress(stop, self.arrays[name].shape[0])
        return least, greatest

    def bounds(self, name: str) -> Iterator[tuple[int, int]]:
        """Start and stop of each block that `blocks` reads."""
        info = self.arrays[name]
        rows = BLOCK_BYTES // info.row_bytes
        # A chunk is unpacked as a whole, so read each chunk once.
        if info.chunk_rows * info.row_bytes <= self.reader.memory_bytes // 4:
            rows = max(rows // info.chunk_rows, 1) * info.chunk_rows
        if rows == 0:
            raise DataError(
                f"{_shown(self.path)} has rows of {info.row_bytes / 1e6:.0f} MB in {name}: give "
                f"at most {BLOCK_BYTES / 1e6:.0f} MB"
            )
        for start in range(0, info.shape[0], rows):
            yield start, min(start + rows, info.shape[0])

    def _ask(
        self, operation: str, name: str, rows: int, **arguments: Any
    ) -> tuple[dict[str, Any], bytes]:
        seconds = _SECONDS + rows * self.arrays[name].row_bytes / _BYTES_PER_SECOND
        return self.reader.ask_about(
            self.path, f"arrays:{operation}", seconds, continues=True, name=name, **arguments
        )


def _reading_seconds(path: Path) -> float:
    return _SECONDS + path.stat().st_size / _BYTES_PER_SECOND


def _as_array(path: Path, data: bytes, dtype: np.dtype, shape: tuple[int, ...]) -> NDArray:
    # The file may control the child process, so check its answers too.
    if dtype.hasobject or prod(shape) * dtype.itemsize != len(data):
        raise DataError(f"{_shown(path)} cannot be read: its reader returned invalid data")
    return np.frombuffer(data, dtype).reshape(shape)


def _shown(path: Path) -> str:
    return printable(path, 200)
