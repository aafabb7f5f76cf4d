"""Rows of numbers in a growing file: one JSON object per line, with ascending steps.

A training appends rows. When it resumes from an earlier state, it first cuts the file back, so a
reader that returns must notice that rows it has read were removed.
"""

import io
import json
import math
import os
from collections.abc import Mapping
from pathlib import Path

from dvae_core.errors import RunError
from dvae_core.system.files import write_atomically
from dvae_core.system.strict_json import parse_json

Row = dict[str, float]
MAX_BYTES = 16 * 2**20  # a training writes at most `dvae_core.config.MAX_ROWS` rows
_MAX_LINE_BYTES = 4096
_MAX_ROWS = 100_000
_MAX_COLUMNS, _MAX_NAME = 64, 64


class RowLog:
    """A file of rows; a missing file has no rows.

    Attributes:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, row: Mapping[str, float]) -> None:
        """Append a row, which must have a `step`; values that are not finite are left out."""
        finite = {name: value for name, value in row.items() if math.isfinite(value)}
        with open(self.path, "a") as file:
            file.write(json.dumps(finite) + "\n")

    def read(self) -> list[Row]:
        """All rows except a line that is still being written.

        Raises:
            RunError: the file is too large, or a complete line is not a row.
        """
        return self._parse(_whole_lines(self._content()), [])

    def check_ends(self, last_step: int) -> None:
        """Raise `RunError` unless the first and the last line are rows of steps up to `last_step`;
        reads only these two."""
        if not self.path.is_file():
            return
        self._check_size()
        with open(self.path, "rb") as file:
            first = file.read(_MAX_LINE_BYTES)
            file.seek(max(0, self.path.stat().st_size - _MAX_LINE_BYTES))
            last = file.read()
        for line in (*_whole_lines(first).splitlines()[:1], *_whole_lines(last).splitlines()[-1:]):
            try:
                row = parse_json(line)
            except ValueError:
                row = None
            if not _is_row(row):
                raise RunError(
                    f"{self.path} has a line that is not a row of numbers with a step: delete the "
                    f"damaged file to continue without its curves"
                )
            if row["step"] > last_step:
                raise RunError(
                    f"{self.path} has a row of step {row['step']:,}, but config.json says "
                    f"{last_step:,} steps: restore the file that was edited"
                )

    def truncate(self, last_step: int) -> None:
        """Remove the rows after `last_step`, which a resumed training writes again, and an
        incomplete last line.

        Raises:
            RunError: a complete line is not a row.
        """
        content = self._content()
        lines = _whole_lines(content).splitlines(keepends=True)
        rows = self._parse(b"".join(lines), [])
        kept = [line for line, row in zip(lines, rows, strict=True) if row["step"] <= last_step]
        if (shortened := b"".join(kept)) != content:
            write_atomically(self.path, shortened)

    def sync(self) -> None:
        """Flush all rows to the disk."""
        if self.path.is_file():
            with open(self.path, "rb") as file:
                os.fsync(file.fileno())

    def _content(self) -> bytes:
        if not self.path.is_file():
            return b""
        self._check_size()
        return self.path.read_bytes()

    def _check_size(self) -> None:
        if self.path.stat().st_size > MAX_BYTES:
            raise RunError(
                f"{self.path} has more than {MAX_BYTES // 2**20} MB: delete it to continue without "
                f"its curves"
            )

    def _parse(self, lines: bytes, before: list[Row]) -> list[Row]:
        """The rows in some lines, which follow the rows `before`."""
        rows: list[Row] = []
        last_step = before[-1]["step"] if before else -1
        columns = set(before[-1]) if before else set()
        for number, line in enumerate(io.BytesIO(lines), start=len(before) + 1):
            try:
                row = parse_json(line)
            except ValueError:
                raise RunError(
                    f"{self.path} has a line that is not JSON: the file is damaged"
                ) from None
            if not _is_row(row):
                raise RunError(f"{self.path}: row {number} is not an object of numbers with a step")
            if row["step"] <= last_step:
                raise RunError(
                    f"{self.path}: row {number} has step {row['step']:,} after {last_step:,}: the "
                    f"steps of a log ascend"
                )
            last_step = row["step"]
            columns |= row.keys()
            if len(columns) > _MAX_COLUMNS or number > _MAX_ROWS:
                raise RunError(
                    f"{self.path} has more than {_MAX_COLUMNS} quantities or {_MAX_ROWS:,} rows: "
                    f"it is not the log of a training"
                )
            rows.append(row)
        return rows


class RowTail:
    """A reader of a growing log; each `update` reads only the new rows.

    Attributes:
        rows: the rows read so far.
    """

    def __init__(self, log: RowLog) -> None:
        self.rows: list[Row] = []
        self._log = log
        self._offset = 0
        self._last_line = b""

    def update(self) -> bool:
        """Read the new rows, or all rows if the log was cut back.

        Returns:
            Whether `rows` changed.

        Raises:
            RunError: the log is too large, or a complete line is not a row.
        """
        content, restarted = self._unread()
        if restarted:
            self.rows, self._offset, self._last_line = [], 0, b""
        lines = _whole_lines(content)
        if lines:
            self.rows.extend(self._log._parse(lines, self.rows))
            self._offset += len(lines)
            self._last_line = lines.splitlines(keepends=True)[-1]
        return restarted or bool(lines)

    def _unread(self) -> tuple[bytes, bool]:
        if not self._log.path.is_file():
            return b"", bool(self.rows)
        self._log._check_size()
        with open(self._log.path, "rb") as file:
            # A row that is written again has other times, so the last row read shows whether it is.
            file.seek(self._offset - len(self._last_line))
            if file.read(len(self._last_line)) == self._last_line:
                return file.read(), False
            file.seek(0)
            return file.read(), True


def _whole_lines(content: bytes) -> bytes:
    return content[: content.rfind(b"\n") + 1]


def _is_row(row: object) -> bool:
    return (
        isinstance(row, dict)
        and type(row.get("step")) is int
        and row["step"] >= 0
        and all(type(value) in (int, float) for value in row.values())
        and all(len(name) <= _MAX_NAME and name.isprintable() for name in row)
    )
