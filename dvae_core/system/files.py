"""Atomic writing of files and folders."""

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from dvae_core.errors import ConfigError, DataError

try:
    import fcntl
except ImportError:  # no such locks on Windows
    fcntl = None  # type: ignore[assignment]


def check_output(path: Path, endings: Sequence[str]) -> None:
    """Raise `ConfigError` unless a file has one of these endings, and its folder exists."""
    if path.suffix.lower() not in endings:
        raise ConfigError(f"{path} is no file name for this: it must end in {', '.join(endings)}")
    if path.is_dir():
        raise ConfigError(f"{path} is a folder: give the name of a file")
    if not path.parent.is_dir():
        raise ConfigError(f"there is no folder {path.parent}: create it, or give another")


def write_atomically(path: Path, content: bytes | str) -> None:
    """Write a file atomically: readers of `path` see the old or the new content.

    Raises:
        OSError: the disk is full or the folder cannot be written; `path` is then unchanged.
    """
    data = content.encode() if isinstance(content, str) else content
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            _write_through(file)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def remove_leftovers(path: Path) -> None:
    """Remove temporary files of killed `write_atomically` calls for `path`, whose name may be a
    glob pattern. No process may be writing it."""
    for temporary in path.parent.glob(f".{path.name}.*"):
        temporary.unlink(missing_ok=True)


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A temporary folder, renamed to `path` at the end of the block, or removed after an error.

    Raises:
        FileExistsError: `path` exists.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(dir=path.parent, prefix=".new-"))
    try:
        draft.chmod(0o755)
        yield draft
        if path.exists():
            raise FileExistsError(errno.EEXIST, "there is one already", str(path))
        draft.rename(path)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise


@contextmanager
def partial_file(path: Path, resume: bool = False, part: Path | None = None) -> Iterator[BinaryIO]:
    """A file that is renamed to `path` when the block ends without error.

    Args:
        path: the file to write; an existing one is replaced at the end.
        resume: append to the part of an earlier attempt, and keep the part after a failure.
            Otherwise start empty and remove the part.
        part: temporary name; `<path>.part` by default.

    Raises:
        DataError: another process is writing the same file.
        OSError: the disk is full, or the folder cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = part or path.with_name(f"{path.name}.part")
    # No mode of `open` creates a missing file without truncating one that another process writes.
    with os.fdopen(os.open(part, os.O_RDWR | os.O_CREAT, 0o644), "r+b") as file:
        if not _lock(file, part):
            raise DataError(f"{path} is being written by another process: wait for it")
        try:
            if resume:
                file.seek(0, os.SEEK_END)
            else:
                file.truncate(0)
            yield file
            _write_through(file)
            os.replace(part, path)
        except BaseException:
            if not resume or not file.tell():
                part.unlink(missing_ok=True)
            raise


def _write_through(file: BinaryIO) -> None:
    """Write to the disk, so that a power failure cannot leave a renamed file without content."""
    file.flush()
    os.fsync(file.fileno())


def _lock(file: BinaryIO, path: Path) -> bool:
    if fcntl is None:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Between opening and locking, another process may have finished and renamed this file.
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except OSError:
        return False
