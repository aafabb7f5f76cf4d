"""Writing files so that a reader never meets half of one."""

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


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
        path: as of `write_atomically`; its name may hold a `*` for any characters.
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
