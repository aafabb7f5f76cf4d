"""The command `sweep`."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from dvae_core.commands.output import print_json
from dvae_core.sweep.session import EngineOptions
from dvae_core.system.processes import INTERRUPTED, interruptions

if TYPE_CHECKING:  # else the command line waits for what it may not need
    from dvae_core.sweep.engine import Outcome, Progress

DEFAULT_ENGINE = EngineOptions()


def sweep(
    file: tyro.conf.Positional[Path],
    output: Path | None = None,
    options: EngineOptions = DEFAULT_ENGINE,
    set: tuple[str, ...] = (),
    retry_failed: bool = False,
    plan: bool = False,
    yes: bool = False,
    json: bool = False,
) -> Callable[[], int]:
    """Make all runs of a sweep file that are not there yet, and measure them.

    Args:
        file: .toml or .json, as docs/sweeps.md describes it.
        output: folder of the runs; by default one among your runs, called as the file.
        set: KEY=VALUE, settings fixed whatever the file says of them.
        retry_failed: try runs again whose training diverged.
        plan: say what would be done, and do nothing.
        yes: do it even where it is more than 1,000 runs.
        json: print one JSON object as the last line.
    """
    return lambda: _sweep(file, output, options, set, retry_failed, plan, yes, json)


def _sweep(
    file: Path,
    output: Path | None,
    options: EngineOptions,
    assignments: tuple[str, ...],
    retry_failed: bool,
    only_plan: bool,
    yes: bool,
    json: bool,
) -> int:
    from dvae_core.runs.catalog import own_root
    from dvae_core.sweep.plan import parse_overrides, read_sweep
    from dvae_core.sweep.session import SweepReport, check_count, do_tasks
    from dvae_core.sweep.survey import survey

    asked = read_sweep(file, parse_overrides(assignments))
    output = output or own_root() / file.stem
    before = survey(asked, output, retry_failed)
    print(f"{file}: {before.in_words()}, in {output}")
    outcomes: list[Outcome] = []
    interrupted: list[int] = []
    if before.tasks and not only_plan:
        check_count(len(before.tasks), yes)
        with interruptions() as interrupted, _progress_shown(len(before.tasks)) as show:
            outcomes = do_tasks(before.tasks, output, options, show, lambda: bool(interrupted))
    report = SweepReport(asked, output, before, survey(asked, output, retry_failed), outcomes)
    for line in report.lines():
        print(line)
    print_json(report.to_json(), json)
    if interrupted:
        return INTERRUPTED
    return 1 if report.failures else 0


@contextmanager
def _progress_shown(count: int) -> Iterator[Callable[["Progress"], None]]:
    """A line for each run that ends, and a bar with the time left."""
    from tqdm import tqdm

    with tqdm(unit="step", unit_scale=True, disable=None) as bar:
        shown = 0

        def show(progress: "Progress") -> None:
            nonlocal shown
            if bar.total is None:
                bar.total, bar.initial, bar.n = progress.total_steps, progress.steps, progress.steps
            bar.set_description_str(f"{len(progress.outcomes)} of {count} runs", refresh=False)
            bar.update(progress.steps - bar.n)
            for outcome in progress.outcomes[shown:]:
                shown += 1
                how = f"failed: {outcome.reason}" if outcome.reason else "done"
                tqdm.write(f"{shown} of {count}: {outcome.run_id}: {how}")

        yield show
