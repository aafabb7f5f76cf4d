"""Work that goes on when the browser is closed: processes of their own, found again by their run.

A job is a command of this package that works on one run. What is known of it lies in the run
folder, so that whoever looks at the run sees it: another tab, a restarted server, a shell. Of its
two files each has one writer: `job.json` says who was started, and is written by the starter;
`progress.json` says how far it is, and is written by the job.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psutil
from filelock import FileLock

from dvae_core.config import available_cores
from dvae_core.errors import RunError
from dvae_core.run import JobProgress, JobRecord, Run, is_alive, this_process

JobState = Literal["running", "finished", "stopped", "failed", "lost"]

GRACE_SECONDS = 5.0
_PACKAGE_FOLDER = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Job:
    """The latest job of a run, as a reader finds it.

    Attributes:
        command: what it does, such as `evaluate`.
        arguments: what it was asked.
        state: what it is really doing; `lost` when its process is gone without a word.
        stage: what it is at.
        fraction: how far it is, in [0, 1].
        message: why it failed.
    """

    command: str
    arguments: list[str]
    state: JobState
    stage: str = ""
    fraction: float = 0.0
    message: str = ""


def start_job(run: Run, command: str, arguments: Sequence[str] = ()) -> None:
    """Start `python -m dvae_core COMMAND RUN ARGUMENTS` as a process that outlives this one.

    It leads a session of its own, has a lower priority and leaves one core to the app. What it
    prints goes to log.txt of the run.

    Raises:
        RunError: another job is running for the run already.
    """
    with FileLock(run.path / ".job.lock"):
        job = find_job(run)
        if job is not None and job.state == "running":
            raise RunError(f"{run.id} is at '{job.command}' already: wait for it, or stop it")
        run.clear_job_progress()
        process = _spawn(run, [command, str(run.path.resolve()), *arguments])
        try:
            started = psutil.Process(process.pid)
            started.nice(10)
            started_at = started.create_time()
        except psutil.Error:
            started_at = 0.0  # it has ended already
        run.write_job(
            JobRecord(
                command=command,
                arguments=list(arguments),
                pid=process.pid,
                process_started_at=started_at,
            )
        )


def find_job(run: Run) -> Job | None:
    """The latest job of a run, or None where there never was one."""
    try:
        record, progress = run.read_job(), run.read_job_progress()
    except RunError as error:  # damaged; another job will replace them
        return Job("", [], "lost", message=str(error))
    if record is None:
        return None
    if progress is None or progress.pid != record.pid:
        progress = JobProgress(pid=record.pid, state="running", stage="starting")
    state: JobState = progress.state
    if state == "running" and not is_alive(record.pid, record.process_started_at):
        state = "lost"
    message = progress.message
    if state == "lost":
        message = _last_line(run) or "its process is gone"
    return Job(record.command, record.arguments, state, progress.stage, progress.fraction, message)


def stop_job(run: Run, grace_seconds: float = GRACE_SECONDS) -> None:
    """Ask a running job to end, and kill all its processes when it has not after a grace."""
    record = run.read_job()
    if record is None or not is_alive(record.pid, record.process_started_at):
        return
    with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError):  # it ended by itself
        process = psutil.Process(record.pid)
        os.killpg(record.pid, signal.SIGTERM)
        try:
            process.wait(grace_seconds)
        except psutil.TimeoutExpired:
            os.killpg(record.pid, signal.SIGKILL)


def report_progress(
    run: Run,
    state: Literal["running", "finished", "stopped", "failed"],
    stage: str = "",
    fraction: float = 0.0,
    message: str = "",
) -> None:
    """Say from within a job how far it is."""
    pid, _ = this_process()
    run.write_job_progress(
        JobProgress(pid=pid, state=state, stage=stage, fraction=fraction, message=message)
    )


def _spawn(run: Run, arguments: list[str]) -> "subprocess.Popen[bytes]":
    threads = str(max(1, available_cores() - 1))
    with open(run.path / "log.txt", "wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "dvae_core", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={
                **os.environ,
                "OMP_NUM_THREADS": threads,
                "PYTHONPATH": os.pathsep.join(
                    filter(None, [str(_PACKAGE_FOLDER), os.environ.get("PYTHONPATH")])
                ),
            },
        )
    # Somebody has to take its exit status, or it stays in the process table when it has ended.
    threading.Thread(target=process.wait, daemon=True).start()
    return process


def _last_line(run: Run) -> str:
    log = run.path / "log.txt"
    if not log.is_file():
        return ""
    with open(log, "rb") as file:
        file.seek(max(0, log.stat().st_size - 4096))
        lines = file.read().decode(errors="replace").strip().splitlines()
    return lines[-1][:300] if lines else ""
