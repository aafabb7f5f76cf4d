"""A job: a command of this package that works on one run as a process of its own.

What is known of it lies in the folder `jobs` of the run, so that whoever looks at the run sees it:
another tab, a restarted server, a shell. Each file has one writer:

    <command>.json             who was started; written by the starter
    <command>.progress.json    how far it is; written by the job
    <command>.log              what it printed

A training says how far it is in status.json too, where trainings from a shell say it. An
evaluation and a training of one run may run side by side.
"""

import contextlib
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psutil
from filelock import FileLock
from pydantic import BaseModel, ConfigDict, Field

from dvae_core.config import available_cores
from dvae_core.errors import RunError
from dvae_core.progress import ShouldStop
from dvae_core.runs.run import Run, State
from dvae_core.runs.storage import read_optional_record, write_record
from dvae_core.system.processes import ProcessIdentity, package_environment

JobState = Literal["running", "finished", "stopped", "failed", "lost"]

TRAINING = "resume"  # the command that trains a run from where it stands
GRACE_SECONDS = 5.0
_NICENESS = 10
_REPORT_SECONDS = 0.5


class _Started(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    arguments: list[str]
    process: ProcessIdentity | None = Field(description="None where it ended at once")


class _JobProgress(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    process: ProcessIdentity
    state: Literal["running", "finished", "stopped", "failed"]
    stage: str = ""
    fraction: float = Field(0.0, ge=0.0, le=1.0)
    message: str = ""


@dataclass(frozen=True)
class Job:
    """The latest job of a command on a run, as a reader finds it.

    Attributes:
        command: what it does, such as `evaluate`.
        arguments: what it was asked.
        state: what it is really doing; `lost` when its process is gone without a word.
        stage: what it is at.
        fraction: how far it is, in [0, 1].
        message: why it failed or was lost.
    """

    command: str
    arguments: list[str]
    state: JobState
    stage: str = ""
    fraction: float = 0.0
    message: str = ""


def start_job(
    run: Run,
    command: str,
    arguments: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
) -> None:
    """Start `python -m dvae_core COMMAND RUN ARGUMENTS` as a process that outlives this one.

    It leads a session of its own, has a lower priority and leaves one core to the app. A training
    is said to be running from here on.

    Args:
        run: what to work on.
        command: that takes a run as its first argument.
        arguments: that follow.
        environment: variables of the process, laid over those of this one.

    Raises:
        RunError: the same command is at work on the run already, or the run is damaged.
        OSError: the disk is full; nothing was started.
    """
    with _starting(run, command):
        job = find_job(run, command)
        if job is not None and job.state == "running":
            raise RunError(f"{run.id} is already running '{command}': wait for it, or stop it")
        status = run.status()
        if command == TRAINING:
            if run.state_of(status) is State.RUNNING:
                raise RunError(f"{run.id} is being trained already: wait for it, or stop it")
            run.clear_stop_request()
        (_folder(run) / f"{command}.progress.json").unlink(missing_ok=True)
        process = _spawn(run, command, arguments, environment or {})
        try:
            identity = ProcessIdentity.of(process.pid)
            started = _Started(arguments=list(arguments), process=identity)
            write_record(_folder(run) / f"{command}.json", started)
            if command == TRAINING:
                run.write_status(
                    status.model_copy(
                        update={"state": State.RUNNING, "process": identity, "message": ""}
                    )
                )
        except BaseException:  # a process that nobody could find again
            process.kill()
            raise


def find_job(run: Run, command: str) -> Job | None:
    """The latest job of a command on a run, or None where there never was one."""
    folder = _folder(run)
    try:
        started = read_optional_record(folder / f"{command}.json", _Started)
        progress = read_optional_record(folder / f"{command}.progress.json", _JobProgress)
    except RunError as error:  # damaged; another job will replace them
        return Job(command, [], "lost", message=str(error))
    if started is None:
        return None
    state: JobState = "running"
    stage, fraction, message = "starting", 0.0, ""
    if progress is not None and progress.process == started.process:
        state, message = progress.state, progress.message
        stage, fraction = progress.stage, progress.fraction
    if state == "running" and not (started.process and started.process.is_alive()):
        state, message = "lost", last_log_line(run, command)
    return Job(command, started.arguments, state, stage, fraction, message)


def stop_job(run: Run, command: str, grace_seconds: float = GRACE_SECONDS) -> None:
    """Ask a running job to end, and kill all its processes when it has not after a grace.

    Raises:
        RunError: its process belongs to another user.
    """
    if process := job_process(run, command):
        process.end(grace_seconds)


def job_process(run: Run, command: str) -> ProcessIdentity | None:
    """The process of the latest job of a command, dead or alive, or None where none is known.

    Raises:
        RunError: its record is damaged.
    """
    started = read_optional_record(_folder(run) / f"{command}.json", _Started)
    return started.process if started else None


def last_log_line(run: Run, command: str) -> str:
    """The last line that a job printed, for one that ended without telling why."""
    log = _folder(run) / f"{command}.log"
    lines: list[str] = []
    if log.is_file():
        with open(log, "rb") as file:
            file.seek(max(0, log.stat().st_size - 4096))
            lines = file.read().decode(errors="replace").strip().splitlines()
    return lines[-1][:300] if lines else "its process is gone"


@contextlib.contextmanager
def job_progress(
    run: Run, command: str, was_stopped: ShouldStop
) -> Iterator[Callable[[str, float], None]]:
    """Tell a run from within a command how far that is, and how it ended.

    Args:
        run: what is worked on.
        command: this one.
        was_stopped: whether it was asked to stop; called at the end.

    Yields:
        A function that takes what the command is at and how far it is, in [0, 1]; of its calls at
        most two a second are written down.
    """
    with _starting(run, command):
        pass  # whoever started this process has written down now that it did
    written_at, reached = float("-inf"), 0.0

    def write(
        state: Literal["running", "finished", "stopped", "failed"],
        stage: str = "",
        fraction: float = 0.0,
        message: str = "",
    ) -> None:
        progress = _JobProgress(
            process=ProcessIdentity.current(),
            state=state,
            stage=stage,
            fraction=min(max(fraction, 0.0), 1.0),
            message=message,
        )
        write_record(_folder(run) / f"{command}.progress.json", progress)

    def report(stage: str, fraction: float) -> None:
        nonlocal written_at, reached
        now, reached = time.monotonic(), fraction
        if now - written_at >= _REPORT_SECONDS:
            written_at = now
            write("running", stage, fraction)

    try:
        report("starting", 0.0)
        yield report
    except BaseException as error:
        with contextlib.suppress(OSError):  # the disk may be what failed
            write("failed", message=str(error) or type(error).__name__)
        raise
    if was_stopped():
        write("stopped", fraction=reached)
    else:
        write("finished", fraction=1.0)


@contextlib.contextmanager
def _starting(run: Run, command: str) -> Iterator[None]:
    _folder(run).mkdir(exist_ok=True)
    with FileLock(_folder(run) / f"{command}.lock"):
        yield


def _folder(run: Run) -> Path:
    return run.path / "jobs"


def _spawn(
    run: Run, command: str, arguments: Sequence[str], environment: Mapping[str, str]
) -> "subprocess.Popen[bytes]":
    with open(_folder(run) / f"{command}.log", "wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "dvae_core", command, str(run.path.resolve()), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={
                **package_environment(),
                "OMP_NUM_THREADS": str(max(1, available_cores() - 1)),
                **environment,
            },
        )
    with contextlib.suppress(psutil.Error):  # it has ended already
        started = psutil.Process(process.pid)
        started.nice(max(_NICENESS, started.nice()))
    # Somebody has to take its exit status, or it stays in the process table when it has ended.
    threading.Thread(target=process.wait, daemon=True).start()
    return process
