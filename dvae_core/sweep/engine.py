"""Working off what is missing: one loop, whatever does the work."""

import contextlib
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

from dvae_core.errors import CoreError
from dvae_core.progress import ShouldStop, never
from dvae_core.sweep.survey import Task

POLL_SECONDS = 0.5


@dataclass(frozen=True)
class Outcome:
    """How the work on a run ended.

    Attributes:
        run_id: of which run.
        reason: why something of it is still missing, or "" where nothing is.
    """

    run_id: str
    reason: str = ""


class Work(Protocol):
    """A run that is being worked on."""

    @property
    def task(self) -> Task:
        """What is to be done."""

    def poll(self) -> Outcome | None:
        """How it ended, or None while it runs. Does not wait."""

    def stop(self) -> None:
        """Stop it after it saved its state; returns when it has ended."""


class Engine(Protocol):
    """Where work is done."""

    def start(self, task: Task) -> Work | None:
        """Begin a task, or None while there is no room for it.

        Raises:
            CoreError: the run cannot be begun.
        """


@dataclass(frozen=True)
class SweepProgress:
    """How far a sweep is.

    Attributes:
        outcomes: of the runs that are no longer worked on, in the order in which they ended.
        working: runs being worked on.
        steps: training steps of all tasks done by now, those of former sessions included.
        total_steps: training steps of all tasks.
    """

    outcomes: Sequence[Outcome]
    working: int
    steps: int
    total_steps: int


def run_tasks(
    tasks: Sequence[Task],
    engine: Engine,
    on_progress: Callable[[SweepProgress], None] = lambda progress: None,
    should_stop: ShouldStop = never,
) -> list[Outcome]:
    """Do all tasks. A task that fails is noted, and the others continue.

    Args:
        tasks: what is missing.
        engine: does them, as many at a time as it has room for.
        on_progress: called twice a second.
        should_stop: asked as often; then all work saves its state and ends.

    Returns:
        Outcomes of the tasks that ended; where `should_stop` ended it, not of all.
    """
    pending = deque(tasks)
    working: list[Work] = []
    outcomes: list[Outcome] = []
    try:
        while (pending or working) and not should_stop():
            _start_what_fits(pending, working, outcomes, engine)
            ended = {work: outcome for work in working if (outcome := _look_at(work))}
            working = [work for work in working if work not in ended]
            outcomes += ended.values()
            on_progress(_progress(tasks, working, outcomes))
            if not ended:
                time.sleep(POLL_SECONDS)
    finally:
        if working:
            with ThreadPoolExecutor(len(working)) as pool:
                list(pool.map(lambda work: work.stop(), working))
    return outcomes


def _start_what_fits(
    pending: deque[Task], working: list[Work], outcomes: list[Outcome], engine: Engine
) -> None:
    """Begin tasks in their order; one without room lets those behind it pass."""
    for _ in range(len(pending)):
        task = pending.popleft()
        try:
            work = engine.start(task)
        except (CoreError, OSError) as error:
            outcomes.append(Outcome(task.run.id, str(error)))
            continue
        if work is None:
            pending.append(task)
        else:
            working.append(work)


def _look_at(work: Work) -> Outcome | None:
    try:
        return work.poll()
    except (CoreError, OSError) as error:  # such as a folder that somebody has deleted
        with contextlib.suppress(CoreError, OSError):
            work.stop()
        return Outcome(work.task.run.id, str(error))


def _progress(
    tasks: Sequence[Task], working: Sequence[Work], outcomes: Sequence[Outcome]
) -> SweepProgress:
    ended = {outcome.run_id for outcome in outcomes}
    now = {work.task.run.id for work in working}
    steps = 0
    for task in tasks:
        if task.run.id in ended or not task.trains:
            steps += task.config.steps
        elif task.run.id in now:
            with contextlib.suppress(CoreError, OSError):
                steps += task.run.status().step
    return SweepProgress(outcomes, len(working), steps, sum(task.config.steps for task in tasks))
