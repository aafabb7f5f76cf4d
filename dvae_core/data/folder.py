"""The folder of data files, and its cache of unpacked arrays."""

import hashlib
import os
import shutil
import threading
from collections.abc import Callable, Iterable, Sequence
from math import prod
from pathlib import Path

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from dvae_core.errors import DataError
from dvae_core.progress import Progress, no_progress
from dvae_core.system.files import partial_file


def data_folder() -> Path:
    """The folder in the environment variable DVAE_DATA, else `data`."""
    return Path(os.environ.get("DVAE_DATA") or "data")


_turns: dict[Path, threading.Lock] = {}
_FORMAT = 1  # increase it when loaders store the same source differently


def cached_array(
    name: str,
    sources: Sequence[Path],
    shape: tuple[int, ...],
    blocks: Callable[[], Iterable[NDArray[np.uint8]]],
    progress: Progress = no_progress,
) -> NDArray[np.uint8]:
    """A memory-mapped uint8 array in the folder `cache` of the data folder.

    The first call writes the array; a call after a source file has changed writes it again.

    Args:
        name: name of the data set.
        sources: files from which the array is made.
        shape: shape of the array, images first.
        blocks: yields the consecutive parts of the array.
        progress: called with the number of stored images.

    Raises:
        DataError: a source is invalid, the disk is full, or another process writes the array.
    """
    folder = data_folder() / "cache"
    path = folder / f"{name}.{_fingerprint(sources, shape)}.npy"
    turn = _turns.setdefault(path, threading.Lock())
    with turn:  # of the threads of a server, one makes the array
        existing = _map(path, shape)
        if existing is not None:
            return existing
        try:
            folder.mkdir(parents=True, exist_ok=True)
            check_space(folder, prod(shape))
            _write(path, shape, blocks(), progress)
        except OSError as error:
            raise DataError(f"{path} cannot be written: {error.strerror or error}") from None
        for stale in folder.glob(f"{name}.*.npy"):
            if stale != path:
                stale.unlink(missing_ok=True)
        made = _map(path, shape)
        assert made is not None
        return made


def check_space(folder: Path, needed_bytes: int) -> None:
    """Raise `DataError` unless the disk of a folder has `needed_bytes` free."""
    free = shutil.disk_usage(folder).free
    if needed_bytes > free:
        raise DataError(
            f"{folder} needs {needed_bytes / 1e9:.2f} GB, but {free / 1e9:.2f} GB are free: free "
            f"some space, or set DVAE_DATA to another folder"
        )


def _write(
    path: Path,
    shape: tuple[int, ...],
    blocks: Iterable[NDArray[np.uint8]],
    progress: Progress,
) -> None:
    with partial_file(path) as file:
        npy_format.write_array_header_1_0(
            file, {"descr": "|u1", "fortran_order": False, "shape": shape}
        )
        rows = 0
        progress(0, shape[0])
        for block in blocks:
            assert block.dtype == np.uint8
            assert block.shape[1:] == shape[1:]
            file.write(np.ascontiguousarray(block).data)
            rows += len(block)
            progress(rows, shape[0])
        assert rows == shape[0]


def _map(path: Path, shape: tuple[int, ...]) -> NDArray[np.uint8] | None:
    if not path.exists():
        return None
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError):  # truncated or overwritten: write it again
        return None
    return array if array.shape == shape and array.dtype == np.uint8 else None


def _fingerprint(sources: Sequence[Path], shape: tuple[int, ...]) -> str:
    parts: list[object] = [_FORMAT, shape]
    for source in sources:
        status = source.stat()
        parts += [source.name, status.st_size, status.st_mtime_ns]
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:12]
