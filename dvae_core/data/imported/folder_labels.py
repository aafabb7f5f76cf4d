"""Factors of the pictures in a folder: from a table beside them, or from their folders."""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dvae_core.data.imported.labels import Labels, labels_from
from dvae_core.data.imported.options import ImportOptions
from dvae_core.data.untrusted.limits import MAX_FACTORS, MAX_TEXT_CHARACTERS
from dvae_core.errors import DataError, printable

TABLE = "labels.csv"
TABLES = (TABLE, "metadata.csv")
"""Tables of factors; the second is that of HuggingFace's image folders."""

_FILE_COLUMN = "file_name"  # names the pictures in metadata.csv, in any column
CLASS = "class"
"""The factor that class folders give."""
_MAX_BYTES = 256 * 2**20


def folder_labels(
    folder: Path, pictures: Sequence[Path], options: ImportOptions | None = None
) -> Labels | None:
    """The factors of pictures below a folder, or None.

    `labels.csv` in the folder has a head, the path of a picture in its first column (or in the
    column `file_name`), and a factor in each other one; rows of other pictures are ignored. So has
    `metadata.csv`, as HuggingFace's image folders call it. Without a table, the folder in which a
    picture lies is its class, where all pictures lie one folder deep and in more than one folder.

    Raises:
        DataError: the table is damaged, or lacks a picture.
    """
    table = next((folder / name for name in TABLES if (folder / name).is_file()), None)
    if table is not None:
        names = [path.relative_to(folder).as_posix() for path in pictures]
        return _read_table(table, names, options)
    classes = [path.relative_to(folder).parts[:-1] for path in pictures]
    if any(len(parts) != 1 for parts in classes) or len(set(classes)) < 2:
        return None
    return labels_from(np.array([parts[0] for parts in classes]), [CLASS], len(pictures))


def _read_table(path: Path, pictures: Sequence[str], options: ImportOptions | None) -> Labels:
    shown = path.name
    if path.stat().st_size > _MAX_BYTES:
        raise DataError(f"{shown} has more than {_MAX_BYTES // 2**20} MB: give a smaller table")
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            head, *rows = [row for row in csv.reader(file) if row] or [[]]
    except (csv.Error, UnicodeDecodeError) as error:
        raise DataError(f"{shown} is not a table of comma-separated text ({error})") from None
    if not 2 <= len(head) <= MAX_FACTORS + 1:
        raise DataError(
            f"{shown} has {len(head)} columns: give the file name first and then 1 to "
            f"{MAX_FACTORS} factors, separated by commas"
        )
    column = head.index(_FILE_COLUMN) if _FILE_COLUMN in head else 0
    head = [*head[:column], *head[column + 1 :]]
    values: dict[str, list[str]] = {}
    for number, row in enumerate(rows, start=2):
        if len(row) != len(head) + 1:
            raise DataError(
                f"{shown} has {len(row)} columns in line {number}, but {len(head) + 1} in its head"
            )
        name = row.pop(column).strip().removeprefix("./").replace("\\", "/")
        values[name] = row
    missing = [name for name in pictures if name not in values]
    if missing:
        more = f" and {len(missing) - 1:,} more pictures" if len(missing) > 1 else ""
        raise DataError(
            f"{shown} has no row for {printable(missing[0])}{more}: its first column must name "
            f"each picture"
        )
    columns = zip(*(values[name] for name in pictures), strict=True)
    values_of = [_values(column) for column in columns]
    return labels_from(values_of, head, len(pictures), options)


def _values(column: Sequence[str]) -> NDArray:
    """The values of a column: numbers if all of them are, else texts."""
    texts = [text.strip()[:MAX_TEXT_CHARACTERS] for text in column]
    try:
        numbers = np.array([float(text) for text in texts])
    except ValueError:
        return np.array(texts)
    if not np.isfinite(numbers).all():
        raise DataError(f"{TABLE} has numbers that are not finite: remove NaN and infinity")
    is_integer = bool((numbers == np.rint(numbers)).all() and (np.abs(numbers) < 2**53).all())
    return numbers.astype(np.int64) if is_integer else numbers
