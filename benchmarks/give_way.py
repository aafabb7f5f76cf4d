"""The share of a core that the app gets beside a background job: the table of docs/performance.md.

    python -m benchmarks.give_way

Two busy processes on one core, each with a session of its own as the app and a job have. Linux.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable

import psutil

from benchmarks.tables import head, row
from dvae_core.system.processes import lower_priority

SECONDS = 20.0


def main() -> None:
    os.environ.pop("DVAE_NICENESS", None)
    print(head("priority of the job", "share of the core that the app gets"))
    print(row("that of the app", f"{share_of_app(lambda pid: None):.2f}"))
    print(row("its niceness 10", f"{share_of_app(lambda pid: os.setpriority(0, pid, 10)):.2f}"))
    print(row("as jobs are started", f"{share_of_app(lower_priority):.2f}"))


def share_of_app(change_priority: Callable[[int], None]) -> float:
    """The share of CPU seconds of a busy process beside one whose priority is changed."""
    app, job = _busy(), _busy()
    try:
        change_priority(job.pid)
        before = _cpu_seconds(app), _cpu_seconds(job)
        time.sleep(SECONDS)
        of_app, of_job = (_cpu_seconds(app) - before[0], _cpu_seconds(job) - before[1])
    finally:
        for process in (app, job):
            process.kill()
            process.wait()
    return of_app / (of_app + of_job)


def _busy() -> "subprocess.Popen[bytes]":
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"], start_new_session=True)
    os.sched_setaffinity(process.pid, {min(os.sched_getaffinity(0))})
    return process


def _cpu_seconds(process: "subprocess.Popen[bytes]") -> float:
    times = psutil.Process(process.pid).cpu_times()
    return times.user + times.system


if __name__ == "__main__":
    main()
