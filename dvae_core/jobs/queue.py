"""The queue of trainings: a bound on how many run at a time, whoever looks.

It lies in `queue.json` of the folder that holds the runs, so that two apps on one folder agree; a
lock file keeps their changes apart. A training that ends starts the next one before its process
is gone, so the queue moves with no browser open. Where a trainer was killed, the next one that
looks (`advance_queue`) does it.

A run waits when the queue says so and its status says so; a run that was only made is started by
nobody. Trainings from a shell and those of a sweep run beside the queue and are not counted:
whoever starts them has said when.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from filelock import FileLock
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from dvae_core.errors import ConfigError, RunError
from dvae_core.jobs.job import TRAINING, job_process, start_job
from dvae_core.runs.catalog import own_root
from dvae_core.runs.run import RUN_ID, Run, State, check_run_id
from dvae_core.runs.storage import read_optional_record, write_record

MAX_AT_ONCE = 16
GRACE_SECONDS = 10.0
_Entry = Annotated[
    str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}(/[a-z0-9][a-z0-9_-]{0,63})?$")
]


class Queue(BaseModel):
    """queue.json. Runs are named by their path below its folder."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    at_once: int = Field(1, ge=1, le=MAX_AT_ONCE, description="trainings at a time")
    waiting: tuple[_Entry, ...] = ()
    started: tuple[_Entry, ...] = Field(
        (), description="taken from the queue, and not yet seen to end"
    )


def queue_root(folder: Path) -> Path:
    """The folder whose queue the runs in `folder` belong to: that of a person's own runs
    (`DVAE_RUNS`, or `runs` here) for all runs there, sweeps included, else `folder` itself."""
    folder, own = folder.resolve(), own_root().resolve()
    is_sweep = folder.parent == own and RUN_ID.fullmatch(folder.name)
    return own if is_sweep else folder


def queue_of(run: Run) -> Path:
    """The folder whose queue a run belongs to; see `queue_root`."""
    return queue_root(run.path.resolve().parent)


def read_queue(root: Path) -> Queue:
    """The queue of a folder; an empty one where there is none yet.

    Raises:
        RunError: queue.json is damaged.
    """
    return read_optional_record(root / "queue.json", Queue) or Queue()


def position_in(queue: Queue, root: Path, run: Run) -> int | None:
    """The place of a run in a queue, from 1, or None."""
    path = run.path.resolve()
    waiting = [root / entry for entry in queue.waiting]
    return waiting.index(path) + 1 if path in waiting else None


def trainings_at_once(root: Path) -> int:
    """How many trainings the queue of a folder lets run at a time.

    Raises:
        RunError: queue.json is damaged.
    """
    return read_queue(root).at_once


def set_trainings_at_once(root: Path, count: int) -> None:
    """Let `count` trainings of a folder run at a time. Those that run already are left alone.

    Raises:
        ConfigError: it is not in 1 to 16.
        RunError: queue.json is damaged.
    """
    if not 1 <= count <= MAX_AT_ONCE:
        raise ConfigError(
            f"{count} trainings at once are asked for, but the queue runs 1 to {MAX_AT_ONCE}"
        )
    with _locked(root):
        _write(root, read_queue(root).model_copy(update={"at_once": count}))
        _advance(root)


def queue_training(run: Run) -> None:
    """Start or continue a training: at once where the queue has room, else when its turn comes.

    Raises:
        RunError: the run is damaged, finished, imported, being trained, or waits already; or
            queue.json is damaged.
        OSError: the disk is full.
    """
    root = queue_of(run)
    with _locked(root):
        queue, entry = read_queue(root), _entry(root, run)
        _check_can_train(run, waits=entry in queue.waiting)
        # The order matters to whoever dies here: what only one of the two says is not queued.
        _write(root, queue.model_copy(update={"waiting": (*_without(queue, entry), entry)}))
        _write_state(run, State.QUEUED)
        _advance(root)


def leave_queue(run: Run) -> bool:
    """Take a run from the queue.

    Returns:
        Whether it was in there; it is stopped then.
    """
    root = queue_of(run)
    with _locked(root):
        queue, entry = read_queue(root), _entry(root, run)
        if entry not in queue.waiting:
            return False
        if not run.problem() and run.state() is State.QUEUED:
            _write_state(run, State.STOPPED)
        _write(root, queue.model_copy(update={"waiting": _without(queue, entry)}))
        return True


def stop_training(run: Run, grace_seconds: float = GRACE_SECONDS) -> None:
    """Stop a training, or take it from the queue.

    It is asked to save its state and end after its step. A job that still lives after a grace
    gets SIGTERM, and after another one SIGKILL; what a shell or a sweep has started may do more
    than this training, and is only asked. Returns when the training has ended.

    Raises:
        RunError: the run is damaged, or a process that no job started does not end.
    """
    process = run.status().process
    if leave_queue(run):
        return
    if run.state() is not State.RUNNING or process is None:
        return
    with contextlib.suppress(OSError):  # a full disk: the signal says the same
        run.request_stop()
    if not process.wait(grace_seconds):
        if process != job_process(run, TRAINING):
            raise RunError(
                f"{run.id} is trained by process {process.pid}, which was asked to stop and has "
                "not: stop "
                f"it where it was started"
            )
        process.end(grace_seconds)
    root = queue_of(run)
    with _locked(root):
        status = run.status()
        if run.state_of(status) is State.LOST and status.process == process:
            _write_state(run, State.STOPPED)
        if run.state() is not State.RUNNING:
            run.clear_stop_request()
        _advance(root)


def advance_queue(root: Path) -> None:
    """Start the trainings of a folder's queue that there is room for.

    Raises:
        RunError: queue.json is damaged.
        OSError: the disk is full.
    """
    queue = read_queue(root)
    if queue.waiting or queue.started:
        with _locked(root):
            _advance(root)


def _advance(root: Path) -> None:
    queue = read_queue(root)
    states = {entry: Run(root / entry).state() for entry in (*queue.started, *queue.waiting)}
    started = [entry for entry in queue.started if states[entry] is State.RUNNING]
    # Whoever took a run from the queue may have died before starting it.
    taken = [entry for entry in queue.started if entry not in queue.waiting]
    waiting = [entry for entry in (*taken, *queue.waiting) if states[entry] is State.QUEUED]
    while waiting and len(started) < queue.at_once:
        started.append(waiting.pop(0))
        _write(root, _with(queue, waiting, started))
        if not _start(Run(root / started[-1])):
            started.pop()
    _write(root, _with(queue, waiting, started))


def _start(run: Run) -> bool:
    try:
        start_job(run, TRAINING)
    except (RunError, OSError) as error:
        _write_state(run, State.FAILED, f"could not be started: {error}")
        return False
    return True


def _check_can_train(run: Run, waits: bool) -> None:
    check_run_id(run.id)
    if problem := run.problem():
        raise RunError(problem)
    run.check_trainable()
    state = run.state()
    if state is State.FINISHED:
        raise RunError(
            f"{run.id} is finished at step {run.status().step:,}: extend it to train further"
        )
    if state is State.RUNNING:
        raise RunError(f"{run.id} is being trained already: wait for it, or stop it")
    if state is State.QUEUED and waits:
        raise RunError(f"{run.id} waits in the queue already")


def _write_state(run: Run, state: State, message: str = "") -> None:
    update = {"state": state, "message": message, "diverged": False, "process": None}
    run.write_status(run.status().model_copy(update=update))


def _without(queue: Queue, entry: str) -> tuple[str, ...]:
    return tuple(other for other in queue.waiting if other != entry)


def _with(queue: Queue, waiting: list[str], started: list[str]) -> Queue:
    return queue.model_copy(update={"waiting": tuple(waiting), "started": tuple(started)})


def _write(root: Path, queue: Queue) -> None:
    if queue != read_queue(root):
        write_record(root / "queue.json", queue)


def _entry(root: Path, run: Run) -> str:
    return run.path.resolve().relative_to(root).as_posix()


@contextlib.contextmanager
def _locked(root: Path) -> Iterator[None]:
    with FileLock(root / ".queue.lock"):
        yield
