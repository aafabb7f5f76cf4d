"""Trainings that die: `python -m tests.training.mortal FOLDER HOW ...`.

    times SEED COUNT      SIGKILL a moment after COUNT steps drawn from the whole life
    calls COUNT           SIGKILL before the 1st, 2nd, .. COUNT-th change of the disk
    snapshots SEED COUNT  SIGKILL at COUNT random moments of snapshots
    pairs SEED COUNT      two trainers start together, and SIGKILL hits one of them, then the other
    limit BYTES           the first writes of files above BYTES fail
    full BYTES ..         the disk, a small one, fills up but for BYTES, and for those of the next
                          life, then is free again

In the end, the training lives to its last step. See `tests.killing`.
"""

import os
import random
import resource
import shutil
import sys
import time
from collections.abc import Callable
from functools import partial
from itertools import count as numbers_from
from pathlib import Path

import torch._dynamo  # noqa: F401  # every life's optimizer would import it

from dvae_core.__main__ import main
from dvae_core.config import RunConfig
from dvae_core.runs.run import Run, State
from dvae_core.training import snapshots
from dvae_core.training.snapshots import SnapshotTaker
from dvae_core.training.trainer import train
from tests.killing import (
    KILLED,
    REFUSED,
    die_before_touch,
    fork,
    has_ended,
    kill,
    must_succeed,
    rehearse,
    say_death,
    wait_for,
)
from tests.training.witness import write_all_steps

# Less to look at in each snapshot, so that lives are quick. Whoever compares with them does so too.
POINTS, GAP_BATCHES = 64, 1
SNAPSHOT_SECONDS, SNAPSHOT_TOUCHES = 0.05, 4  # of one of these, about


def live(folder: Path, prepare: Callable[[], None] = lambda: None) -> int:
    """Begin one life of a training and return its process id."""

    def work() -> None:
        prepare()
        train(Run(folder))

    return fork(work)


def finish(folder: Path) -> None:
    """Let the training live to its end."""
    must_succeed(lambda: train(Run(folder)))
    assert Run(folder).state() is State.FINISHED


def say_how_it_died(folder: Path, status: int) -> bool:
    assert status in (0, KILLED), status
    return say_death(status, Run(folder).status().step, folder)


def drawn_steps(folder: Path, generator: random.Random, count: int) -> list[int]:
    # How long a life lasts depends on who else is at the machine; how many steps it has does not.
    steps = Run(folder).record.steps
    return sorted(generator.randrange(steps) for _ in range(count))


def wait_for_step(folder: Path, step: int, pid: int) -> None:
    while Run(folder).status().step < step and not has_ended(pid):
        time.sleep(0.002)


def die_at_times(folder: Path, seed: int, count: int) -> None:
    generator = random.Random(seed)
    for step in drawn_steps(folder, generator, count):
        pid = live(folder)
        wait_for_step(folder, step, pid)
        time.sleep(generator.uniform(0, 0.2))  # into a later step, a save, a snapshot
        say_how_it_died(folder, kill(pid))
    finish(folder)


def die_at_calls(folder: Path, count: int) -> None:
    for fatal in range(1, count + 1):
        pid = live(folder, partial(die_before_touch, fatal))
        say_how_it_died(folder, wait_for(pid))
    finish(folder)


def die_in_snapshots(folder: Path, seed: int, count: int) -> None:
    generator = random.Random(seed)
    for _ in range(count):
        number = generator.choice((1, 2, 2))  # the first one may repeat that of the saved step
        if generator.random() < 0.5:
            fatal = generator.randint(1, SNAPSHOT_TOUCHES)
            end = partial(die_before_touch, fatal)
            status = wait_for(live(folder, partial(before_snapshot, number, end)))
        else:
            read, write = os.pipe()
            tell = partial(os.write, write, b".")
            pid = live(folder, partial(before_snapshot, number, tell))
            os.close(write)
            os.read(read, 1)  # or to the end of the training
            time.sleep(generator.uniform(0, SNAPSHOT_SECONDS))
            status = kill(pid)
            os.close(read)
        say_how_it_died(folder, status)
    finish(folder)


def before_snapshot(number: int, begun: Callable[[], object]) -> None:
    """Let this process call a function before its `number`-th snapshot."""
    take, numbers = SnapshotTaker.take, numbers_from(1)

    def told(self: SnapshotTaker, step: int) -> None:
        if next(numbers) == number:
            begun()
        take(self, step)

    SnapshotTaker.take = told  # type: ignore[method-assign]


def die_in_pairs(folder: Path, seed: int, count: int) -> None:
    generator = random.Random(seed)
    begin = rehearse(lambda: main(["resume", str(short_copy(folder))]))
    deaths = 0
    for step in drawn_steps(folder, generator, count):
        if deaths >= count:
            break
        first, second = generator.sample(start_pair(folder), 2)
        time.sleep(generator.uniform(0, begin.seconds))
        deaths += say_how_one_died(folder, kill(first))
        wait_for_step(folder, step, second)
        deaths += say_how_one_died(folder, kill(second), folder)
    must_succeed(lambda: main(["resume", str(folder)]))


def say_how_one_died(folder: Path, status: int, *searched: Path) -> bool:
    assert status in (KILLED, REFUSED), status
    return say_death(status, Run(folder).status().step, *searched)


def short_copy(folder: Path) -> Path:
    """A new run with the settings of another one and a single step."""
    copy = folder.with_name("rehearsal")
    shutil.rmtree(copy, ignore_errors=True)
    record = Run(folder).record
    settings = record.model_dump(include=set(RunConfig.model_fields)) | {"steps": 1}
    return Run.create(copy, RunConfig(**settings), record.image_shape).path


def start_pair(folder: Path) -> list[int]:
    """The process ids of two trainers, which begin when both are there."""
    closed_at_the_start, gate = os.pipe()

    def work() -> int:
        os.close(gate)
        os.read(closed_at_the_start, 1)
        write_all_steps(folder.with_name("witness"), folder.name)
        return main(["resume", str(folder)])

    pair = [fork(work), fork(work)]
    os.close(closed_at_the_start)
    os.close(gate)
    return pair


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
    assert wait_for(live(folder, prepare)) == REFUSED
    after = {path.name: path.read_bytes() for path in folder.glob("*.safetensors")}
    assert before == after
    print(Run(folder).status().state, Run(folder).status().message, flush=True)


if __name__ == "__main__":
    target, how, *numbers = sys.argv[1:]
    snapshots.POINTS, snapshots.GAP_BATCHES = POINTS, GAP_BATCHES
    deaths = {
        "times": die_at_times,
        "calls": die_at_calls,
        "snapshots": die_in_snapshots,
        "pairs": die_in_pairs,
        "limit": fail_at_limit,
        "full": fill_the_disk,
    }
    deaths[how](Path(target), *map(int, numbers))  # type: ignore[operator]
