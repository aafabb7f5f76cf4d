"""Spreading work that holds the interpreter's lock over processes, and ending them in any case."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from typing import TypeVar

from dvae_core.progress import Progress

Result = TypeVar("Result")

POLL_SECONDS = 0.2


def call_in_processes(
    calls: Sequence[tuple[Callable[..., Result], tuple]], num_workers: int, progress: Progress
) -> list[Result]:
    """Results of the calls, in their order, each made in one of `num_workers` processes.

    With one worker the calls are made here, one after the other. The processes are gone when this
    returns or raises; what `progress` raises ends them in the midst of their work.

    Args:
        calls: picklable functions with their arguments, the longest first.
        num_workers: at least 1.
        progress: told of calls done.
    """
    num_workers = min(num_workers, len(calls))
    if num_workers == 1:
        results: list[Result] = []
        for function, arguments in calls:
            progress(len(results), len(calls))
            results.append(function(*arguments))
        progress(len(calls), len(calls))
        return results

    # joblib's executor, unlike the standard one, does not run the main module again in each worker,
    # which would start a second application. Its idle workers leave when this process was killed.
    from joblib.externals.loky import ProcessPoolExecutor

    executor = ProcessPoolExecutor(num_workers, timeout=30)
    try:
        futures = [executor.submit(function, *arguments) for function, arguments in calls]
        pending: set[Future] = set(futures)
        while pending:
            progress(len(futures) - len(pending), len(futures))
            pending = wait(pending, timeout=POLL_SECONDS).not_done
        progress(len(futures), len(futures))
        return [future.result() for future in futures]
    finally:
        executor.shutdown(wait=True, kill_workers=True)
