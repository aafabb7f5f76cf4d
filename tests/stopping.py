"""Stopping a training where a test wants it to."""

from collections.abc import Callable
from itertools import count


def stop_after(steps: int) -> Callable[[], bool]:
    """A `should_stop` for `train`, which says so once: after so many steps."""
    done = count(1)
    return lambda: next(done) == steps
