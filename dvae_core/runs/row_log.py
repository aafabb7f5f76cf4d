"""Rows of numbers in a growing file: one JSON object per line, with ascending steps.

A training appends rows. When it resumes from an earlier state, it first cuts the file back, so a
reader that returns must notice that rows it has read were removed.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path

from dvae_core.errors import RunError
from dvae_core.system.files import write_atomically

Row = dict[str, float]
_MAX_LINE_BYTES = 4096


class RowLog:
    """A file of rows; a missing file has no rows.

    Attributes:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, row: Mapping[str, float]) -> None:
        """Append a row, which must have a `step`."""
        with open(self.path, "a") as file:
            file.write(json.dumps(row) + "\n")

    def read(self) -> list[Row]:
        """All rows except a line that is still being written.

        Raises:
            RunError: a complete line is not a row.
        """
        return self._parse(_whole_lines(self._content()))

    def check_ends(self) -> None:
        """Raise `RunError` unless the first and the last line are rows; reads only these two."""
        if not self.path.is_file():
            return
        with open(self.path, "rb") as file:
            first = file.read(_MAX_LINE_BYTES)
            file.seek(max(0, self.path.stat().st_size - _MAX_LINE_BYTES))
            last = file.read()
        for line in (*_whole_lines(first).splitlines()[:1], *_whole_lines(last).splitlines()[-1:]):
            try:
                is_row = _is_row(json.loads(line))
            except (ValueError, RecursionError):
                is_row = False
            if not is_row:
                raise RunError(
                    f"{self.path} has a line that is not a row of numbers with a step: delete the "
                    f"damaged file to continue without its curves"
                )

    def truncate(self, last_step: int) -> None:
        """Remove the rows after `last_step`, which a resumed training writes again, and an
        incomplete last line.

        Raises:
            RunError: a complete line is not a row.
        """
        content = self._content()
        lines = _whole_lines(content).splitlines(keepends=True)
        rows = self._parse(b"".join(lines))
        kept = [line for line, row in zip(lines, rows, strict=True) if row["step"] <= last_step]
        if (shortened := b"".join(kept)) != content:
            write_atomically(self.path, shortened)

    def sync(self) -> None:
        """Flush all rows to the disk."""
        if self.path.is_file():
            with open(self.path, "rb") as file:
                os.fsync(file.fileno())

    def _content(self) -> bytes:
        return self.path.read_bytes() if self.path.is_file() else b""

    def _parse(self, lines: bytes) -> list[Row]:
        try:
            rows = [json.loads(line) for line in lines.splitlines()]
        except (ValueError, RecursionError):
            raise RunError(
                f"{self.path} has a line that is not JSON: the file is damaged"
            ) from None
        for number, row in enumerate(rows, start=1):
            if not _is_row(row):
                raise RunError(f"{self.path}: row {number} is not an object of numbers with a step")
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
            RunError: a complete line is not a row.
        """
        content, restarted = self._unread()
        if restarted:
            self.rows, self._offset, self._last_line = [], 0, b""
        lines = _whole_lines(content)
        if lines:
            self.rows.extend(self._log._parse(lines))
            self._offset += len(lines)
            self._last_line = lines.splitlines(keepends=True)[-1]
        return restarted or bool(lines)

    def _unread(self) -> tuple[bytes, bool]:
        if not self._log.path.is_file():
            return b"", bool(self.rows)
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
        and "step" in row
        and all(type(v) in (int, float) for v in row.values())
    )
