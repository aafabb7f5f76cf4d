"""How long a piece of work takes, time after time."""

import time
from collections.abc import Callable


def seconds(
    work: Callable[[], object],
    count: int,
    warm_up: int = 1,
    clock: Callable[[], float] = time.perf_counter,
) -> list[float]:
    """Seconds of each of `count` calls, after some that are not counted."""
    for _ in range(warm_up):
        work()
    times = []
    for _ in range(count):
        started_at = clock()
        work()
        times.append(clock() - started_at)
    return times
