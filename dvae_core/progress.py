"""How long work reports how far it is, and how it is stopped."""

from collections.abc import Callable

Progress = Callable[[int, int], None]
"""Told (done, total): bytes of a download, images or steps of anything else.

An exception that it raises ends the work, which then leaves nothing half done behind.
"""

ShouldStop = Callable[[], bool]
"""Asked again and again; once it is true, the work saves what it has and returns."""


def no_progress(done: int, total: int) -> None:
    """Tell nobody."""


def never() -> bool:
    """Go on to the end."""
    return False
