"""How long work reports, and how it is interrupted."""

from collections.abc import Callable

Progress = Callable[[int, int], None]
"""Told (done, in all): bytes of a download, images or steps of anything else.

Whatever it raises ends the work, which leaves nothing behind that passes for done: that is how
work is interrupted.
"""


def no_progress(done: int, total: int) -> None:
    """Tell nobody."""
