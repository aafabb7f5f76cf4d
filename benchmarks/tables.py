"""Tables that a command writes into a document, so that no number there is typed by hand."""

from collections.abc import Iterable, Sequence
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent


def markdown(rows: Iterable[Sequence[str]]) -> str:
    """A table of text cells; the first row is its head."""
    head, *body = rows
    lines = [head, ["---"] * len(head), *body]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def replace_table(document: Path, name: str, table: str) -> None:
    """Replace what stands between the two marks of a table; the words around them stay."""
    start, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    before, found, rest = document.read_text().partition(start)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise SystemExit(f"{document} has no place for {name}: it needs {start} and {end}")
    document.write_text(f"{before}{start}\n{table}\n{end}{after}")
