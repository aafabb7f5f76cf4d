"""Reading JSON that anyone may have written."""

import json
import math
import re
from collections.abc import Callable
from typing import Any

MAX_DEPTH = 32
MAX_VALUES = 1_000_000  # in one text
MAX_KEYS = 2_000  # of one object
_MAX_WHOLE = 2**63  # larger numbers fit in no column of a table
_SURROGATE = re.compile("[\ud800-\udfff]")
_ESCAPED_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")

Hook = Callable[[list[tuple[str, Any]]], Any]


def parse_json(content: bytes, make_object: Hook | None = None) -> Any:
    """The value of a JSON text in UTF-8, safe to check, to show and to write again.

    Halves of surrogate pairs, which no text file can hold, become their escapes, such as
    `\\ud800`.

    Args:
        content: the text.
        make_object: what to make of the pairs of an object; by default a dictionary.

    Raises:
        ValueError: it is not JSON, is nested deeper than `MAX_DEPTH`, has too many values or keys,
            or has a number that is not finite or has more than 64 bits.
    """
    if content.count(b",") + content.count(b"[") + content.count(b"{") > MAX_VALUES:
        raise ValueError(f"it has more than {MAX_VALUES:,} values")
    try:
        value = json.loads(
            content.decode("utf-8-sig"),
            object_pairs_hook=make_object or _object,
            parse_float=_finite,
            parse_int=_whole,
            parse_constant=_finite,
        )
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    check_depth(value)
    return _escaped(value) if _ESCAPED_SURROGATE.search(content) else value


def escape_surrogates(text: str) -> str:
    """The text with halves of surrogate pairs as their escapes, such as `\\ud800`."""
    return _SURROGATE.sub(lambda half: f"\\u{ord(half[0]):04x}", text)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(pairs) > MAX_KEYS:
        raise ValueError(f"an object has more than {MAX_KEYS:,} keys")
    return dict(pairs)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:20]} is not a finite number")
    return number


def _whole(text: str) -> int:
    number = int(text)
    if abs(number) >= _MAX_WHOLE:
        raise ValueError(f"{text[:20]}… has more than 64 bits")
    return number


def check_depth(value: Any) -> None:
    """Raise `ValueError` if lists and dictionaries are nested deeper than `MAX_DEPTH`."""
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [part for each in level for part in _parts(each) if isinstance(part, list | dict)]
        if not level:
            return
    raise ValueError("it is nested too deeply")


def _parts(value: Any) -> Any:
    return value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()


def _escaped(value: Any) -> Any:
    match value:
        case str():
            return escape_surrogates(value)
        case list():
            return [_escaped(part) for part in value]
        case dict():
            return {escape_surrogates(key): _escaped(part) for key, part in value.items()}
    return value
