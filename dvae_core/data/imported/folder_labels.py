"""Factors of the pictures in a folder: from a table beside them, or from their folders."""

import csv
import re
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

FILE_COLUMN = "file_name"
"""The column that names the pictures; the first one in a table without it."""

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
_NOT_FINITE = ("nan", "inf", "infinity")
_INTEGER = re.compile(r"[+-]?\d{1,18}")
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
    wanted = set(pictures)
    values: dict[str, list[str]] = {}
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            rows = csv.reader(file)
            head = next((row for row in rows if row), [])
            _check_width(shown, len(head))
            column = head.index(FILE_COLUMN) if FILE_COLUMN in head else 0
            num_columns = len(head)
            head = [*head[:column], *head[column + 1 :]]
            for row in rows:  # one at a time: the table may be much larger than the pictures
                if not row:
                    continue
                if len(row) != num_columns:
                    raise DataError(
                        f"{shown} has {len(row)} columns in line {rows.line_num}, but "
                        f"{num_columns} in its head"
                    )
                name = row.pop(column).strip().removeprefix("./").replace("\\", "/")
                if name not in wanted:
                    continue
                if values.get(name, row) != row:
                    raise DataError(
                        f"{shown} has several rows for {printable(name)} that differ: keep one"
                    )
                if "" in map(str.strip, row):
                    raise DataError(
                        f"{shown} has an empty cell in line {rows.line_num}: fill it, or leave its "
                        f"column out"
                    )
                values[name] = row
    except (csv.Error, UnicodeError) as error:
        raise DataError(f"{shown} is not a table of comma-separated text ({error})") from None
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


def _check_width(shown: str, num_columns: int) -> None:
    if not 2 <= num_columns <= MAX_FACTORS + 1:
        raise DataError(
            f"{shown} has {num_columns} columns: give the file name and 1 to {MAX_FACTORS} "
            f"factors, separated by commas"
        )


def _values(column: Sequence[str]) -> NDArray:
    """The values of a column: numbers if all of them are, else texts."""
    texts = [text.strip()[:MAX_TEXT_CHARACTERS] for text in column]
    if all(map(_INTEGER.fullmatch, texts)):
        return np.array([int(text) for text in texts], dtype=np.int64)
    others = [text for text in texts if not _NUMBER.fullmatch(text)]
    if not others:
        return np.array([float(text) for text in texts])
    if len(others) < len(texts) and all(text.strip("+-").lower() in _NOT_FINITE for text in others):
        raise DataError(
            "a column of the table has numbers that are not finite: remove NaN and infinity"
        )
    return np.array(texts)
