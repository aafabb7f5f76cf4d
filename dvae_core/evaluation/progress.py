"""How long computations report, and how they are interrupted."""

from collections.abc import Callable

Progress = Callable[[int, int], None]
"""Told (steps done, steps in all), several times a second where a step is short enough.

Whatever it raises ends the computation, which leaves nothing behind: that is how an evaluation is
interrupted.
"""


def no_progress(done: int, total: int) -> None:
    """Tell nobody."""
