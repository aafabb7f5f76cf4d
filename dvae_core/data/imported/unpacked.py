"""Pictures in a zip file, unpacked for an import."""

import stat
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from dvae_core.data.imported.folder_labels import TABLE
from dvae_core.data.imported.source import PICTURE_SUFFIXES
from dvae_core.data.untrusted.limits import MAX_IMAGES, exceeds_ratio
from dvae_core.errors import DataError, printable

_CHUNK_BYTES = 2**20


@contextmanager
def unpacked(source: Path) -> Iterator[Path]:
    """The folder of the pictures and `labels.csv` in a zip file, removed at the end; any other
    source as it is.

    Raises:
        DataError: the zip file is damaged, encrypted, or made to write elsewhere or to fill the
            disk. Nothing is left of it.
    """
    if source.suffix.lower() != ".zip":
        yield source
        return
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place, source.stem)
        folder.mkdir()
        shown = printable(source, 200)
        try:
            _extract(source, shown, folder)
        except OSError as error:
            raise DataError(f"{shown} cannot be unpacked: {error.strerror or error}") from None
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
            raise DataError(f"{shown} is not a complete zip file ({error})") from None
        yield _top(folder)


def _extract(source: Path, shown: str, folder: Path) -> None:
    packed_bytes, total = source.stat().st_size, 0
    with zipfile.ZipFile(source) as archive:
        members = [member for member in archive.infolist() if _is_wanted(member)]
        if len(members) > MAX_IMAGES:
            raise DataError(f"{shown} has too many files: give at most {MAX_IMAGES:,}")
        for member in members:
            target = folder / _safe_path(shown, member)
            target.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(member) as packed, open(target, "wb") as file:
                while chunk := packed.read(_CHUNK_BYTES):
                    total += len(chunk)  # the stated sizes may be wrong
                    if exceeds_ratio(total, packed_bytes):
                        raise DataError(f"{shown} unpacks to more than any pictures")
                    file.write(chunk)


def _is_wanted(member: zipfile.ZipInfo) -> bool:
    path = PurePosixPath(member.filename)
    if member.is_dir() or path.parts[:1] == ("__MACOSX",) or path.name.startswith("."):
        return False
    return path.suffix.lower() in PICTURE_SUFFIXES or path.name == TABLE


def _safe_path(shown: str, member: zipfile.ZipInfo) -> PurePosixPath:
    path = PurePosixPath(member.filename)
    where = f"{shown} holds {printable(member.filename)}"
    if path.is_absolute() or ".." in path.parts or any(sign in member.filename for sign in "\\:"):
        raise DataError(f"{where}, a path that leads out of the folder")
    if stat.S_IFMT(member.external_attr >> 16) not in (0, stat.S_IFREG):
        raise DataError(f"{where} as a link or a device, not as a file")
    if member.flag_bits & 1:
        raise DataError(f"{where} encrypted: pack it without a password")
    return path


def _top(folder: Path) -> Path:
    """The folder itself, or the only one in it, as when a whole folder was packed."""
    inside = list(folder.iterdir())
    return inside[0] if len(inside) == 1 and inside[0].is_dir() else folder
