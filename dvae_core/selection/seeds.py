"""Several runs of each family: the variation of a score between seeds."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import hypot, isfinite
from statistics import stdev

from dvae_core.config import FAMILIES
from dvae_core.errors import RunError
from dvae_core.evaluation.results import ProtocolName, read_evaluation
from dvae_core.runs.run import Run


@dataclass(frozen=True)
class SeedScores:
    """Scores of many runs.

    Attributes:
        runs: by family, Gaussian first.
        values: (value, run id) of every run that has the score, by family and score.
    """

    runs: dict[str, list[Run]]
    values: dict[str, dict[str, list[tuple[float, str]]]]

    def ranked(self, family: str, score: str) -> list[Run]:
        """Runs that have the score, in ascending order."""
        by_id = {run.id: run for run in self.runs[family]}
        return [by_id[name] for _, name in sorted(self.values[family].get(score, []))]

    def worst_median_best(self, family: str, score: str) -> list[tuple[str, Run]]:
        """The worst, median (the lower of two) and best run by a score of which higher is better;
        with fewer than three runs only worst and best."""
        ranked = self.ranked(family, score)
        if len(ranked) < 3:
            return list(zip(("worst", "best"), ranked, strict=False))
        return [
            ("worst", ranked[0]),
            ("median", ranked[(len(ranked) - 1) // 2]),
            ("best", ranked[-1]),
        ]

    def spread(self, families: tuple[str, str], score: str) -> float | None:
        """Twice the standard deviation, over seeds, of the difference between runs of two families;
        smaller differences are not significant. None if a family has fewer than three runs."""
        deviations = []
        for family in families:
            values = [value for value, _ in self.values[family].get(score, [])]
            if len(values) < 3:
                return None
            deviations.append(stdev(values))
        return 2 * hypot(*deviations)


def read_seed_scores(runs: Sequence[Run], protocol: ProtocolName) -> SeedScores:
    """The scores of runs under a protocol; unreadable runs are left out."""
    families = sorted(FAMILIES, key=lambda name: FAMILIES[name].has_categories)
    by_family: dict[str, list[Run]] = {family: [] for family in families}
    values: dict[str, dict[str, list[tuple[float, str]]]] = {family: {} for family in families}
    for run in runs:
        try:
            family, evaluation = run.record.latents, read_evaluation(run)
        except RunError:
            continue
        by_family[family].append(run)
        for score in evaluation.scores:
            if score.protocol == protocol and score.value is not None and isfinite(score.value):
                values[family].setdefault(score.name, []).append((score.value, run.id))
    return SeedScores(by_family, values)
