"""Pictures in a zip, tar or parquet file, unpacked for an import."""

import csv
import gzip
import shutil
import stat
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

from dvae_core.data.imported.folder_labels import CLASS, FILE_COLUMN, TABLE, TABLES
from dvae_core.data.imported.source import PICTURE_SUFFIXES
from dvae_core.data.untrusted.limits import MAX_IMAGES, MAX_TEXT_CHARACTERS, exceeds_ratio
from dvae_core.data.untrusted.reader import Reader
from dvae_core.errors import DataError, printable
from dvae_core.system.files import temporary_folder
from dvae_core.system.zips import packed_files

_CHUNK_BYTES = 2**20
_TAR_SUFFIXES = (".tar", ".tgz")
_CLASS_SUFFIX = ".cls"  # of the class of a picture in a WebDataset
_MAX_CLASS_BYTES = 4 * MAX_TEXT_CHARACTERS


@contextmanager
def unpacked(source: Path) -> Iterator[Path]:
    """The folder of the pictures in a zip, tar or parquet file with the table of their factors,
    removed at the end; any other source as it is.

    In a WebDataset, `0001.cls` has the class of `0001.jpg`. In parquet, as HuggingFace stores data
    sets, one column holds pictures and all columns of numbers and texts are factors.

    Raises:
        DataError: the file is damaged, encrypted, or made to write elsewhere or to fill the disk.
            Nothing is left of it.
    """
    suffix = source.suffix.lower()
    is_tar = suffix in _TAR_SUFFIXES or source.name.lower().endswith(".tar.gz")
    if suffix not in (".zip", ".parquet") and not is_tar:
        yield source
        return
    with temporary_folder() as place:
        folder = place / source.stem
        folder.mkdir()
        shown = printable(source.name, 200)
        try:
            if suffix == ".zip":
                _extract_zip(source, shown, folder)
            elif is_tar:
                _extract_tar(source, shown, folder)
            else:
                _extract_parquet(source, folder)
        except gzip.BadGzipFile as error:
            raise DataError(
                f"{shown} is not a complete tar file ({printable(error, 200)})"
            ) from None
        except OSError as error:
            raise DataError(f"{shown} cannot be unpacked: {error.strerror or error}") from None
        except DataError:
            raise
        # Damaged archives and odd names make the standard library raise almost any exception.
        except Exception as error:
            kind = "tar" if is_tar else suffix[1:]
            text = printable(error, 200)
            raise DataError(f"{shown} is not a complete {kind} file ({text})") from None
        yield _top(folder)


class _Budget:
    """Counts unpacked bytes, since stated sizes may be wrong."""

    def __init__(self, source: Path, shown: str) -> None:
        self._packed, self._shown, self._total = source.stat().st_size, shown, 0

    def count(self, num_bytes: int) -> None:
        """Count unpacked bytes.

        Raises:
            DataError: all together are more than pictures can be.
        """
        self._total += num_bytes
        if exceeds_ratio(self._total, self._packed):
            raise DataError(f"{self._shown} unpacks to more than any pictures")


class _Counted:
    """A stream that counts what is read of it; of a tar, headers and unwanted members too."""

    def __init__(self, stream: IO[bytes] | gzip.GzipFile, budget: _Budget) -> None:
        self._stream, self._budget = stream, budget

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(size)
        self._budget.count(len(data))
        return data


def _copy(packed: _Counted | IO[bytes], target: Path) -> None:
    """Write a member to a file."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with open(target, "wb") as file:
        shutil.copyfileobj(packed, file, _CHUNK_BYTES)


def _extract_zip(source: Path, shown: str, folder: Path) -> None:
    budget = _Budget(source, shown)
    with zipfile.ZipFile(source) as archive:
        members = [
            member for member in packed_files(archive) if _is_wanted(PurePosixPath(member.filename))
        ]
        _check_count(len(members), shown)
        for member in members:
            target = folder / _safe_path(shown, member)
            with archive.open(member) as packed:
                _copy(_Counted(packed, budget), target)


def _extract_tar(source: Path, shown: str, folder: Path) -> None:
    classes, count = dict[str, str](), 0
    is_plain = source.suffix.lower() == ".tar"
    with open(source, "rb") if is_plain else gzip.open(source) as stream:
        counted = _Counted(stream, _Budget(source, shown))
        archive = tarfile.open(fileobj=counted, mode="r|")  # type: ignore[call-overload]  # noqa: SIM115
        for member in archive:  # in one pass, members as they come
            archive.members = []  # which would otherwise grow
            count += 1
            _check_count(count, shown)
            path = PurePosixPath(member.name)
            is_class = path.suffix == _CLASS_SUFFIX
            if member.isdir() or not (is_class or _is_wanted(path)):
                continue
            where = f"{shown} holds {printable(member.name)}"
            if not member.isfile():
                raise DataError(f"{where} as a link or a device, not as a file")
            _check_stays_inside(path, member.name, where)
            packed = archive.extractfile(member)
            assert packed is not None
            if is_class:
                text = packed.read(_MAX_CLASS_BYTES).decode("utf-8", "replace")
                classes[path.with_suffix("").as_posix()] = text.strip()
            else:
                _copy(packed, folder / path)
    if classes:
        _write_classes(folder, classes)


def _write_classes(folder: Path, classes: dict[str, str]) -> None:
    """The table of the classes of a WebDataset's pictures."""
    pictures = sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    with open(folder / TABLE, "w", newline="", encoding="utf-8", errors="replace") as file:
        rows = csv.writer(file)
        rows.writerow(["file", CLASS])
        for path in pictures:
            found = classes.get(path.with_suffix("").as_posix())
            if found is None:
                raise DataError(f"{printable(path)} has no class, but other pictures have one")
            rows.writerow([path.as_posix(), found])


def _extract_parquet(source: Path, folder: Path) -> None:
    count, budget = 0, _Budget(source, printable(source.name, 200))
    with (
        Reader(top=source.parent) as reader,
        open(folder / TABLE, "w", newline="", encoding="utf-8") as file,
    ):
        rows, head = csv.writer(file), None
        for picture, labels in reader.parquet_rows(source):
            if head is None:
                # The first column of this name has the pictures.
                head = [FILE_COLUMN, *(name + "_" * (name == FILE_COLUMN) for name in labels)]
                rows.writerow(head)
            budget.count(len(picture) + sum(map(len, labels.values())))
            _check_count(count, source.name)
            name = f"row-{count}.png"  # pictures are told by their content
            (folder / name).write_bytes(picture)
            rows.writerow([name, *labels.values()])
            count += 1
    if head == [FILE_COLUMN]:
        (folder / TABLE).unlink()


def _check_count(count: int, shown: str) -> None:
    if count > MAX_IMAGES:
        raise DataError(f"{shown} has too many files: give at most {MAX_IMAGES:,}")


def _is_wanted(path: PurePosixPath) -> bool:
    if path.parts[:1] == ("__MACOSX",) or path.name.startswith("."):
        return False
    return path.suffix.lower() in PICTURE_SUFFIXES or path.name in TABLES


def _check_stays_inside(path: PurePosixPath, name: str, where: str) -> None:
    if path.is_absolute() or ".." in path.parts or any(sign in name for sign in "\\:"):
        raise DataError(f"{where}, a path that leads out of the folder")


def _safe_path(shown: str, member: zipfile.ZipInfo) -> PurePosixPath:
    path = PurePosixPath(member.filename)
    where = f"{shown} holds {printable(member.filename)}"
    _check_stays_inside(path, member.filename, where)
    if stat.S_IFMT(member.external_attr >> 16) not in (0, stat.S_IFREG):
        raise DataError(f"{where} as a link or a device, not as a file")
    if member.flag_bits & 1:
        raise DataError(f"{where} encrypted: pack it without a password")
    return path


def _top(folder: Path) -> Path:
    """The folder itself, or the only one in it, as when a whole folder was packed."""
    inside = list(folder.iterdir())
    return inside[0] if len(inside) == 1 and inside[0].is_dir() else folder
