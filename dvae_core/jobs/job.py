"""A job: a command of this package that works on one run in its own process.

The folder `jobs` of the run describes the job, so every reader of the run can find it: another
tab, a restarted server, a shell. Each file has one writer:

    <command>.json             the process; written by the process that starts the job
    <command>.progress.json    the progress; written by the job
    <command>.log              the output of the job

A training also writes its progress to status.json, as a training from a shell does. An evaluation
and a training of the same run may run at the same time.
"""

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from filelock import FileLock
from pydantic import BaseModel, ConfigDict, Field

from dvae_core.config import available_cores
from dvae_core.errors import RunError
from dvae_core.progress import ShouldStop
from dvae_core.runs.run import Run, State
from dvae_core.runs.storage import read_optional_record, write_record
from dvae_core.system.environment import package_environment
from dvae_core.system.processes import ProcessIdentity, lower_priority

JobState = Literal["running", "finished", "stopped", "failed", "lost"]

TRAINING = "resume"  # the command that trains a run
GRACE_SECONDS = 5.0
_REPORT_SECONDS = 0.5
_STARTED_AS = "DVAE_JOB"  # the environment variable that tells a process that it is a job


class _Started(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    arguments: list[str]
    process: ProcessIdentity | None = Field(description="None if it ended at once")


class _JobProgress(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    process: ProcessIdentity
    state: Literal["running", "finished", "stopped", "failed"]
    stage: str = ""
    fraction: float = Field(0.0, ge=0.0, le=1.0)
    message: str = ""


@dataclass(frozen=True)
class Job:
    """The latest job of a command on a run.

    Attributes:
        command: its command, such as `evaluate`.
        arguments: its arguments after the run.
        state: its state; `lost` if its process died without reporting an end.
        stage: the current part of the work, such as the name of a metric.
        fraction: progress in [0, 1].
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

    The process leads its own session, has a lower priority and leaves one core to the app. The
    status of a run in training becomes `running` at once.

    Args:
        run: run to work on.
        command: a command whose first argument is a run.
        arguments: further arguments.
        environment: variables to add to the environment of this process.

    Raises:
        RunError: the same command already works on the run, or the run is damaged.
        OSError: the disk is full; nothing was started.
    """
    with _starting(run, command):
        job = find_job(run, command)
        if job is not None and job.state == "running":
            raise RunError(f"{run.id} already runs '{command}': wait until it ends, or stop it")
        status = run.status()
        if command == TRAINING:
            if run.state_of(status) is State.RUNNING:
                raise RunError(f"{run.id} is already being trained: wait until it ends, or stop it")
            run.clear_stop_request()
        (_folder(run) / f"{command}.progress.json").unlink(missing_ok=True)
        process = _spawn(run, command, arguments, {**(environment or {}), _STARTED_AS: command})
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
        except BaseException:  # nobody could find this process again
            process.kill()
            raise


def find_job(run: Run, command: str) -> Job | None:
    """The latest job of a command on a run, or None if there was none."""
    folder = _folder(run)
    try:
        started = read_optional_record(folder / f"{command}.json", _Started)
        progress = read_optional_record(folder / f"{command}.progress.json", _JobProgress)
    except RunError as error:  # damaged; the next job replaces them
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
    """Ask a running job to end, and kill all its processes after `grace_seconds`.

    Raises:
        RunError: its process belongs to another user.
    """
    if process := job_process(run, command):
        process.end(grace_seconds)


def job_process(run: Run, command: str) -> ProcessIdentity | None:
    """The process of the latest job of a command, dead or alive, or None if there is none.

    Raises:
        RunError: its record is damaged.
    """
    started = read_optional_record(_folder(run) / f"{command}.json", _Started)
    return started.process if started else None


def last_log_line(run: Run, command: str) -> str:
    """The last line that a job printed, which says most about a job that died."""
    log = _folder(run) / f"{command}.log"
    lines: list[str] = []
    if log.is_file():
        with open(log, "rb") as file:
            file.seek(max(0, log.stat().st_size - 4096))
            lines = file.read().decode(errors="replace").strip().splitlines()
    return lines[-1][:300] if lines else "its process died"


@contextlib.contextmanager
def job_progress(
    run: Run, command: str, was_stopped: ShouldStop
) -> Iterator[Callable[[str, float], None]]:
    """Write the progress of the running command to its run, and how it ended, if it is a job; a
    command from a shell has no progress.

    Args:
        run: run that the command works on.
        command: name of the command.
        was_stopped: says at the end whether the command was asked to stop.

    Yields:
        A function of (stage, fraction in [0, 1]); it writes at most two calls a second.

    Raises:
        RunError: it is a job that its starter did not record.
    """
    started_as = os.environ.pop(_STARTED_AS, None)  # not for processes that it starts
    with _starting(run, command):  # its starter has released the lock, or was killed
        is_job = _is_recorded(run, command)
    if started_as == command and not is_job:
        # Nobody could find this process, and the next one who looks starts another.
        raise RunError(f"whoever started '{command}' of {run.id} was killed: start it again")
    if not is_job:
        yield lambda stage, fraction: None
        return
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
        with contextlib.suppress(OSError):  # the disk may be full
            write("failed", message=str(error) or type(error).__name__)
        raise
    if was_stopped():
        write("stopped", fraction=reached)
    else:
        write("finished", fraction=1.0)


def _is_recorded(run: Run, command: str) -> bool:
    try:
        return job_process(run, command) == ProcessIdentity.current()
    except RunError:  # damaged
        return False


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
    lower_priority(process.pid)
    # Without a wait, the process stays in the process table after its end.
    threading.Thread(target=process.wait, daemon=True).start()
    return process
