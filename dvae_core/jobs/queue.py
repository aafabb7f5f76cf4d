"""The queue of trainings, which limits how many of them run at the same time.

The file `queue.json` in the folder of the runs holds the queue, so two apps on the same folder
share it; a lock file serialises their changes. A training starts the next one before it exits, so
the queue advances without an open browser. If a trainer was killed, the next call of
`advance_queue` starts the next training.

A run waits if both the queue and its status say so; a run that was only created does not start.
Trainings from a shell or a sweep are not part of the queue and not counted.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from filelock import FileLock
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from dvae_core.errors import ConfigError, RunError
from dvae_core.jobs.job import TRAINING, find_job, job_process, start_job
from dvae_core.runs.catalog import own_root
from dvae_core.runs.run import RUN_ID, Run, State, check_run_id
from dvae_core.runs.storage import read_optional_record, write_record

MAX_AT_ONCE = 16
GRACE_SECONDS = 10.0
_Entry = Annotated[
    str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}(/[a-z0-9][a-z0-9_-]{0,63})?$")
]


class Queue(BaseModel):
    """queue.json. It names runs by their path relative to its folder."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    at_once: int = Field(1, ge=1, le=MAX_AT_ONCE, description="trainings that run at the same time")
    waiting: tuple[_Entry, ...] = ()
    started: tuple[_Entry, ...] = Field(
        (), description="started from the queue and not known to have ended"
    )


def queue_root(folder: Path) -> Path:
    """The folder whose queue holds the runs in `folder`: the folder of the user's own runs
    (`DVAE_RUNS`, or `runs`) for all runs and sweeps in it, else `folder` itself."""
    folder, own = folder.resolve(), own_root().resolve()
    is_sweep = folder.parent == own and RUN_ID.fullmatch(folder.name)
    return own if is_sweep else folder


def queue_of(run: Run) -> Path:
    """The folder whose queue holds a run; see `queue_root`."""
    return queue_root(run.path.resolve().parent)


def read_queue(root: Path) -> Queue:
    """The queue of a folder; an empty queue if there is none yet.

    Raises:
        RunError: queue.json is damaged.
    """
    return read_optional_record(root / "queue.json", Queue) or Queue()


def position_in(queue: Queue, root: Path, run: Run) -> int | None:
    """The place of a run in a queue, from 1, or None if it is not in the queue."""
    path = run.path.resolve()
    waiting = [root / entry for entry in queue.waiting]
    return waiting.index(path) + 1 if path in waiting else None


def trainings_at_once(root: Path) -> int:
    """Number of trainings that the queue of a folder runs at the same time.

    Raises:
        RunError: queue.json is damaged.
    """
    return read_queue(root).at_once


def set_trainings_at_once(root: Path, count: int) -> None:
    """Run `count` trainings of a folder at the same time. Running trainings continue.

    Raises:
        ConfigError: `count` is not from 1 to 16.
        RunError: queue.json is damaged.
    """
    if not 1 <= count <= MAX_AT_ONCE:
        raise ConfigError(
            f"{count} trainings cannot run at the same time: give a number from 1 to {MAX_AT_ONCE}"
        )
    with _locked(root):
        _write(root, read_queue(root).model_copy(update={"at_once": count}))
        _advance(root)


def queue_training(run: Run) -> None:
    """Start or resume a training: at once if the queue has room, else when its turn comes.

    Raises:
        RunError: the run is damaged, finished, imported, in training or already in the queue; or
            queue.json is damaged.
        OSError: the disk is full.
    """
    root = queue_of(run)
    with _locked(root):
        queue, entry = read_queue(root), _entry(root, run)
        _check_can_train(run, waits=entry in queue.waiting)
        # A run counts as queued only if both files say so, so a crash in between is harmless.
        _write(root, queue.model_copy(update={"waiting": (*_without(queue, entry), entry)}))
        _write_state(run, State.QUEUED)
        _advance(root)


def leave_queue(run: Run) -> bool:
    """Remove a run from the queue.

    Returns:
        Whether it was in the queue; its state is then `stopped`.
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
    """Stop a training and wait until it has ended, or remove it from the queue.

    The training is asked to save its state and end after the current step. A job that is still
    alive after `grace_seconds` gets SIGTERM, and after as many seconds again SIGKILL. A process
    from a shell or a sweep may do more than this training, so it is only asked.

    Raises:
        RunError: the run is damaged, or a process that is not a job does not end.
    """
    process = run.status().process
    if leave_queue(run):
        return
    if run.state() is not State.RUNNING or process is None:
        return
    with contextlib.suppress(OSError):  # the disk is full: the signal asks the same
        run.request_stop()
    if not process.wait(grace_seconds):
        if process != job_process(run, TRAINING):
            raise RunError(
                f"{run.id} is trained by process {process.pid}, which did not stop when asked: "
                f"stop it where it was started"
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
    """Start waiting trainings of a folder while its queue has room.

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
    states = {entry: _state(Run(root / entry)) for entry in (*queue.started, *queue.waiting)}
    started = [entry for entry in queue.started if states[entry] is State.RUNNING]
    # A process may have died between removing a run from the queue and starting it.
    taken = [entry for entry in queue.started if entry not in queue.waiting]
    waiting = [entry for entry in (*taken, *queue.waiting) if states[entry] is State.QUEUED]
    while waiting and len(started) < queue.at_once:
        started.append(waiting.pop(0))
        _write(root, _with(queue, waiting, started))
        if not _start(Run(root / started[-1])):
            started.pop()
    _write(root, _with(queue, waiting, started))


def _state(run: Run) -> State:
    state = run.state()
    if state is State.QUEUED and (job := find_job(run, TRAINING)) and job.state == "running":
        return State.RUNNING  # its starter died before it wrote so, or an earlier job is ending
    return state


def _start(run: Run) -> bool:
    try:
        start_job(run, TRAINING)
    except (RunError, OSError) as error:
        _write_state(run, State.FAILED, f"the training could not be started: {error}")
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
            f"{run.id} is finished at step {run.status().step:,}: extend it to train it further"
        )
    if state is State.RUNNING:
        raise RunError(f"{run.id} is already being trained: wait until it ends, or stop it")
    if state is State.QUEUED and waits:
        raise RunError(f"{run.id} is already in the queue: wait for its turn, or stop it")


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
