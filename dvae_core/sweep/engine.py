"""The loop of a sweep, which runs its tasks on any engine."""

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
    """The end of the work on a run, with the reason if the run is still incomplete, or ""."""

    run_id: str
    reason: str = ""


class Work(Protocol):
    """A task in progress."""

    @property
    def task(self) -> Task:
        """The task."""

    def poll(self) -> Outcome | None:
        """The outcome, or None while it runs. Does not wait."""

    def stop(self) -> None:
        """Let it save its state, and wait until it has ended."""


class Engine(Protocol):
    """Runs tasks."""

    def start(self, task: Task) -> Work | None:
        """Start a task; None while there is no room for it.

        Raises:
            CoreError: the run cannot be started.
        """


@dataclass(frozen=True)
class SweepProgress:
    """Progress of a sweep.

    Attributes:
        outcomes: of the tasks that have ended, in that order.
        working: number of tasks in progress.
        steps: training steps of all tasks that are done, including those of earlier sessions.
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
    """Run all tasks, as many at a time as the engine has room for. Failures do not stop others.

    Args:
        tasks: in the order in which they are started.
        engine: runs them.
        on_progress: called twice a second.
        should_stop: asked as often; all work then saves its state and ends.

    Returns:
        Outcomes of the tasks that ended by themselves.
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
    """Start tasks in their order, skipping those without room."""
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
    except (CoreError, OSError) as error:  # such as a deleted folder
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
