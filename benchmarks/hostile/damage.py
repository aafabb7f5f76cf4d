"""Files with something wrong in them: seeded sources of small damages."""

import copy
import random
from collections.abc import Iterator, Sequence
from typing import Any

_EXTREMES = (b"\xff" * 8, b"\0" * 8, (2**40).to_bytes(8, "little"), b"\xff\xff\xff\x7f" * 2)

ODD_VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2, 7, 513, 400_000, 2**31, 2**63, -(2**63), 10**30),
    *(0.0, -0.5, 1e-300, 1e38, 1e308, float("nan"), float("inf"), float("-inf")),
    *("", "a", "dataset", "\x00", "\ud800", "\u202e", "<b>", "[x](y)", "$x$", "a" * 5_000, "../x"),
    *("0001-01-01T00:00:00", "9999-12-31T23:59:59-14:00", "2026-11-27T09:30:00", "2026-13-99"),
    *([], [[]], [1], [0, -1], ["a"], [[1, 2], [3]], [1e308] * 3, {}, {"a": 1}, {"\ud800": {}}),
)
_NAMES = (
    "step",
    "steps",
    "dataset",
    "latents",
    "values",
    "name",
    "seed",
    "imported",
    "x",
    "\ud800",
)


def mutated(originals: Sequence[bytes], count: int, seed: int = 0) -> Iterator[bytes]:
    """Copies of the originals in turn, each with 1 to 32 places changed, or cut off."""
    source = random.Random(seed)
    for i in range(count):
        yield damaged(originals[i % len(originals)], source)


def damaged(original: bytes, source: random.Random) -> bytes:
    """A copy with 1 to 32 places changed, or cut off."""
    content = bytearray(original)
    for _ in range(source.choice((1, 1, 2, 8, 32))):
        # Headers stand at the beginning or at the end, and are where most can go wrong.
        reach = min(source.choice((64, 1024, len(content))), len(content))
        place = source.randrange(reach)
        if source.random() < 0.3:
            place = len(content) - 1 - place
        _damage(content, place, source)
    if source.random() < 0.1:
        del content[source.randrange(len(content)) :]
    return bytes(content)


def odd(original: Any, source: random.Random) -> Any:
    """A copy of lists and dictionaries with one or a few values, keys or lengths changed."""
    content = copy.deepcopy(original)
    most = 100_000  # copies: each may be of a list of copies
    for _ in range(source.choice((1, 1, 1, 2, 4))):
        places = list(_places(content))
        if not places:
            break
        parent, key = source.choice(places)
        match source.randrange(8):
            case 0:
                del parent[key]
            case 1 if isinstance(parent, dict):
                parent[source.choice(_NAMES)] = parent[key]
            case 1 | 2 if isinstance(parent, list):
                parent.insert(source.randrange(len(parent) + 1), copy.deepcopy(parent[key]))
            case 3 if isinstance(parent[key], int | float):
                parent[key] = parent[key] * source.choice((-1, 0.5, 10, 1_000, 10**6))
            case 4:
                copies = min(source.choice((1, 2, 1_000, 20_000)), most)
                most //= copies
                parent[key] = [parent[key]] * copies
            case 5:
                other, name = source.choice(places)
                if name in other if isinstance(other, dict) else name < len(other):
                    parent[key] = copy.deepcopy(other[name])
            case _:
                parent[key] = copy.deepcopy(source.choice(ODD_VALUES))
    return content


def _places(content: Any) -> Iterator[tuple[Any, Any]]:
    waiting = [content]
    while waiting:
        part = waiting.pop()
        keys: Any = ()
        if isinstance(part, dict):
            keys = list(part)
        elif isinstance(part, list):
            keys = range(len(part))
        for key in keys:
            yield part, key
            waiting.append(part[key])


def _damage(content: bytearray, place: int, source: random.Random) -> None:
    match source.randrange(5):
        case 0:
            content[place] = source.randrange(256)
        case 1:
            content[place] ^= 1 << source.randrange(8)
        case 2:
            content[place : place + 8] = source.choice(_EXTREMES)
        case 3:
            start = source.randrange(len(content))
            content[place : place + 16] = content[start : start + 16]
        case _:
            content[place:place] = source.randbytes(source.randrange(1, 9))
