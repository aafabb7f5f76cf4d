"""A table as CSV and as LaTeX."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

Cell = str | int | float | None

_ESCAPES = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "·": r"\(\cdot\)",
}


@dataclass(frozen=True)
class Sheet:
    """A table.

    Attributes:
        name: for a file name and a caption.
        caption: what a reader has to know, in one or two sentences.
        columns: their heads.
        rows: a cell for each column; None is an empty one.
    """

    name: str
    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]

    def to_records(self) -> list[dict[str, Cell]]:
        """A dictionary for each row."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]

    def to_csv(self) -> str:
        """Comma-separated values with a head, numbers in full."""
        output = io.StringIO()
        writer = csv.writer(output, lineterminator="\n")
        writer.writerow(self.columns)
        writer.writerows(self.rows)
        return output.getvalue()

    def to_text(self) -> str:
        """Columns of even width for a terminal, numbers with four significant digits."""
        table = [self.columns, *([_text_cell(cell) for cell in row] for row in self.rows)]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        return "\n".join(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in table
        )

    def to_latex(self) -> str:
        """A table in the style of the package booktabs, which the document has to load; numbers
        with four significant digits, text escaped."""
        numeric = [
            all(isinstance(row[i], int | float | None) for row in self.rows)
            for i in range(len(self.columns))
        ]
        lines = [
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{escape_latex(self.caption)}}}",
            rf"\begin{{tabular}}{{{''.join('r' if right else 'l' for right in numeric)}}}",
            r"\toprule",
            _latex_row(self.columns),
            r"\midrule",
            *map(_latex_row, self.rows),
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
        ]
        return "\n".join(lines) + "\n"


def escape_latex(text: str) -> str:
    """Text that LaTeX prints as it stands; what has no sign in its fonts becomes a question mark,
    and line ends become blanks."""
    return "".join(
        _ESCAPES.get(sign) or (sign if sign.isprintable() and ord(sign) < 256 else "?")
        for sign in " ".join(text.split())
    )


def _text_cell(cell: Cell) -> str:
    match cell:
        case None:
            return "-"
        case float():
            return f"{cell:.4g}"
        case _:
            return str(cell)


def _latex_row(cells: Sequence[Cell]) -> str:
    return " & ".join(map(_latex_cell, cells)) + r" \\"


def _latex_cell(cell: Cell) -> str:
    match cell:
        case None:
            return "--"
        case float():
            return f"{cell:.4g}" if cell >= 0 else rf"\(-\){-cell:.4g}"
        case int():
            return str(cell)
        case _:
            return escape_latex(cell)
