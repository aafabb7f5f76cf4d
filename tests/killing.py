"""Processes that are killed at random moments, for proofs that what they leave is sound.

A proof has two halves. A program, `python -m tests.PART.mortal`, starts processes and kills them.
It imports what they need and computes nothing itself, so each process is a fork of it and begins at
once. The program prints a line for each death and fails if it finds anything damaged. The test
starts the program with `run_program` and checks the result.
"""

import ctypes
import fcntl
import json
import os
import re
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from random import Random
from typing import Any

from dvae_core.errors import CoreError

ROOT = Path(__file__).parent.parent
KILLED = -signal.SIGKILL
REFUSED = 2

_TEMPORARY = re.compile(r"\.(.+\.|new-)[0-9a-f]{8}")
_TOUCHES = ("fsync", "replace", "rename", "mkdir", "unlink", "chmod")
_PR_SET_CHILD_SUBREAPER = 36
_known: set[Path] = set()  # unfinished files of earlier deaths

Work = Callable[[], object]
ReportKills = Callable[[str, "Deaths", str], None]
"""Adds a row to the table at the end of the tests: what was killed, how often, the result."""


@dataclass(frozen=True)
class Deaths:
    """The lines that a program printed, one for each death.

    Attributes:
        count: number of deaths by SIGKILL.
        during_a_write: those that left something unfinished.
        places: how far each process was, in the words of the program.
    """

    count: int
    during_a_write: int
    places: list[str]

    @classmethod
    def read(cls, lines: list[str]) -> "Deaths":
        """The deaths in the output of a program."""
        killed = [line.split() for line in lines if line.startswith(f"{KILLED} ")]
        return cls(
            len(killed), sum(len(words) > 2 for words in killed), [words[1] for words in killed]
        )


def run_program(module: str, *arguments: object, prefix: tuple[str, ...] = ()) -> list[str]:
    """Run a program that kills, and return the lines that it printed."""
    command = [*prefix, sys.executable, "-m", module, *map(str, arguments)]
    process = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=3600)
    assert process.returncode == 0, process.stdout + process.stderr
    return process.stdout.splitlines()


def fork(work: Work) -> int:
    """Start some work in a process of its own and return its process id.

    Its exit status is the number that the work returns, else 0; 2 after a `CoreError`, which it
    prints.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        answer = work()
        status = answer if isinstance(answer, int) else 0
    except CoreError as error:
        print(f"error: {error}")
        status = REFUSED
    except BaseException:
        traceback.print_exc()
    with suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(status)


def has_ended(pid: int) -> bool:
    """Whether a child process has ended; its exit status can still be read."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def wait_for(pid: int) -> int:
    """Wait for the end of a child process and return its exit status, `KILLED` after SIGKILL."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def kill(pid: int) -> int:
    """Kill a child process and return its exit status; it may have ended before."""
    os.kill(pid, signal.SIGKILL)
    return wait_for(pid)


def must_succeed(work: Work) -> None:
    """Do some work in a process of its own that nobody kills."""
    status = wait_for(fork(work))
    assert status == 0, f"undisturbed, it ended with status {status}"


def adopt_orphans() -> None:
    """Become the parent of processes whose parent dies, so that their exit status can be read."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)


@dataclass(frozen=True)
class Rehearsal:
    """What some work takes when nobody kills it.

    Attributes:
        seconds: its duration.
        touches: how often it changes the disk.
    """

    seconds: float
    touches: int


def rehearse(work: Work) -> Rehearsal:
    """Do some work twice in processes of its own, and import here what it imports."""
    for module in _report(lambda: (work(), list(sys.modules))[1]):
        with suppress(ImportError):
            import_module(module)

    def measure() -> tuple[float, int]:
        calls = before_each_touch(lambda number: None)
        began = time.monotonic()
        work()
        return time.monotonic() - began, calls()

    return Rehearsal(*_report(measure))


def die(work: Work, rehearsal: Rehearsal, random: Random) -> int:
    """Do some work in a process that is killed at a random moment: every other time by the clock,
    else before it changes the disk. Returns its exit status; it may have finished before."""
    if random.random() < 0.5:
        fatal = random.randint(1, rehearsal.touches)

        def mortal_work() -> object:
            die_before_touch(fatal)
            return work()

        return wait_for(fork(mortal_work))
    pid = fork(work)
    time.sleep(random.uniform(0, rehearsal.seconds))
    return kill(pid)


def die_before_touch(fatal: int) -> None:
    """Let this process, not its children, kill itself before its `fatal`-th change of the disk."""
    process = os.getpid()

    def reached(number: int) -> None:
        if number == fatal and os.getpid() == process:
            os.kill(process, signal.SIGKILL)

    before_each_touch(reached)


def before_each_touch(reached: Callable[[int], None]) -> Callable[[], int]:
    """Call a function with the number of each change of the disk by this process, from 1, just
    before it. Returns a function that counts them."""
    calls = 0

    def watched(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            nonlocal calls
            calls += 1
            reached(calls)
            return function(*arguments, **named)

        return call

    for name in _TOUCHES:
        setattr(os, name, watched(getattr(os, name)))
    return lambda: calls


def unfinished(*folders: Path) -> set[Path]:
    """Temporary files and folders that dead processes left; a living one has locked its own."""
    return {
        path
        for folder in folders
        for path in folder.rglob(".*")
        if _TEMPORARY.fullmatch(path.name) and not _is_locked(path)
    }


def _is_locked(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:  # a living one has finished it
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def say_death(status: int, place: object, *folders: Path) -> bool:
    """Print a line for the end of a process that was to die, with what is new and unfinished in
    some folders. Returns whether it was killed."""
    left = unfinished(*folders) - _known
    _known.update(left)
    print(status, place, *sorted(path.name for path in left), flush=True)
    return status == KILLED


def _report(work: Callable[[], Any]) -> Any:
    """What some work returns in a process of its own, through JSON."""
    read, write = os.pipe()

    def tell() -> None:
        os.close(read)
        with os.fdopen(write, "w") as file:
            json.dump(work(), file)

    pid = fork(tell)
    os.close(write)
    with os.fdopen(read) as file:
        answer = file.read()
    assert wait_for(pid) == 0
    return json.loads(answer)
