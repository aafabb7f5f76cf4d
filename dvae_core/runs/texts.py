"""Texts and times in the records of runs."""

import unicodedata
from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

_REVERSING = set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def checked_text(text: str, allowed: str = "") -> str:
    """The text of a pydantic field, unchanged.

    Control characters could affect a terminal that prints the text, and marks that reverse the
    direction of writing could change what stands beside it.

    Args:
        text: of the field.
        allowed: control characters that it may have, such as a line break.

    Raises:
        PydanticCustomError: it has a control character, a separator of lines or half of a surrogate
            pair.
    """
    for character in text:
        kind = unicodedata.category(character)
        if (kind in ("Cc", "Cs", "Zl", "Zp") or character in _REVERSING) and (
            character not in allowed
        ):
            raise PydanticCustomError("text", "Control characters are not allowed")
    return text


def plausible_time(time: datetime) -> datetime:
    """The time of a pydantic field, in UTC unless it has a time zone.

    Raises:
        PydanticCustomError: it is near an end of the calendar, and fits in no other time zone.
    """
    if time.tzinfo is None:
        time = time.replace(tzinfo=UTC)
    if not 1970 <= time.year <= 9000:
        raise PydanticCustomError("time", "years are 1970 to 9000")
    return time


Time = Annotated[datetime, AfterValidator(plausible_time)]
"""A time with a time zone; one without is taken as UTC."""
