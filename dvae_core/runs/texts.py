"""Texts and times in the records of runs."""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

from dvae_core.errors import UNSAFE


def checked_text(text: str, allowed: str = "") -> str:
    """The text of a pydantic field, unchanged.

    Args:
        text: of the field.
        allowed: control characters that it may have, such as a line break.

    Raises:
        PydanticCustomError: it has other characters of `UNSAFE`.
    """
    if set(UNSAFE.findall(text)) - set(allowed):
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
