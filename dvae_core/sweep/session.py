"""Run a sweep: lock its folder, make and check the engine, run the missing tasks."""

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
from dvae_core.runs.run import check_outside_runs
from dvae_core.sweep.engine import Engine, Outcome, SweepProgress, run_tasks
from dvae_core.sweep.local import LocalEngine
from dvae_core.sweep.options import EngineOptions
from dvae_core.sweep.plan import Sweep
from dvae_core.sweep.survey import Survey, Task


@dataclass(frozen=True)
class SweepReport:
    """A sweep before and after one call.

    Attributes:
        sweep: the sweep.
        output: folder of the runs.
        before: survey before the call.
        after: survey after the call.
        outcomes: of the tasks that ended by themselves.
    """

    sweep: Sweep
    output: Path
    before: Survey
    after: Survey
    outcomes: list[Outcome]

    @property
    def failures(self) -> dict[str, str]:
        """Reasons by run id, of failures now and of earlier divergence without a new attempt."""
        now = {outcome.run_id: outcome.reason for outcome in self.outcomes if outcome.reason}
        return {**self.after.failed, **now}

    def lines(self) -> Iterator[str]:
        """Lines of text for the terminal."""
        for run_id, reason in self.failures.items():
            yield f"failed: {run_id}: {reason}"
        yield f"{len(self.after.complete):,} of {len(self.sweep.runs):,} runs are complete"
        if self.after.failed:
            yield "retry those that diverged with --retry-failed"
        if self.after.missing:
            yield "repeat the command to complete the others"

    def to_json(self) -> dict[str, Any]:
        """The report as JSON."""
        before = set(self.before.complete)
        return {
            "sweep": str(self.sweep.path),
            "output": str(self.output),
            "runs": len(self.sweep.runs),
            "complete": len(self.after.complete),
            "done_now": [run_id for run_id in self.after.complete if run_id not in before],
            "missing": list(self.after.missing),
            "failed": self.failures,
        }


# More runs than this are rarely intended.
ASK_ABOVE = 1_000


def check_count(count: int, yes: bool) -> None:
    """Ask for confirmation of a very large sweep.

    Raises:
        ConfigError: the answer is no, or there is no terminal.
    """
    if count <= ASK_ABOVE or yes:
        return
    if sys.stdin.isatty() and input(f"Make {count:,} runs? [y/N] ").strip().lower() == "y":
        return
    raise ConfigError(f"the sweep has {count:,} runs: add --yes to confirm")


def do_tasks(
    tasks: Sequence[Task],
    output: Path,
    options: EngineOptions,
    on_progress: Callable[[SweepProgress], None] = lambda progress: None,
    should_stop: ShouldStop = never,
) -> list[Outcome]:
    """Run tasks of a sweep with `run_tasks`.

    Raises:
        RunError: another sweep is using the folder.
        ConfigError: the machine or the cluster cannot run the tasks; none was started.
        DataError: a data set cannot be loaded.
    """
    with _engine(tasks, options) as engine, _held(output):
        return run_tasks(tasks, engine, on_progress, should_stop)


@contextlib.contextmanager
def _engine(tasks: Sequence[Task], options: EngineOptions) -> Iterator[Engine]:
    if options.engine == "local":
        engine = LocalEngine(options.workers, options.gpus, options.runs_per_gpu)
        engine.check_devices(tasks)
        for name in {task.config.dataset for task in tasks}:
            info = dataset_info(name)
            if info.state != "ready":
                raise DataError(f"data set {name} is not available: {info.detail}")
        yield engine
        return
    try:
        from dvae_core.sweep.ray import RayEngine, check_nodes, connected
    except ImportError:
        raise ConfigError(
            "--engine ray needs Ray, which is not installed: pip install ray, or use this machine "
            "with --engine local"
        ) from None
    with connected(options.address):
        check_nodes(tasks)
        yield RayEngine(options.workers, options.runs_per_gpu)


@contextlib.contextmanager
def _held(output: Path) -> Iterator[None]:
    check_outside_runs(output / "run")
    output.mkdir(parents=True, exist_ok=True)
    lock = FileLock(output / ".sweep.lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise RunError(f"{output} is in use by another sweep: wait for it, or stop it") from None
    try:
        yield
    finally:
        lock.release()
