"""Processes: identify, stop and interrupt them."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

import psutil
from pydantic import BaseModel, ConfigDict, Field

from dvae_core.errors import RunError

INTERRUPTED = 130
"""Exit status of a command that was interrupted."""

_PROC = Path("/proc")
_POLL_SECONDS = 0.05
_NICENESS = 10
_AUTOGROUP_ATTEMPTS = 5
_KILL_SECONDS = 10.0  # for the kernel to remove a killed process


class ProcessIdentity(BaseModel):
    """A process id with the start time of the process, which together are unique."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    pid: int = Field(ge=1, lt=2**31)
    birth: str = Field(max_length=100, description="boot id and start tick, or start time")

    @classmethod
    def current(cls) -> "ProcessIdentity":
        """This process."""
        return cls(pid=os.getpid(), birth=_birth(os.getpid()) or "unknown")

    @classmethod
    def of(cls, pid: int) -> "ProcessIdentity | None":
        """The living process with this id, or None."""
        birth = _birth(pid)
        return None if birth is None else cls(pid=pid, birth=birth)

    def is_alive(self) -> bool:
        """Whether it is running; a zombie is not."""
        return _birth(self.pid) == self.birth

    def wait(self, seconds: float) -> bool:
        """Wait at most `seconds` for its end; returns whether it has ended."""
        deadline = time.monotonic() + seconds
        while self.is_alive():
            if time.monotonic() >= deadline:
                return False
            time.sleep(_POLL_SECONDS)
        return True

    def end(self, grace_seconds: float) -> None:
        """Stop the process, or its whole group if it leads one, by SIGTERM, and after
        `grace_seconds` by SIGKILL.

        Raises:
            RunError: it belongs to another user.
        """
        with suppress(ProcessLookupError):  # it has already ended
            leads_group = os.getpgid(self.pid) == self.pid
            send = os.killpg if leads_group else os.kill
            if not self.is_alive():
                return
            try:
                send(self.pid, signal.SIGTERM)
                ended = self.wait(grace_seconds)
                if leads_group or not ended:
                    send(self.pid, signal.SIGKILL)
            except PermissionError:
                raise RunError(
                    f"process {self.pid} belongs to another user: stop it where it was started"
                ) from None
            self.wait(_KILL_SECONDS)


def lower_priority(pid: int) -> None:
    """Let a background process give way to the app: to the niceness in the environment variable
    DVAE_NICENESS, 0 to 19, else to 10. Does nothing if the process has ended."""
    asked = os.environ.get("DVAE_NICENESS", "")
    niceness = min(int(asked), 19) if asked.isdecimal() else _NICENESS
    with suppress(psutil.Error):
        process = psutil.Process(pid)
        process.nice(niceness := max(niceness, process.nice()))
        _lower_priority_of_session(pid, niceness)


def _lower_priority_of_session(pid: int, niceness: int) -> None:
    """The same for the session that a process leads. Linux with autogroups (sched(7)) shares a core
    equally between sessions; the niceness of a process counts within its session only."""
    autogroup = _PROC / str(pid) / "autogroup"
    for _ in range(_AUTOGROUP_ATTEMPTS):
        try:
            if os.getsid(pid) == pid:
                autogroup.write_text(str(niceness))
        except BlockingIOError:  # one change in 100 ms is allowed
            time.sleep(0.1)
        except OSError:  # no Linux, no autogroups, or it has ended
            return
        else:
            return


def _birth(pid: int) -> str | None:
    """The start of a living process, unique among processes with this id; None for a dead one.

    Uses /proc on Linux, because psutil's start times change when the clock is set.
    """
    if boot := _boot_id():
        try:
            stat = (_PROC / str(pid) / "stat").read_bytes()
        except OSError:
            return None
        # proc(5): the second field is the name in brackets, which may contain anything.
        state, *fields = stat.rpartition(b")")[2].split()
        return None if state in (b"Z", b"X") else f"{boot}/{int(fields[18])}"  # field 22
    try:
        process = psutil.Process(pid)
        ended = process.status() in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
        return None if ended else f"{process.create_time():.2f}"
    except psutil.Error:
        return None


@cache
def _boot_id() -> str:
    """The id of the current boot, or "" if the system has none."""
    try:
        return (_PROC / "sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


@contextmanager
def interruptions() -> Iterator[list[int]]:
    """Collect SIGINT and SIGTERM, so that work can stop between steps. A second signal raises
    `KeyboardInterrupt`."""
    received: list[int] = []

    def receive(number: int, frame: Any) -> None:
        if received:
            raise KeyboardInterrupt
        received.append(number)

    before = {number: signal.signal(number, receive) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
