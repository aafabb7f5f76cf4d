"""Opening files of unknown origin in a child process of limited memory and time.

A bad file only causes a `DataError` of one line.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
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
_SECONDS = 0.8  # CPU time for a header
_PICTURE_SECONDS = 3.0  # CPU time for a picture, beside reading its file
_SECONDS_A_SMALL_PICTURE = 0.05  # CPU time for each of many
_BYTES_PER_SECOND = 10e6  # slowest unpacking
_ZEROS_PER_SECOND = 50e6  # slowest unpacking of a file that shrinks a thousandfold


@dataclass(frozen=True)
class PictureInfo:
    """A picture that was decoded without an error.

    Attributes:
        height: of the upright picture.
        width: of the upright picture.
        is_grey: whether it is grey.
        is_wide: whether its values have more than 8 bits.
        is_integer: whether its values are integers.
        least: its smallest value.
        greatest: its largest value.
        changes: keys of what reading it changes: "turned", "transparent", "cmyk", "animated",
            "upper_bits".
    """

    height: int
    width: int
    is_grey: bool
    is_wide: bool
    is_integer: bool
    least: float
    greatest: float
    changes: tuple[str, ...]


@dataclass(frozen=True)
class PictureForm:
    """The form that pictures are brought into.

    Attributes:
        size: (height, width) in pixels.
        channels: 1 for grey, 3 for RGB.
        fit: "squash", "crop" or "pad".
        background: red, green and blue, 0 to 255 each, below transparency and around padding.
        wide_range: values of black and white of pictures of more than 8 bits.
        narrow_range: the same of all others.
    """

    size: tuple[int, int]
    channels: int
    fit: str = "squash"
    background: tuple[int, int, int] = (255, 255, 255)
    wide_range: tuple[float, float] = (0, 65535)
    narrow_range: tuple[float, float] = (0, 255)


class Reader(SandboxProcess):
    """The child process that opens the files, limited to `memory_bytes`. Use it in a `with`
    statement.

    Args:
        memory_bytes: limit of its memory.
        top: errors name files below this folder without its path, which a person may not know.
    """

    def __init__(self, memory_bytes: int = MEMORY_BYTES, top: Path | None = None) -> None:
        super().__init__(memory_bytes)
        self.top = top

    def shown(self, path: Path) -> str:
        """A path as errors show it."""
        if self.top is not None and path.is_relative_to(self.top) and path != self.top:
            path = path.relative_to(self.top)
        return printable(path, 200)

    def open_arrays(self, path: Path, names: Sequence[str]) -> "ArrayFile":
        """The named arrays of a .npz, .npy, HDF5, MATLAB or IDX file, which stays open until the
        next call; a file of a single array calls it "images".

        Raises:
            DataError: the file has another format, or an array is not allowed.
        """
        answer, _ = self._ask_file(path, "arrays:open_arrays", names=list(names))
        arrays = {
            name: ArrayInfo(**info | {"shape": tuple(info["shape"])})
            for name, info in answer["arrays"].items()
        }
        contents = tuple(answer["contents"])
        return ArrayFile(self, path, arrays, contents, bool(answer["is_column_major"]))

    def check_picture(self, path: Path, background: tuple[int, int, int]) -> PictureInfo:
        """Decode a picture and describe it; `background` is laid under transparency.

        Raises:
            DataError: it is damaged, too large, or no picture.
        """
        answer, _ = self._ask_file(
            path, "pictures:check_picture", reads_all=True, background=list(background)
        )
        return PictureInfo(**answer | {"changes": tuple(answer["changes"])})

    def read_picture(self, path: Path, form: PictureForm) -> NDArray[np.uint8]:
        """A picture in a form, uint8 (height, width, channels).

        Raises:
            DataError: as in `check_picture`.
        """
        _, data = self._ask_file(path, "pictures:read_picture", reads_all=True, **asdict(form))
        return _as_array(path, data, np.dtype(np.uint8), (*form.size, form.channels))

    def parquet_rows(self, path: Path) -> Iterator[tuple[bytes, dict[str, str]]]:
        """The picture, and the text of each other column, of every row of a parquet file.

        Raises:
            DataError: the file has no pictures, or is damaged.
        """
        self._ask_file(path, "parquet:open_parquet")
        seconds = _PICTURE_SECONDS + _reading_seconds(path)
        while True:
            answer, data = self.ask_about(path, "parquet:next_row", seconds, continues=True)
            if answer["labels"] is None:
                return
            yield data, {str(name): str(text) for name, text in answer["labels"].items()}

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

    def open_zip(self, path: Path, labels: str) -> NDArray[np.float64]:
        """Open a .zip of pictures, until the next call, and read the array (rows, columns) of its
        member `labels`.

        Raises:
            DataError: the file is no such archive.
        """
        answer, data = self._ask_file(
            path, "zipped_pictures:open_zip", reads_all=True, labels=labels
        )
        return _as_array(path, data, np.dtype(np.float64), tuple(answer["shape"]))

    def zipped_pictures(
        self, path: Path, names: Sequence[str], published: int, size: int
    ) -> NDArray[np.uint8]:
        """Pictures in the .zip that `open_zip` opened, uint8 (len(names), size, size, 3).

        Args:
            path: of the archive.
            names: of its members.
            published: height and width of the pictures, else they are refused.
            size: height and width to scale them to, bicubic.

        Raises:
            DataError: a picture is missing, damaged or of another size.
        """
        _, data = self.ask_about(
            path,
            "zipped_pictures:read_pictures",
            _PICTURE_SECONDS + _SECONDS_A_SMALL_PICTURE * len(names),
            continues=True,
            names=list(names),
            published=published,
            size=size,
        )
        return _as_array(path, data, np.dtype(np.uint8), (len(names), size, size, 3))

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
            raise DataError(f"{self.shown(path)} cannot be read: {printable(error, 400)}") from None

    def _ask_file(
        self, path: Path, operation: str, reads_all: bool = False, **arguments: Any
    ) -> tuple[dict[str, Any], bytes]:
        if not path.exists():
            raise DataError(f"{self.shown(path)} does not exist")
        if not path.is_file():  # a device or a pipe may never end
            raise DataError(f"{self.shown(path)} is not a regular file")
        seconds = _PICTURE_SECONDS + _reading_seconds(path) if reads_all else _SECONDS
        return self.ask_about(path, operation, seconds, path=str(path), **arguments)


@dataclass(frozen=True)
class ArrayFile:
    """Arrays of a file that a reader keeps open.

    Attributes:
        arrays: the requested arrays that exist.
        contents: names of the first objects in the file.
        is_column_major: whether rows and columns of images are exchanged, as MATLAB stores them.
    """

    reader: Reader
    path: Path
    arrays: dict[str, ArrayInfo]
    contents: tuple[str, ...]
    is_column_major: bool = False

    @property
    def shown(self) -> str:
        """The path as errors show it."""
        return self.reader.shown(self.path)

    def require(self, name: str) -> ArrayInfo:
        """The array with this name; raises `DataError` if it does not exist."""
        if name not in self.arrays:
            found = ", ".join(self.contents) or "nothing"
            raise DataError(f"{self.shown} has no array '{name}', only {found}: add it")
        return self.arrays[name]

    def require_published(self, name: str, shape: tuple[int, ...]) -> None:
        """Raise `DataError` unless the array exists as uint8 with this shape."""
        info = self.require(name)
        if info.shape != shape or info.dtype != "|u1":
            raise DataError(
                f"{self.shown} has {name} of type {info.dtype} and shape {info.shape}, but "
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
                    f"{self.shown} has numbers in {name} that are not finite, in rows "
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
                f"{self.shown} has rows of {info.row_bytes / 1e6:.0f} MB in {name}: give "
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
        raise DataError(f"{printable(path, 200)}: its reader returned invalid data")
    return np.frombuffer(data, dtype).reshape(shape)
