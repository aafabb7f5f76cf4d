"""Trainings that die, as a program of its own: `python -m tests.training.mortal FOLDER HOW ...`.

    times SEED COUNT   SIGKILL a moment after COUNT steps drawn from the whole life, then to the end
    calls COUNT        SIGKILL before the 1st, 2nd, .. COUNT-th touch of the disk, then to the end
    limit BYTES        the first writes of files above BYTES fail, then to the end
    full BYTES ..      the disk, a small one, fills up but for BYTES, and for those of the next
                       life, then is free again

Each life is a fork of this process, which has imported everything and computed nothing, so that
lives begin at once. Prints a line for each death.
"""

import os
import random
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch._dynamo  # noqa: F401  # every life's optimizer would import it

from dvae_core.errors import RunError
from dvae_core.runs.run import Run, State
from dvae_core.training import snapshots
from dvae_core.training.trainer import train

# Less to look at in each snapshot, so that lives are quick. Whoever compares with them does so too.
POINTS, GAP_BATCHES = 64, 1


def live(folder: Path, prepare: Callable[[], None] = lambda: None) -> int:
    """Begin one life of a training and return its process id."""
    pid = os.fork()
    if pid:
        return pid
    try:
        prepare()
        train(Run(folder))
        os._exit(0)
    except RunError as error:
        print(f"error: {error}", flush=True)
        os._exit(2)
    except BaseException:
        traceback.print_exc()
        os._exit(1)


def finish(folder: Path) -> None:
    """Let the training live to its end."""
    _, status = os.waitpid(live(folder), 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert Run(folder).state() is State.FINISHED


def say_how_it_died(folder: Path, pid: int) -> bool:
    _, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    assert code in (0, -signal.SIGKILL), code
    half_written = [path.name for path in folder.rglob(".*.*") if not path.name.endswith(".lock")]
    print(code, Run(folder).status().step, *half_written, flush=True)
    return code != 0


def die_at_times(folder: Path, seed: int, count: int) -> None:
    # How long a life lasts depends on who else is at the machine; how many steps it has does not.
    generator = random.Random(seed)
    steps = Run(folder).record.steps
    for step in sorted(generator.randrange(steps) for _ in range(count)):
        pid = live(folder)
        while Run(folder).status().step < step and not has_ended(pid):
            time.sleep(0.002)
        time.sleep(generator.uniform(0, 0.2))  # into a later step, a save, a snapshot
        os.kill(pid, signal.SIGKILL)
        say_how_it_died(folder, pid)
    finish(folder)


def has_ended(pid: int) -> bool:
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def die_at_calls(folder: Path, count: int) -> None:
    for fatal in range(1, count + 1):
        pid = live(folder, partial(die_before_call, fatal))
        say_how_it_died(folder, pid)
    finish(folder)


def die_before_call(fatal: int) -> None:
    """Let this process kill itself before its `fatal`-th touch of the disk."""
    calls = 0

    def mortal(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == fatal:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments, **named)

        return call

    for name in ("fsync", "replace", "unlink", "chmod"):
        setattr(os, name, mortal(getattr(os, name)))


def fail_at_limit(folder: Path, limit: int) -> None:
    def set_limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    fail(folder, set_limit)
    finish(folder)


def fill_the_disk(folder: Path, *free_bytes: int) -> None:
    filler = folder.parent / "filler"

    def fill(free: int) -> None:
        with open(filler, "wb", buffering=0) as file:
            try:
                while True:
                    file.write(b"\0" * 4096)
            except OSError:
                pass
            file.truncate(max(0, file.tell() - free))

    for free in free_bytes:
        fail(folder, partial(fill, free))
        filler.unlink()
    finish(folder)


def fail(folder: Path, prepare: Callable[[], None]) -> None:
    before = {path.name: path.read_bytes() for path in folder.glob("*.safetensors")}
    _, status = os.waitpid(live(folder, prepare), 0)
    assert os.waitstatus_to_exitcode(status) == 2
    after = {path.name: path.read_bytes() for path in folder.glob("*.safetensors")}
    assert before == after
    print(Run(folder).status().state, Run(folder).status().message, flush=True)


if __name__ == "__main__":
    target, how, *numbers = sys.argv[1:]
    snapshots.POINTS, snapshots.GAP_BATCHES = POINTS, GAP_BATCHES
    deaths = {
        "times": die_at_times,
        "calls": die_at_calls,
        "limit": fail_at_limit,
        "full": fill_the_disk,
    }
    deaths[how](Path(target), *map(int, numbers))  # type: ignore[operator]
