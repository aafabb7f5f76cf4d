"""Cells of CSV files, which people open in spreadsheets."""

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import pandas as pd

Cell = TypeVar("Cell")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def guarded(cell: Cell) -> Cell | str:
    """A cell that no spreadsheet takes for a formula: a text that begins with =, +, -, @, a tab or
    a line break gets an apostrophe in front. Numbers stay as they are."""
    if isinstance(cell, str) and cell.startswith(_FORMULA):
        return f"'{cell}"
    return cell


def to_csv(table: "pd.DataFrame", index_label: str | None = None) -> str:
    """Comma-separated values with a head and numbers in full precision; heads and texts are
    `guarded`. The index is a column if it has a label."""
    import pandas as pd

    rows = [[guarded(cell) for cell in row] for row in table.itertuples(index=False, name=None)]
    # With dtype object an empty cell does not turn the integers of its column into floats.
    safe = pd.DataFrame(rows, table.index, [guarded(name) for name in table.columns], dtype=object)
    text: str = safe.to_csv(
        index=index_label is not None, index_label=index_label, lineterminator="\n"
    )
    return text
