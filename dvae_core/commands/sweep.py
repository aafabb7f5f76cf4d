"""The command `sweep`."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm
from tyro.conf import Positional

from dvae_core.commands.command import Command
from dvae_core.commands.output import say
from dvae_core.config import OneLineErrors
from dvae_core.errors import printable
from dvae_core.sweep.options import EngineOptions
from dvae_core.system.processes import INTERRUPTED, interruptions

if TYPE_CHECKING:
    from dvae_core.sweep.engine import Outcome, SweepProgress
    from dvae_core.sweep.survey import Task


class _Options(OneLineErrors, EngineOptions):
    pass


@dataclass(frozen=True)
class Sweep(Command):
    """Train and evaluate the runs of a sweep file that are not complete yet.

    Attributes:
        file: .toml or .json file; docs/sweeps.md describes the format
        engine: Where the runs are trained, and how many at the same time.
        output: folder for the runs; default: a folder among your runs, named after the file
        set: KEY=VALUE pairs of settings that override the file
        retry_failed: train runs again that diverged
        plan: show what would be done, and do nothing
        yes: start more than 1,000 runs without asking
    """

    file: Positional[Path]
    engine: _Options
    output: Path | None = None
    set: tuple[str, ...] = ()
    retry_failed: bool = False
    plan: bool = False
    yes: bool = False

    def run(self) -> int:
        from dvae_core.runs.catalog import own_root
        from dvae_core.sweep.plan import parse_overrides, read_sweep
        from dvae_core.sweep.session import SweepReport, check_count, do_tasks
        from dvae_core.sweep.survey import survey

        asked = read_sweep(self.file, parse_overrides(self.set))
        output = self.output or own_root() / self.file.stem
        before = survey(asked, output, self.retry_failed)
        say(f"{self.file}: {before.in_words()}, in {output}")
        outcomes: list[Outcome] = []
        interrupted: list[int] = []

        def do(tasks: "Sequence[Task]", engine: EngineOptions) -> None:
            if tasks and not interrupted:
                with _progress_bar(len(tasks)) as show:
                    outcomes.extend(
                        do_tasks(tasks, output, engine, show, lambda: bool(interrupted))
                    )

        after = before
        if before.missing and not self.plan:
            check_count(len(before.missing), self.yes)
            with interruptions() as interrupted:
                do(before.tasks, self.engine)
                finished = survey(asked, output, self.retry_failed)
                do(finished.comparisons, self.engine.on_this_machine)
            after = survey(asked, output, self.retry_failed)
        report = SweepReport(asked, output, before, after, outcomes)
        for line in report.lines():
            say(line)
        self.print_json(report.to_json())
        if interrupted:
            return INTERRUPTED
        return 1 if report.failures else 0


@contextmanager
def _progress_bar(count: int) -> Iterator[Callable[["SweepProgress"], None]]:
    """Print a line for each run that ends, and show a bar with the time left."""
    with tqdm(unit="step", unit_scale=True, disable=None) as bar:
        shown = 0

        def show(progress: "SweepProgress") -> None:
            nonlocal shown
            if bar.total is None:
                bar.total, bar.initial, bar.n = progress.total_steps, progress.steps, progress.steps
            bar.set_description_str(f"{len(progress.outcomes)} of {count} runs", refresh=False)
            bar.update(progress.steps - bar.n)
            for outcome in progress.outcomes[shown:]:
                shown += 1
                how = f"failed: {outcome.reason}" if outcome.reason else "done"
                tqdm.write(printable(f"{shown} of {count}: {outcome.run_id}: {how}", None))

        yield show
