"""Files with something wrong in them: a seeded source of small damages."""

import random
from collections.abc import Iterator, Sequence

_EXTREMES = (b"\xff" * 8, b"\0" * 8, (2**40).to_bytes(8, "little"), b"\xff\xff\xff\x7f" * 2)


def mutated(originals: Sequence[bytes], count: int, seed: int = 0) -> Iterator[bytes]:
    """Copies of the originals in turn, each with 1 to 32 places changed, or cut off."""
    source = random.Random(seed)
    for i in range(count):
        content = bytearray(originals[i % len(originals)])
        for _ in range(source.choice((1, 1, 2, 8, 32))):
            # Headers stand at the beginning or at the end, and are where most can go wrong.
            reach = min(source.choice((64, 1024, len(content))), len(content))
            place = source.randrange(reach)
            if source.random() < 0.3:
                place = len(content) - 1 - place
            _damage(content, place, source)
        if source.random() < 0.1:
            del content[source.randrange(len(content)) :]
        yield bytes(content)


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
