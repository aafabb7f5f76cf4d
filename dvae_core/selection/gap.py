"""How well the straight-through gap, which needs no labels, tells how runs score with labels."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dvae_core.errors import EvaluationError
from dvae_core.evaluation.catalog import MEANINGS
from dvae_core.selection.correlation import RESAMPLES, RankCorrelation, rank_correlation
from dvae_core.selection.study import (
    GAP,
    OBJECTIVE_WEIGHTS,
    Study,
    StudyRun,
    values_of,
    varying_settings,
)

Floats = NDArray[np.float64]

MIN_RUNS = 2


@dataclass(frozen=True)
class Pick:
    """What a selection by the least gap is worth in one score.

    Attributes:
        count: runs to choose from.
        picked: score of the run with the least gap; the mean over runs that share it.
        picked_runs: ids of the runs with the least gap.
        best: best score.
        best_runs: ids of the runs that have it.
        median: median score.
        random: expected score of a run drawn uniformly, the mean.
    """

    count: int
    picked: float
    picked_runs: tuple[str, ...]
    best: float
    best_runs: tuple[str, ...]
    median: float
    random: float

    @property
    def regret(self) -> float:
        """What the pick falls short of the best."""
        return abs(self.best - self.picked)

    @property
    def random_regret(self) -> float:
        """What a random run falls short of the best, on average."""
        return abs(self.best - self.random)


@dataclass(frozen=True)
class ExpectedPicks:
    """Expected score of one run chosen among several, for each number of them.

    Attributes:
        sizes: how many runs there are to choose from, 1 to all, (M,).
        by_gap: choosing the least gap, (M,).
        by_score: choosing the best score, which needs the labels, (M,).
        random: choosing any, (M,).
    """

    sizes: Floats
    by_gap: Floats
    by_score: Floats
    random: Floats


def pick_by_gap(gaps: Floats, scores: Floats, ids: Sequence[str], better: str) -> Pick:
    """Choose the run of the least gap, and say what that is worth.

    Args:
        gaps: (runs,), nats.
        scores: (runs,).
        ids: (runs,).
        better: "higher" or "lower" scores.

    Raises:
        EvaluationError: there are fewer than two runs, and so nothing to choose from.
    """
    _check_choice(gaps)
    best = scores.max() if better == "higher" else scores.min()
    picked = gaps == gaps.min()
    return Pick(
        count=len(gaps),
        picked=float(scores[picked].mean()),
        picked_runs=_named(ids, picked),
        best=float(best),
        best_runs=_named(ids, scores == best),
        median=float(np.median(scores)),
        random=float(scores.mean()),
    )


def expected_picks(gaps: Floats, scores: Floats, better: str) -> ExpectedPicks:
    """What choosing among m of these runs gives on average, over all sets of m, for every m.

    Exact: among n runs in order of preference, the r-th is chosen from comb(n - r, m - 1) of the
    comb(n, m) sets. Runs of equal gap are chosen with equal chance.

    Args:
        gaps: (runs,), nats.
        scores: (runs,).
        better: "higher" or "lower" scores.

    Raises:
        EvaluationError: there are fewer than two runs.
    """
    _check_choice(gaps)
    count = len(gaps)
    sizes = np.arange(1, count + 1)
    # The chance of rank r + 1 is that of rank r times (n - r - m + 1) / (n - r), from m / n on.
    ranks = np.arange(1, count)
    ratios = np.clip((count - ranks - sizes[:, None] + 1) / (count - ranks), 0, None)
    probabilities = np.cumprod(np.column_stack([sizes / count, ratios]), axis=1)  # (M, runs)
    ordered = scores[np.argsort(gaps, kind="stable")]
    _, place, sharing = np.unique(np.sort(gaps), return_inverse=True, return_counts=True)
    shared = np.bincount(place, ordered) / sharing
    ranked = np.sort(scores)[::-1] if better == "higher" else np.sort(scores)
    return ExpectedPicks(
        sizes=sizes.astype(float),
        by_gap=probabilities @ shared[place],
        by_score=probabilities @ ranked,
        random=np.full(count, scores.mean()),
    )


def _check_choice(gaps: Floats) -> None:
    if len(gaps) < MIN_RUNS:
        raise EvaluationError(f"{len(gaps)} of at least {MIN_RUNS} runs: there is no choice")


def _named(ids: Sequence[str], chosen: NDArray[np.bool_]) -> tuple[str, ...]:
    return tuple(run_id for run_id, is_chosen in zip(ids, chosen, strict=True) if is_chosen)


@dataclass(frozen=True)
class GapCorrelation:
    """Rank correlation of the gap with one score in one group of runs.

    Attributes:
        group: in words.
        score: its name.
        correlation: rho and interval, or why there is none.
        pooled: settings in which the runs of the group differ.
    """

    group: str
    score: str
    correlation: RankCorrelation
    pooled: tuple[str, ...]


@dataclass(frozen=True)
class GapPick:
    """What choosing by the gap is worth in one group of runs.

    Attributes:
        group: in words.
        score: its name.
        pick: the choice, or None.
        undefined: why `pick` is None.
    """

    group: str
    score: str
    pick: Pick | None
    undefined: str = ""


def gap_groups(study: Study, by: Sequence[str], gap: str) -> dict[str, list[StudyRun]]:
    """Groups within which a gap compares, of the runs that have it.

    The whole gap contains the weighted terms of the objective, so that it compares between runs of
    the same weights only; the reconstruction part compares between all.

    Args:
        study: the runs.
        by: settings to group by.
        gap: which of the two.
    """
    if gap == GAP:
        weights = [name for name in OBJECTIVE_WEIGHTS if name in study.varying]
        by = [*by, *(name for name in weights if name not in by)]
    groups = {
        name: [run for run in runs if run.score(gap, study.protocol) is not None]
        for name, runs in study.groups(by).items()
    }
    return {name: runs for name, runs in groups.items() if runs}


def gap_correlations(
    study: Study, by: Sequence[str], gap: str, *, seed: int = 0, resamples: int = RESAMPLES
) -> list[GapCorrelation]:
    """Rank correlation of a gap with every score of the study, in every group.

    Args:
        study: the runs.
        by: settings to group by.
        gap: which of the two.
        seed: of the bootstrap.
        resamples: of each interval.
    """
    found = []
    for group, runs in gap_groups(study, by, gap).items():
        for score in study.score_names:
            complete, values = values_of(runs, (gap, score), study.protocol)
            correlation = rank_correlation(
                values[:, 0], values[:, 1], seed=seed, resamples=resamples
            )
            found.append(GapCorrelation(group, score, correlation, varying_settings(complete)))
    return found


def gap_picks(study: Study, by: Sequence[str], gap: str, scores: Sequence[str]) -> list[GapPick]:
    """The run that the gap picks in each group, and what it is worth in each score.

    Args:
        study: the runs.
        by: settings to group by.
        gap: which of the two.
        scores: those with a better direction; the others are left out.
    """
    found = []
    for group, runs in gap_groups(study, by, gap).items():
        for score in scores:
            if not MEANINGS[score].better:
                continue
            complete, values = values_of(runs, (gap, score), study.protocol)
            ids = [run.id for run in complete]
            try:
                pick = pick_by_gap(values[:, 0], values[:, 1], ids, MEANINGS[score].better)
                found.append(GapPick(group, score, pick))
            except EvaluationError as error:
                found.append(GapPick(group, score, None, str(error)))
    return found
