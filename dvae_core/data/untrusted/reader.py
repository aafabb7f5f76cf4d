"""Opening files that anyone may have made, in a child process of limited memory and time.

Whatever is wrong with such a file, all that comes of it here is a `DataError` of one line: native
readers that crash, loop or ask for all memory take only the child with them.
"""

import json
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from math import isfinite, prod
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dvae_core.data.untrusted.array_info import ArrayInfo
from dvae_core.data.untrusted.limits import BLOCK_BYTES
from dvae_core.errors import DataError, printable
from dvae_core.progress import Progress, no_progress
from dvae_core.system.sandbox import start_child

# With what the interpreter and its libraries take (160 MB), so that the sum stays below 512 MB.
MEMORY_BYTES = 448 * 2**20
_SECONDS = 0.8  # of computing that a header or one picture may take
_BYTES_PER_SECOND = 10e6  # unpacked at the slowest
_MAX_ANSWER_BYTES = 2**20
_WORKER = "dvae_core.data.untrusted.worker"


_ON_THE_OPEN_FILE = frozenset({"read", "read_whole", "limits", "next_mesh"})


class Reader:
    """The child process; it is started on the first request, and anew after a file killed it.

    Use it in a `with` statement. Requests are answered one at a time.

    Args:
        memory_bytes: what the child may take in all.
    """

    def __init__(self, memory_bytes: int = MEMORY_BYTES) -> None:
        self.memory_bytes = memory_bytes
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Reader":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the child."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()

    def open_arrays(self, path: Path, names: Sequence[str]) -> "ArrayFile":
        """The named arrays of a .npz or HDF5 file.

        The previous file of this reader is closed.

        Raises:
            DataError: it is no such file, or one of the arrays must not be read.
        """
        check_is_file(path)
        answer, _ = self.ask(path, "open_arrays", _SECONDS, names=list(names))
        arrays = {name: ArrayInfo.from_json(info) for name, info in answer["arrays"].items()}
        return ArrayFile(self, path, arrays, tuple(answer["contents"]))

    def picture_header(self, path: Path) -> tuple[int, int, bool]:
        """Height, width, and whether a picture is grey, from its header alone."""
        check_is_file(path)
        answer, _ = self.ask(path, "picture_header", _SECONDS)
        return answer["height"], answer["width"], answer["is_grey"]

    def read_picture(self, path: Path, size: int, channels: int) -> NDArray[np.uint8]:
        """A picture scaled to uint8 (size, size, channels); `channels` is 1 or 3."""
        check_is_file(path)
        seconds = _SECONDS + path.stat().st_size / _BYTES_PER_SECOND
        _, data = self.ask(path, "read_picture", seconds, size=size, channels=channels)
        return _as_array(path, data, np.dtype(np.uint8), (size, size, channels))

    def meshes(self, path: Path) -> Iterator[tuple[str, NDArray[np.uint8]]]:
        """Names and `im` arrays, uint8 of five axes, of the car meshes in a .tar.gz."""
        check_is_file(path)
        self.ask(path, "open_meshes", _SECONDS)
        # All of the file may come before the next mesh.
        seconds = _SECONDS + path.stat().st_size / _BYTES_PER_SECOND
        while True:
            answer, data = self.ask(path, "next_mesh", seconds)
            if answer["name"] is None:
                return
            shape = tuple(answer["shape"])
            yield answer["name"], _as_array(path, data, np.dtype(np.uint8), shape)

    def ask(
        self, path: Path, operation: str, seconds: float, **arguments: Any
    ) -> tuple[dict[str, Any], bytes]:
        """One request to the child, which `formats/worker.py` answers.

        Args:
            path: the file it is about.
            operation: one of the worker's.
            seconds: of computing that the answer may take.
            **arguments: of the operation.

        Raises:
            DataError: the file does not fit, or the child died over it.
        """
        request = {"operation": operation, "path": str(path), "seconds": seconds, **arguments}
        process = self._running(operation)
        try:
            answer, data = _exchange(process, request, self.memory_bytes)
        except (OSError, ValueError, KeyError, TypeError):
            # It is dead, or says what makes no sense.
            cause = self._cause_of_death(seconds)
            raise DataError(f"{_shown(path)} cannot be read: {cause}") from None
        except BaseException:
            self.close()  # its answer would be taken for that of the next request
            raise
        if "error" in answer:
            raise DataError(f"{_shown(path)} cannot be read: {printable(answer['error'], 400)}")
        return answer, data

    def _running(self, operation: str) -> "subprocess.Popen[bytes]":
        # With a child that died the file is gone that it held open: a request about that file shall
        # meet the dead one, and tell.
        opens = operation not in _ON_THE_OPEN_FILE
        if opens and self._process is not None and self._process.poll() is not None:
            self.close()
        if self._process is None:
            self._process = start_child(_WORKER, self.memory_bytes)
        return self._process

    def _cause_of_death(self, seconds: float) -> str:
        assert self._process is not None
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(1)  # its own end tells more than ours
        process = self._process
        self.close()
        code = process.returncode
        if code in (-signal.SIGPROF, -signal.SIGALRM):
            return f"it takes more than {seconds:.0f} s to read"
        return "it is damaged in a way that kills its reader"


@dataclass(frozen=True)
class ArrayFile:
    """Arrays of a file that a reader holds open.

    Attributes:
        arrays: those of the asked names that are there.
        contents: names of what is there in all, the first few.
    """

    reader: Reader
    path: Path
    arrays: dict[str, ArrayInfo]
    contents: tuple[str, ...]

    def require(self, name: str) -> ArrayInfo:
        """The array of that name, or a `DataError` that tells what is there instead."""
        if name not in self.arrays:
            found = ", ".join(self.contents) or "nothing"
            raise DataError(f"{_shown(self.path)} has no array '{name}': it holds {found}")
        return self.arrays[name]

    def require_published(self, name: str, shape: tuple[int, ...]) -> None:
        """Raise `DataError` unless the array is there as uint8 of that shape."""
        info = self.require(name)
        if info.shape != shape or info.dtype != "|u1":
            raise DataError(
                f"{_shown(self.path)} has {name} of type {info.dtype} and shape {info.shape}, not "
                f"uint8 of shape {shape} as published"
            )

    def read(self, name: str, start: int, stop: int) -> NDArray:
        """Entries start to stop along the first axis."""
        info = self.arrays[name]
        _, data = self._ask("read", name, stop - start, start=start, stop=stop)
        return _as_array(self.path, data, np.dtype(info.dtype), (stop - start, *info.shape[1:]))

    def blocks(self, name: str) -> Iterator[NDArray]:
        """The whole array in consecutive blocks along the first axis."""
        for start, stop in self.bounds(name):
            yield self.read(name, start, stop)

    def read_whole(self, name: str) -> NDArray:
        """The whole array, which must not be large; texts as numpy's of fixed length."""
        answer, data = self._ask("read_whole", name, self.arrays[name].shape[0])
        return _as_array(self.path, data, np.dtype(answer["dtype"]), tuple(answer["shape"]))

    def limits(self, name: str, progress: Progress = no_progress) -> tuple[float, float]:
        """Least and greatest number of an array, all of which is read, and checked, for it.

        Raises:
            DataError: a number is not finite, or the file is damaged somewhere.
        """
        least, greatest = float("inf"), float("-inf")
        for start, stop in self.bounds(name):
            answer, _ = self._ask("limits", name, stop - start, start=start, stop=stop)
            if not isfinite(answer["least"]) or not isfinite(answer["greatest"]):
                raise DataError(
                    f"{_shown(self.path)} has numbers in {name} that are not finite, between "
                    f"entries {start:,} and {stop - 1:,}"
                )
            least, greatest = min(least, answer["least"]), max(greatest, answer["greatest"])
            progress(stop, self.arrays[name].shape[0])
        return least, greatest

    def _ask(
        self, operation: str, name: str, rows: int, **arguments: Any
    ) -> tuple[dict[str, Any], bytes]:
        seconds = _SECONDS + rows * self.arrays[name].row_bytes / _BYTES_PER_SECOND
        return self.reader.ask(self.path, operation, seconds, name=name, **arguments)

    def bounds(self, name: str) -> Iterator[tuple[int, int]]:
        """Start and stop of the blocks in which `blocks` reads an array."""
        info = self.arrays[name]
        rows = BLOCK_BYTES // info.row_bytes
        # Packed rows are unpacked together, so each pack is best read once.
        if info.chunk_rows * info.row_bytes <= self.reader.memory_bytes // 4:
            rows = max(rows // info.chunk_rows, 1) * info.chunk_rows
        if rows == 0:
            raise DataError(
                f"{_shown(self.path)} has entries of {info.row_bytes / 1e6:.0f} MB in {name}, but "
                f"at most {BLOCK_BYTES / 1e6:.0f} MB are read"
            )
        for start in range(0, info.shape[0], rows):
            yield start, min(start + rows, info.shape[0])


def _exchange(
    process: "subprocess.Popen[bytes]", request: dict[str, Any], most_bytes: int
) -> tuple[dict[str, Any], bytes]:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps(request).encode() + b"\n")
    process.stdin.flush()
    answer = json.loads(process.stdout.readline(_MAX_ANSWER_BYTES))
    if "error" in answer:
        return answer, b""
    data = process.stdout.read(min(answer["bytes"], most_bytes))
    if len(data) != answer["bytes"]:
        raise ValueError
    return answer, data


def check_is_file(path: Path) -> None:
    """Raise `DataError` unless there is a plain file, no device or pipe that never ends."""
    if not path.exists():
        raise DataError(f"{_shown(path)} does not exist")
    if not path.is_file():
        raise DataError(f"{_shown(path)} is no plain file")


def _as_array(path: Path, data: bytes, dtype: np.dtype, shape: tuple[int, ...]) -> NDArray:
    # The child may be in any state by now, so its answers are checked as well.
    if dtype.hasobject or prod(shape) * dtype.itemsize != len(data):
        raise DataError(f"{_shown(path)} cannot be read: its reader gives no sense")
    return np.frombuffer(data, dtype).reshape(shape)


def _shown(path: Path) -> str:
    return printable(path, 200)
