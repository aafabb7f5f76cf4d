"""How well the straight-through gap, which needs no labels, predicts the scores that need them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dvae_core.errors import EvaluationError
from dvae_core.evaluation.catalog import MEANINGS
from dvae_core.selection.correlation import RESAMPLES, RankCorrelation, rank_correlation
from dvae_core.selection.study import (
    GAP,
    LOSS_WEIGHTS,
    Study,
    StudyRun,
    values_of,
    varying_settings,
)

Floats = NDArray[np.float64]

MIN_RUNS = 2


@dataclass(frozen=True)
class Pick:
    """One score of the run that the least gap selects, compared with the other runs.

    Attributes:
        count: runs to choose from.
        picked: score of the run with the least gap; the mean over ties.
        picked_runs: ids of the runs with the least gap.
        best: best score.
        best_runs: ids of the runs with the best score.
        median: median score.
        random: mean score, which is the expected score of a random run.
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
        """Distance of the pick from the best score."""
        return abs(self.best - self.picked)

    @property
    def random_regret(self) -> float:
        """Expected distance of a random run from the best score."""
        return abs(self.best - self.random)


@dataclass(frozen=True)
class ExpectedPicks:
    """Expected score of the run selected among m random runs, by m: the sizes m from 1 to all (M,),
    and selection by the least gap, by the best score (which needs labels) and at random, (M,) each.
    """

    sizes: Floats
    by_gap: Floats
    by_score: Floats
    random: Floats


def pick_by_gap(gaps: Floats, scores: Floats, ids: Sequence[str], better: str) -> Pick:
    """Select the run with the least gap.

    Args:
        gaps: (runs,), nats.
        scores: (runs,).
        ids: (runs,).
        better: whether "higher" or "lower" scores are better.

    Raises:
        EvaluationError: there are fewer than two runs.
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
    """Mean score of the run selected among m runs, over all subsets of size m, for every m.

    Exact: the r-th of n runs in order of preference is selected from comb(n - r, m - 1) of the
    comb(n, m) subsets. Ties are selected with equal probability. Arguments and errors as in
    `pick_by_gap`.
    """
    _check_choice(gaps)
    count = len(gaps)
    sizes = np.arange(1, count + 1)
    # P(rank r + 1) = P(rank r) (n - r - m + 1) / (n - r), starting from m / n.
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
        group: label of the group.
        score: name of the score.
        correlation: rho and interval, or the reason why they are undefined.
        pooled: settings in which the runs of the group differ.
    """

    group: str
    score: str
    correlation: RankCorrelation
    pooled: tuple[str, ...]


@dataclass(frozen=True)
class GapPick:
    """Selection by the gap in one group of runs.

    Attributes:
        group: label of the group.
        score: name of the score.
        pick: the selection, or None.
        undefined: the reason if `pick` is None.
    """

    group: str
    score: str
    pick: Pick | None
    undefined: str = ""


def gap_groups(study: Study, by: Sequence[str], gap: str) -> dict[str, list[StudyRun]]:
    """Groups of runs within which a gap is comparable, of the runs that have it.

    The whole gap contains the weighted terms of the objective and is comparable only between runs
    with the same weights; the gap of the reconstruction is comparable between all runs.
    """
    if gap == GAP:
        weights = [name for name in LOSS_WEIGHTS if name in study.varying]
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
        gap: name of the whole gap or of the gap of the reconstruction.
        seed: of the bootstrap.
        resamples: per interval.
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
    """The run that the gap selects in each group, compared with the others in each score.

    Args:
        study: the runs.
        by: settings to group by.
        gap: name of the whole gap or of the gap of the reconstruction.
        scores: names; scores without a better direction are left out.
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
