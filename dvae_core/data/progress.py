"""How long work on files reports, and how it is interrupted."""

from collections.abc import Callable

Progress = Callable[[int, int], None]
"""Told (done, in all), in bytes for a download and in images for everything else.

Whatever it raises ends the work, which leaves nothing behind that passes for done.
"""


def no_progress(done: int, total: int) -> None:
    """Tell nobody."""
