"""One call of a sweep: the folder held, the engine made and checked, the missing work done."""

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from dvae_core.data.listing import dataset_info
from dvae_core.errors import ConfigError, DataError, RunError
from dvae_core.progress import ShouldStop, never
from dvae_core.sweep.engine import Engine, Outcome, SweepProgress, run_tasks
from dvae_core.sweep.local import LocalEngine
from dvae_core.sweep.options import EngineOptions
from dvae_core.sweep.plan import Sweep
from dvae_core.sweep.survey import Survey, Task


@dataclass(frozen=True)
class SweepReport:
    """A sweep before and after one call.

    Attributes:
        sweep: what was asked for.
        output: folder of the runs.
        before: where it stood.
        after: where it stands.
        outcomes: of the runs that were worked on to an end.
    """

    sweep: Sweep
    output: Path
    before: Survey
    after: Survey
    outcomes: list[Outcome]

    @property
    def failures(self) -> dict[str, str]:
        """Reasons by run id: what failed now, and what diverged before and was not tried again."""
        now = {outcome.run_id: outcome.reason for outcome in self.outcomes if outcome.reason}
        return {**self.after.failed, **now}

    def lines(self) -> Iterator[str]:
        """For a reader: the failures, and how much is there."""
        for run_id, reason in self.failures.items():
            yield f"failed: {run_id}: {reason}"
        yield f"{len(self.after.complete):,} of {len(self.sweep.runs):,} runs are complete"
        if self.after.failed:
            yield "those that diverged are tried again with --retry-failed"
        if self.after.tasks:
            yield "repeat the command to do what is missing"

    def to_json(self) -> dict[str, Any]:
        """For a program."""
        before = set(self.before.complete)
        return {
            "sweep": str(self.sweep.path),
            "output": str(self.output),
            "runs": len(self.sweep.runs),
            "complete": len(self.after.complete),
            "done_now": [run_id for run_id in self.after.complete if run_id not in before],
            "missing": [task.run.id for task in self.after.tasks],
            "failed": self.failures,
        }


# More runs than this are hardly ever meant.
ASK_ABOVE = 1_000


def check_count(count: int, yes: bool) -> None:
    """Ask before very many runs are made.

    Raises:
        ConfigError: they are not meant, or there is nobody to ask.
    """
    if count <= ASK_ABOVE or yes:
        return
    if sys.stdin.isatty() and input(f"Make {count:,} runs? [y/N] ").strip().lower() == "y":
        return
    raise ConfigError(f"that would be {count:,} runs: add --yes if they are meant")


def do_tasks(
    tasks: Sequence[Task],
    output: Path,
    options: EngineOptions,
    on_progress: Callable[[SweepProgress], None] = lambda progress: None,
    should_stop: ShouldStop = never,
) -> list[Outcome]:
    """Do what a sweep lacks; see `work_off`.

    Raises:
        RunError: another sweep works in the folder.
        ConfigError: the machine or the cluster cannot do the work. Nothing was started then.
        DataError: a data set cannot be loaded.
    """
    with _engine(tasks, options) as engine, _held(output):
        return run_tasks(tasks, engine, on_progress, should_stop)


@contextlib.contextmanager
def _engine(tasks: Sequence[Task], options: EngineOptions) -> Iterator[Engine]:
    if options.engine == "local":
        engine = LocalEngine(options.workers, options.gpus, options.runs_per_gpu)
        engine.check_devices(tasks)
        _check_datasets(tasks)
        yield engine
        return
    from dvae_core.sweep.ray import check_nodes, connected

    with connected(options.address):
        check_nodes(tasks)
        from dvae_core.sweep.ray import RayEngine

        yield RayEngine(options.workers, options.runs_per_gpu)


@contextlib.contextmanager
def _held(output: Path) -> Iterator[None]:
    output.mkdir(parents=True, exist_ok=True)
    lock = FileLock(output / ".sweep.lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise RunError(f"{output} is held by another sweep: wait for it, or stop it") from None
    try:
        yield
    finally:
        lock.release()


def _check_datasets(tasks: Sequence[Task]) -> None:
    for name in {task.config.dataset for task in tasks}:
        info = dataset_info(name)
        if info.state != "ready":
            raise DataError(f"data set {name} is not here: {info.detail}")
