"""Atomic writing of files and folders, and temporary ones that no killed process leaves behind."""

import errno
import glob
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, NamedTuple

from dvae_core.errors import ConfigError, DataError

try:
    import fcntl
except ImportError:  # no such locks on Windows
    fcntl = None  # type: ignore[assignment]

# Long enough to lock what was just made.
_YOUNG_SECONDS = 60.0
# Far above the resolution of the times in any file system.
_UNSETTLED_NS = 2 * 10**9
_DRAFT, _TEMPORARY = ".new-", "dvae-tmp-"


class FileStamp(NamedTuple):
    """What tells one content of a path from another without reading it: the number of the file in
    its file system, its bytes, and when it last changed, in nanoseconds."""

    number: int
    size: int
    changed_ns: int


def check_output(path: Path, endings: Sequence[str]) -> None:
    """Raise `ConfigError` unless a file has one of these endings, and its folder exists."""
    if path.suffix.lower() not in endings:
        raise ConfigError(f"{path} is no file name for this: it must end in {', '.join(endings)}")
    if path.is_dir():
        raise ConfigError(f"{path} is a folder: give the name of a file")
    if not path.parent.is_dir():
        raise ConfigError(f"there is no folder {path.parent}: create it, or give another")


def write_atomically(path: Path, content: bytes | str) -> None:
    """Write a file atomically: readers of `path` see the old or the new content. Removes what
    killed processes left of earlier attempts.

    Raises:
        OSError: the disk is full or the folder cannot be written; `path` is then unchanged.
    """
    data = content.encode() if isinstance(content, str) else content
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    with _named(path):
        _remove_dead(path.parent, f".{glob.escape(path.name)}.{'[0-9a-f]' * 8}")
        try:
            with open(temporary, "xb") as file:
                _lock(file.fileno(), temporary)
                file.write(data)
                _write_through(file)
            os.replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def file_stamp(path: Path) -> FileStamp | None:
    """The stamp of a file, which changes whenever the file does; None for a file that is missing,
    or changed so lately that a further change might have the same time."""
    try:
        status = path.stat()
    except OSError:
        return None
    if time.time_ns() - status.st_ctime_ns < _UNSETTLED_NS:
        return None
    return FileStamp(status.st_ino, status.st_size, status.st_ctime_ns)


def remove_leftovers(path: Path) -> None:
    """Remove temporary files of killed `write_atomically` calls for `path`, whose name may be a
    glob pattern. No process may be writing it."""
    for temporary in path.parent.glob(f".{path.name}.*"):
        temporary.unlink(missing_ok=True)


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A temporary folder, renamed to `path` at the end of the block, or removed after an error.
    Removes those of killed processes beside it.

    Raises:
        FileExistsError: `path` exists.
        OSError: the disk is full, or the folder cannot be written.
    """
    with _named(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with _locked_folder(path.parent, _DRAFT) as draft:
            yield draft
            if path.exists():
                raise FileExistsError(errno.EEXIST, "there is one already", str(path))
            draft.rename(path)


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder among the temporary files of the system, removed at the end of the block. Removes
    those of killed processes."""
    with _locked_folder(Path(tempfile.gettempdir()), _TEMPORARY, mode=0o700) as folder:
        yield folder


@contextmanager
def partial_file(path: Path, resume: bool = False, part: Path | None = None) -> Iterator[BinaryIO]:
    """A file that is renamed to `path` when the block ends without error.

    Args:
        path: the file to write; an existing one is replaced at the end.
        resume: append to the part of an earlier attempt, and keep the part after a failure.
            Otherwise start empty, remove the part, and those of killed processes beside it.
        part: temporary name; `<path>.part` by default.

    Raises:
        DataError: another process is writing the same file.
        OSError: the disk is full, or the folder cannot be written.
    """
    with _named(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        part = part or path.with_name(f"{path.name}.part")
        # No mode of `open` creates a missing file without truncating one that another process
        # writes.
        with os.fdopen(os.open(part, os.O_RDWR | os.O_CREAT, 0o666), "r+b") as file:
            if not _lock(file.fileno(), part):
                raise DataError(f"{path} is being written by another process: wait for it")
            if not resume:
                _remove_dead(path.parent, f"*{path.suffix}.part")
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


@contextmanager
def _locked_folder(parent: Path, prefix: str, mode: int = 0o777) -> Iterator[Path]:
    """A new folder, locked as long as its process lives, and removed unless it was renamed."""
    _remove_dead(parent, f"{prefix}*")
    folder = parent / f"{prefix}{secrets.token_hex(4)}"
    folder.mkdir(mode)  # within the umask of the user
    lock = None if fcntl is None else os.open(folder, os.O_RDONLY)
    try:
        if lock is not None:
            _lock(lock, folder)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if lock is not None:
            os.close(lock)


def _remove_dead(folder: Path, pattern: str) -> None:
    """Remove temporary files and folders that no living process has locked."""
    if fcntl is None:
        return
    for path in folder.glob(pattern):
        with suppress(OSError):  # another user's, or just removed
            if path.is_symlink() or time.time() - path.stat().st_mtime < _YOUNG_SECONDS:
                continue
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
            try:
                if not _lock(descriptor, path):
                    continue
                if path.is_dir():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    path.unlink()
            finally:
                os.close(descriptor)


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Let errors of the disk name what was written; those of a full disk name nothing."""
    try:
        yield
    except OSError as error:
        if error.filename is None and error.errno is not None:
            error.filename = str(path)
        raise


def _write_through(file: BinaryIO) -> None:
    """Write to the disk, so that a power failure cannot leave a renamed file without content."""
    file.flush()
    os.fsync(file.fileno())


def _lock(descriptor: int, path: Path) -> bool:
    if fcntl is None:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Between opening and locking, another process may have finished and renamed this file.
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except OSError:
        return False
