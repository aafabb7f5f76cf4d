"""Trends over a setting: median and range of a number over the runs at each value."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from dvae_core.selection.study import Study, StudyRun


@dataclass(frozen=True)
class Summary:
    """Count, median and range of the numbers of several runs."""

    count: int
    median: float
    low: float
    high: float


@dataclass(frozen=True)
class Trend:
    """A number of one group of runs over a setting: the group's label, the ascending values of the
    setting (V,), and a summary for each."""

    group: str
    values: tuple[float, ...]
    summaries: tuple[Summary, ...]


def summarize(numbers: Sequence[float]) -> Summary:
    """Count, median and range of at least one number."""
    return Summary(len(numbers), median(numbers), min(numbers), max(numbers))


def numeric_settings(study: Study) -> tuple[str, ...]:
    """Varying numeric settings except the seed."""
    return tuple(
        name
        for name in study.varying
        if name != "seed"
        and all(isinstance(run.settings.get(name), int | float | None) for run in study.runs)
        and not any(isinstance(run.settings.get(name), bool) for run in study.runs)
    )


def trends(
    study: Study,
    by: Sequence[str],
    setting: str,
    number: Callable[[StudyRun], float | None],
) -> list[Trend]:
    """Trend of a number of the runs over a numeric setting, in every group that has both.

    Runs whose number is None are left out; groups ignore the setting itself.
    """
    found = []
    for group, runs in study.groups([name for name in by if name != setting]).items():
        at: dict[float, list[float]] = {}
        for run in runs:
            value, measured = run.settings.get(setting), number(run)
            if isinstance(value, int | float) and measured is not None:
                at.setdefault(float(value), []).append(measured)
        if at:
            values = tuple(sorted(at))
            found.append(Trend(group, values, tuple(summarize(at[value]) for value in values)))
    return found
