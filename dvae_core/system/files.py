"""Writing files so that a reader never meets half of one."""

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from dvae_core.errors import DataError


def write_atomically(path: Path, content: bytes | str) -> None:
    """Write a file in one stroke: whoever reads `path` sees the old content or the new one.

    Raises:
        OSError: the disk is full or the folder cannot be written; `path` is then as it was.
    """
    data = content.encode() if isinstance(content, str) else content
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())  # else a power failure may leave the new name on no content
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def remove_leftovers(path: Path) -> None:
    """Remove what killed writers of a file have left beside it. Nobody may be writing it.

    Args:
        path: that `write_atomically` took; its name may be a glob pattern.
    """
    for temporary in path.parent.glob(f".{path.name}.*"):
        temporary.unlink(missing_ok=True)


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A folder to fill, which gets its name `path` when the block ends without error; else nothing
    of it is left.

    Raises:
        FileExistsError: there is something of that name.
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


try:
    import fcntl
except ImportError:  # no such locks on Windows
    fcntl = None  # type: ignore[assignment]


@contextmanager
def partial_file(path: Path, resume: bool = False, part: Path | None = None) -> Iterator[BinaryIO]:
    """Write a file that gets its name `path` when the block ends without error.

    Args:
        path: the file to be; what has that name is replaced at the end.
        resume: keep what is there of an earlier attempt, in front of the writing position, and
            leave it there when this one fails. Otherwise an attempt begins and fails with nothing.
        part: its name until then, `<path>.part` when left out.

    Raises:
        DataError: another process is writing the same file.
        OSError: the disk is full, or the folder cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = part or path.with_name(f"{path.name}.part")
    # Neither mode of `open` makes a missing file without emptying one that another process writes.
    with os.fdopen(os.open(part, os.O_RDWR | os.O_CREAT, 0o644), "r+b") as file:
        if not _lock(file, part):
            raise DataError(f"{path} is being written by another process: wait for it")
        try:
            if resume:
                file.seek(0, os.SEEK_END)
            else:
                file.truncate(0)
            yield file
            file.flush()
            os.fsync(file.fileno())  # else a power failure may leave the new name on no content
            os.replace(part, path)
        except BaseException:
            if not resume or not file.tell():
                part.unlink(missing_ok=True)
            raise


def _lock(file: BinaryIO, path: Path) -> bool:
    if fcntl is None:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Between opening and locking, another process may have finished and renamed this file.
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except OSError:
        return False
