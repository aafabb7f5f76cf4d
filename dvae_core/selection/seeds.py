"""Runs that differ only in the seed: the variation of a score between seeds."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import hypot, isfinite
from statistics import stdev

from dvae_core.config import apart_from_chance
from dvae_core.errors import RunError
from dvae_core.evaluation.results import ProtocolName, read_evaluation
from dvae_core.runs.run import Run, RunRecord, State
from dvae_core.selection.study import Setting, StudyRun, study_settings


@dataclass(frozen=True)
class SeedScores:
    """Scores of groups of runs; the runs of a group differ only in the seed.

    Attributes:
        runs: by group.
        values: (value, run id) of every run that has the score, by group and score.
    """

    runs: dict[str, list[Run]]
    values: dict[str, dict[str, list[tuple[float, str]]]]

    def ranked(self, group: str, score: str) -> list[Run]:
        """Runs that have the score, in ascending order."""
        by_id = {run.id: run for run in self.runs[group]}
        return [by_id[name] for _, name in sorted(self.values[group].get(score, []))]

    def worst_median_best(self, group: str, score: str) -> list[tuple[str, Run]]:
        """The worst, median (the lower of two) and best run by a score of which higher is better;
        with fewer than three runs only worst and best."""
        ranked = self.ranked(group, score)
        if len(ranked) < 3:
            return list(zip(("worst", "best"), ranked, strict=False))
        return [
            ("worst", ranked[0]),
            ("median", ranked[(len(ranked) - 1) // 2]),
            ("best", ranked[-1]),
        ]

    def spread(self, groups: tuple[str, str], score: str) -> float | None:
        """Twice the standard deviation, over seeds, of the difference between runs of two groups;
        smaller differences are not significant. None if a group has fewer than three runs."""
        deviations = []
        for group in groups:
            values = [value for value, _ in self.values[group].get(score, [])]
            if len(values) < 3:
                return None
            deviations.append(stdev(values))
        return 2 * hypot(*deviations)


def same_but_seed(record: RunRecord, runs: Iterable[StudyRun]) -> list[Run]:
    """The finished runs with the settings of a record, apart from the seed, one for each seed; none
    for an imported model, whose settings are unknown."""
    if record.imported is not None:
        return []
    wanted = apart_from_chance(study_settings(record))
    found: dict[Setting, Run] = {}
    for run in runs:
        if run.state is State.FINISHED and apart_from_chance(run.settings) == wanted:
            found.setdefault(run.settings["seed"], Run(run.path))
    return list(found.values())


def read_seed_scores(groups: Mapping[str, Sequence[Run]], protocol: ProtocolName) -> SeedScores:
    """The scores of groups of runs under a protocol; unreadable runs are left out."""
    readable: dict[str, list[Run]] = {group: [] for group in groups}
    values: dict[str, dict[str, list[tuple[float, str]]]] = {group: {} for group in groups}
    for group, runs in groups.items():
        for run in runs:
            try:
                evaluation = read_evaluation(run)
            except RunError:
                continue
            readable[group].append(run)
            for score in evaluation.scores:
                if score.protocol == protocol and score.value is not None and isfinite(score.value):
                    values[group].setdefault(score.name, []).append((score.value, run.id))
    return SeedScores(readable, values)
