"""Time a piece of work repeatedly."""

import time
from collections.abc import Callable, Sequence
from statistics import median


def seconds(
    work: Callable[[], object],
    count: int,
    warm_up: int = 1,
    clock: Callable[[], float] = time.perf_counter,
) -> list[float]:
    """Seconds of each of `count` calls, after `warm_up` calls that are not counted."""
    for _ in range(warm_up):
        work()
    times = []
    for _ in range(count):
        started_at = clock()
        work()
        times.append(clock() - started_at)
    return times


def summary(times: Sequence[float], digits: int) -> list[str]:
    """Median, least and greatest of some times, as cells of a table."""
    return [f"{statistic(times):.{digits}f}" for statistic in (median, min, max)]
