"""Tables as CSV, LaTeX and plain text."""

from dataclasses import dataclass

import pandas as pd

from dvae_core.errors import printable
from dvae_core.system.spreadsheet import to_csv

Cell = str | int | float | None


@dataclass(frozen=True)
class Sheet:
    """A table.

    Attributes:
        name: for the file name.
        caption: plain text.
        columns: distinct heads.
        rows: a cell for each column; None is an empty cell.
    """

    name: str
    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]

    def to_records(self) -> list[dict[str, Cell]]:
        """A dictionary for each row."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]

    def to_csv(self) -> str:
        """Comma-separated values with a head; numbers in full precision."""
        return to_csv(self._frame())

    def to_latex(self) -> str:
        """A table for LaTeX's package booktabs; numbers have four significant digits."""
        numeric = [
            all(isinstance(row[i], int | float | None) for row in self.rows)
            for i in range(len(self.columns))
        ]
        style = self._frame().style.hide(axis="index")
        style = style.format(_latex_cell, na_rep="--", escape="latex")
        text: str = style.format_index(axis="columns", escape="latex").to_latex(
            caption=self.caption.replace("%", r"\%"),
            column_format="".join("r" if is_numeric else "l" for is_numeric in numeric),
            position_float="centering",
            hrules=True,
        )
        return text

    def to_text(self) -> str:
        """Aligned columns for a terminal; numbers have four significant digits."""
        table = [self.columns, *([_text_cell(cell) for cell in row] for row in self.rows)]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        return "\n".join(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in table
        )

    def _frame(self) -> pd.DataFrame:
        # With dtype object an empty cell does not turn the integers of its column into floats.
        return pd.DataFrame(self.rows, columns=list(self.columns), dtype=object)


def _text_cell(cell: Cell) -> str:
    if cell is None:
        return "-"
    return f"{cell:.4g}" if isinstance(cell, float) else printable(cell, None)


def _latex_cell(cell: Cell) -> Cell:
    if not isinstance(cell, float):  # text arrives escaped
        return cell
    return f"{cell:.4g}" if cell >= 0 else rf"\(-\){-cell:.4g}"
