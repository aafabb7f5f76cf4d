"""Animations, as GIF and as APNG."""

import io
from collections.abc import Sequence
from typing import Literal

from PIL import Image

FPS_RANGE = 1, 50
"""Of frames per second. A GIF counts hundredths of a second, and browsers slow down those faster
than 50."""


def there_and_back(count: int) -> list[int]:
    """Numbers of frames from the first of `count` to the last and back, for an endless loop: the
    turning points come once."""
    return [*range(count), *range(count - 2, 0, -1)]


def animation(frames: Sequence[Image.Image], fps: float, kind: Literal["gif", "apng"]) -> bytes:
    """An endless animation.

    Args:
        frames: RGB images of one size; equal neighbours become one that lasts longer.
        fps: frames per second; the duration of a frame is rounded to milliseconds, and to
            hundredths of a second in a GIF.
        kind: a GIF has at most 256 colours per frame.
    """
    content = io.BytesIO()
    duration = round(100 / fps) * 10 if kind == "gif" else round(1000 / fps)
    frames[0].save(
        content,
        "GIF" if kind == "gif" else "PNG",
        save_all=True,
        append_images=frames[1:],
        duration=duration,
        loop=0,
    )
    return content.getvalue()
