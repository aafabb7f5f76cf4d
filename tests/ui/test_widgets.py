"""Number fields hold what they show, on every page."""

import re
from pathlib import Path

import pytest

from ui.widgets import parse_whole

REPOSITORY = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("5", 5),
        (" 1,000 ", 1000),
        ("-3", -3),
        ("1.5", None),
        ("", None),
        ("1e3", None),
        ("²", None),
    ],
)
def test_a_text_is_a_whole_number_or_none(text: str, number: int | None) -> None:
    assert parse_whole(text) == number


def test_no_page_has_a_field_that_keeps_a_refused_number_to_the_browser() -> None:
    sources = [*(REPOSITORY / "pages").rglob("*.py"), *(REPOSITORY / "ui").rglob("*.py")]
    users = [p.name for p in sources if re.search(r"st\.number_input\(", p.read_text("utf-8"))]
    assert users == []
