"""Texts that people write about runs: which characters they may have."""

import unicodedata

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
