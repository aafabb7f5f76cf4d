"""Stopping a training where a test wants it to."""

from itertools import count

from dvae_core.progress import ShouldStop


def stop_after(steps: int) -> ShouldStop:
    """A `should_stop` for `train`, true once: after that many steps."""
    done = count(1)
    return lambda: next(done) == steps
