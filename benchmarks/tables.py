"""Markdown tables that benchmarks print, and that commands write into the documents."""

from collections.abc import Iterable, Sequence
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent


def row(*cells: object) -> str:
    """A row of a table."""
    return "| " + " | ".join(map(str, cells)) + " |"


def head(*cells: str) -> str:
    """The first row of a table, and the line below it."""
    return row(*cells) + "\n" + row(*["---"] * len(cells))


def markdown(rows: Iterable[Sequence[str]]) -> str:
    """A table; the first row is its head."""
    first, *body = rows
    return "\n".join([head(*first), *(row(*cells) for cells in body)])


def replace_table(document: Path, name: str, table: str) -> None:
    """Replace the text between the two marks of a table in a document."""
    start, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    before, found, rest = document.read_text().partition(start)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise SystemExit(f"{document} has no place for {name}: add the lines {start} and {end}")
    document.write_text(f"{before}{start}\n{table}\n{end}{after}")
