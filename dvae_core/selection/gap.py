"""How well the straight-through gap, which needs no labels, tells how runs score with labels."""

from collections.abc import Sequence
from dataclasses import dataclass

from dvae_core.errors import EvaluationError
from dvae_core.evaluation.meanings import MEANINGS
from dvae_core.selection.correlation import RESAMPLES, RankCorrelation, rank_correlation
from dvae_core.selection.pick import Pick, pick_by_gap
from dvae_core.selection.study import (
    GAP,
    OBJECTIVE_WEIGHTS,
    Study,
    StudyRun,
    values_of,
    varying_settings,
)


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
