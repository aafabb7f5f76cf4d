"""What a list of runs shows: the state and the progress of each run."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from dvae_core.errors import RunError
from dvae_core.jobs.job import TRAINING, job_process, last_log_line
from dvae_core.jobs.queue import Queue, position_in, queue_of, queue_root, read_queue
from dvae_core.runs.catalog import list_runs
from dvae_core.runs.run import Run, State, Status


@dataclass(frozen=True)
class RunOverview:
    """The state of a run, read once from its small files.

    Attributes:
        run: the run.
        state: its state.
        name: the name that the user gave it, else its id.
        step: last reported number of updates.
        steps: planned number of updates.
        seconds: training time over all sessions, in seconds.
        message: why it failed or was lost, or which file is damaged, else "".
        position: its place in the queue, from 1, or None.
    """

    run: Run
    state: State
    name: str
    step: int = 0
    steps: int = 0
    seconds: float = 0.0
    message: str = ""
    position: int | None = None

    @property
    def fraction(self) -> float:
        """Progress in [0, 1]."""
        if self.state is State.FINISHED:
            return 1.0
        return min(self.step / self.steps, 1.0) if self.steps else 0.0

    @property
    def seconds_left(self) -> float | None:
        """Remaining time in seconds at the average speed so far; None if it is unknown."""
        if self.state is not State.RUNNING or not self.step:
            return None
        return self.seconds / self.step * (self.steps - self.step)

    @property
    def images_per_second(self) -> float | None:
        """Images trained on per second, over the whole training; None where nobody can know."""
        if self.state is State.DAMAGED or self.seconds <= 0:
            return None
        return self.step * self.run.record.batch_size / self.seconds


def overview(folder: Path) -> list[RunOverview]:
    """All runs directly in a folder, damaged ones included, sorted by id.

    Raises:
        RunError: the queue of the folder is damaged.
    """
    root = queue_root(folder)
    queue = read_queue(root)
    return [_overview(run, queue, root) for run in list_runs(folder)]


def find_training(run: Run) -> RunOverview:
    """The state of one run.

    Raises:
        RunError: the queue of its folder is damaged.
    """
    root = queue_of(run)
    return _overview(run, read_queue(root), root)


def _overview(run: Run, queue: Queue, root: Path) -> RunOverview:
    problem = run.problem()
    if problem:
        return RunOverview(run, State.DAMAGED, run.id, message=problem)
    try:
        status, name = run.status(), run.read_notes().name
    except RunError as error:  # it was just deleted
        return RunOverview(run, State.DAMAGED, run.id, message=str(error))
    state, position = run.state_of(status), None
    if state is State.QUEUED:
        position = position_in(queue, root, run)
        state = State.STOPPED if position is None else state
    return RunOverview(
        run,
        state,
        name or run.id,
        status.step,
        status.steps,
        status.seconds,
        _message(run, state, status),
        position,
    )


def _message(run: Run, state: State, status: Status) -> str:
    if state is not State.LOST:
        return status.message
    with suppress(RunError):  # a damaged record gives no reason either
        if job_process(run, TRAINING) == status.process:
            return last_log_line(run, TRAINING)
    return "its process died"
