"""Background jobs that die: `python -m tests.jobs.mortal HOW FOLDER SEED COUNT`.

    queue       a trainer at any moment, a trainer while it starts the next one, or whoever looks
                at the queue
    evaluation  an evaluation at any moment, or whoever starts it

In the end, all work is finished. See `tests.killing`.
"""

import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from dvae_core import jobs
from dvae_core.__main__ import main
from dvae_core.evaluation.results import read_evaluation
from dvae_core.jobs import advance_queue, find_job, find_training, job, queue_training, start_job
from dvae_core.jobs.job import job_process
from dvae_core.runs.catalog import list_runs
from dvae_core.runs.run import Run, State
from dvae_core.system import files
from dvae_core.system.processes import ProcessIdentity
from tests.killing import (
    KILLED,
    Rehearsal,
    adopt_orphans,
    die,
    die_before_touch,
    fork,
    kill,
    must_succeed,
    rehearse,
    say_death,
    unfinished,
    wait_for,
)
from tests.training.witness import write_all_steps

QUICK = ["--protocol", "paper", "--metrics", "mig,kl,sap,modularity", "--points", "300"]
SEEDS = (0, 1)
LOOK = Rehearsal(seconds=0.05, touches=12)  # of who queues two runs and starts one, about
START = Rehearsal(seconds=0.02, touches=5)  # of who starts a job, about

_dies_at: int | None = None
"""The change of the disk before which the next job dies: a training when it has finished, and
starts the next one, an evaluation from its beginning."""


@dataclass(frozen=True)
class Forked:
    """What `start_job` needs of a process."""

    pid: int

    def kill(self) -> None:
        kill(self.pid)


def spawn_fork(
    prepare: Callable[[Run], None],
    run: Run,
    command: str,
    arguments: Sequence[str],
    environment: Mapping[str, str],
) -> Forked:
    """Start a job as a fork of this process instead of a new interpreter."""

    def work() -> int:
        os.setsid()
        log = os.open(run.path / "jobs" / f"{command}.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.environ.update(environment)
        prepare(run)
        return main([command, str(run.path.resolve()), *arguments])

    return Forked(fork(work))


def use_forks(prepare: Callable[[Run], None]) -> None:
    """Let jobs be forks that begin with a function, and let this process become their parent when
    whoever started them is gone."""
    job._spawn = partial(spawn_fork, prepare)  # type: ignore[assignment]
    # Old enough: no process waits as long between the making of a file and its lock.
    files._YOUNG_SECONDS = 0.5
    adopt_orphans()


def status_of(pid: int) -> int:
    """The exit status of a job, once it has ended."""
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        with suppress(ChildProcessError):  # whoever started it has not ended yet
            return wait_for(pid)
        time.sleep(0.005)
    raise AssertionError(f"process {pid} does not end")


def kill_job(process: ProcessIdentity) -> int:
    if process.is_alive():
        os.kill(process.pid, signal.SIGKILL)
    return status_of(process.pid)


def copy_of(folder: Path, name: str) -> Path:
    copy = folder.with_name(name)
    shutil.rmtree(copy, ignore_errors=True)
    return shutil.copytree(folder, copy)


def die_in_the_queue(folder: Path, seed: int, count: int) -> None:
    """Kill around the queue of `folder/runs`, whose runs are copies of `folder/new`."""
    global _dies_at
    root, template = folder / "runs", folder / "new"
    generator = random.Random(seed)
    training = rehearse(lambda: main(["resume", str(copy_of(template, "rehearsal"))]))
    use_forks(partial(prepare_trainer, folder / "witness"))
    deaths = number = 0
    while deaths < count:
        while len(ahead(root)) < 3:
            shutil.copytree(template, root / f"run-{number}")
            number += 1
        victim = generator.choice(("looker", "trainer", "starter"))
        if victim == "looker":
            status = die(partial(look, root), LOOK, generator)
            assert status in (0, KILLED), status
        else:
            by_clock = generator.random() < 0.5
            if victim == "starter" and not by_clock:
                _dies_at = generator.randint(1, LOOK.touches)
            must_succeed(partial(look, root))
            _dies_at = None
            run, process = trained(root)
            if run is None or process is None:
                continue
            if victim == "trainer":
                time.sleep(generator.uniform(0, training.seconds))
                status = kill_job(process)
            elif by_clock:
                while run.status().state is not State.FINISHED and process.is_alive():
                    time.sleep(0.002)
                time.sleep(generator.uniform(0, LOOK.seconds))
                status = kill_job(process)
            else:
                status = status_of(process.pid)
            assert status in (0, KILLED), (run.path / "jobs" / "resume.log").read_text()
        deaths += say_death(status, victim, root)
    while ahead(root):
        must_succeed(partial(look, root))
        _, process = trained(root)
        if process is not None:
            status_of(process.pid)
    must_succeed(partial(look, root))
    reap()


def ahead(root: Path) -> list[Run]:
    """The runs that are not finished."""
    return [run for run in list_runs(root) if run.status().state is not State.FINISHED]


def look(root: Path) -> None:
    """Do what the app does when it shows the runs, and what its user does: start all that neither
    trains nor waits."""
    advance_queue(root)
    for run in ahead(root):
        found = find_training(run)
        assert found.state not in (State.FAILED, State.DAMAGED), found.message
        if found.state in (State.STOPPED, State.LOST):
            queue_training(run)


def trained(root: Path) -> tuple[Run, ProcessIdentity] | tuple[None, None]:
    """The run in training, and its process."""
    for run in ahead(root):
        status = run.status()
        if run.state_of(status) is State.RUNNING:
            assert status.process is not None
            return run, status.process
    return None, None


def prepare_trainer(log: Path, run: Run) -> None:
    write_all_steps(log, run.id)

    def advance_and_die(root: Path) -> None:
        global _dies_at
        fatal, _dies_at = _dies_at, None  # the next job inherits it
        if fatal is not None:
            die_before_touch(fatal)
        advance_queue(root)

    jobs.advance_queue = advance_and_die


def reap() -> None:
    """Wait for all child processes."""
    with suppress(ChildProcessError):
        while True:
            os.waitpid(-1, 0)


def die_in_evaluations(folder: Path, seed: int, count: int) -> None:
    """Kill evaluations of the run `folder`, by turns with one of two random seeds."""
    global _dies_at
    run, generator = Run(folder), random.Random(seed)
    whole = rehearse(lambda: evaluate(copy_of(folder, "rehearsal"), 0))
    expected: dict[tuple[int, str], str] = {}
    for number in SEEDS:
        copy = copy_of(folder, f"whole-{number}")
        must_succeed(partial(evaluate, copy, number))
        expected |= results(copy)
    use_forks(prepare_evaluation)
    deaths = turn = 0
    while deaths < count:
        victim = generator.choice(("starter", "evaluation", "evaluation"))
        by_clock = generator.random() < 0.5
        start = partial(start_evaluation, run, SEEDS[turn % 2])
        if victim == "starter":
            status = die(start, START, generator)
            assert status in (0, KILLED), status
        else:
            _dies_at = None if by_clock else generator.randint(1, whole.touches)
            must_succeed(start)
            _dies_at = None
            process = job_process(run, "evaluate")
            assert process is not None
            if by_clock:
                time.sleep(generator.uniform(0, whole.seconds))
            status = kill_job(process) if by_clock else status_of(process.pid)
            assert status in (0, KILLED), (run.path / "jobs" / "evaluate.log").read_text()
            turn += status == 0
        deaths += say_death(status, victim, folder)
        found = results(folder)
        assert found.items() <= expected.items()
    reap()
    time.sleep(files._YOUNG_SECONDS)
    for number in SEEDS:
        must_succeed(partial(start_evaluation, run, number))
        reap()
        last = find_job(run, "evaluate")
        assert last is not None
        assert last.state == "finished", last
        assert results(folder) == {key: expected[key] for key in expected if key[0] == number}
    assert not unfinished(folder)


def evaluate(folder: Path, seed: int) -> int:
    return main(["evaluate", str(folder), *QUICK, "--seed", str(seed)])


def start_evaluation(run: Run, seed: int) -> None:
    """Start an evaluation unless there is one, as a page does."""
    found = find_job(run, "evaluate")
    if found is None or found.state != "running":
        start_job(run, "evaluate", [*QUICK, "--seed", str(seed)])


def prepare_evaluation(run: Run) -> None:
    if _dies_at is not None:
        die_before_touch(_dies_at)


def results(folder: Path) -> dict[tuple[int, str], str]:
    """All scores and tables of a run, by seed and name, without their times."""
    found = read_evaluation(Run(folder))
    return {
        (one.seed, one.name): one.model_copy(update={"seconds": 0.0}).model_dump_json()
        for one in (*found.scores, *found.tables)
    }


if __name__ == "__main__":
    how, target, *numbers = sys.argv[1:]
    deaths = {"queue": die_in_the_queue, "evaluation": die_in_evaluations}
    deaths[how](Path(target), *map(int, numbers))
