"""Criteria that select a run without labels, compared on the same runs."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dvae_core.errors import EvaluationError
from dvae_core.evaluation.catalog import MEANINGS
from dvae_core.evaluation.results import ProtocolName
from dvae_core.selection.correlation import RESAMPLES, RankCorrelation, rank_correlation
from dvae_core.selection.gap import Pick, gap_groups, pick_by_gap
from dvae_core.selection.study import Study, StudyRun, values_of

OTHER_CRITERIA = {
    "reconstruction": "lowest reconstruction loss",
    "kl": "lowest KL",
    "udr": "highest UDR",
}
"""Scores that need no labels, and what they select."""


@dataclass(frozen=True)
class CriterionResult:
    """How well one criterion selects in one group of runs.

    Attributes:
        group: label of the group.
        criterion: what it selects, in words.
        correlation: rank correlation of the preference with the score: 1 if the criterion orders
            the runs as the score does.
        pick: the selection, or None.
        undefined: the reason if `pick` is None.
    """

    group: str
    criterion: str
    correlation: RankCorrelation
    pick: Pick | None
    undefined: str = ""


def compare_criteria(
    study: Study,
    by: Sequence[str],
    gap: str,
    score: str,
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> list[CriterionResult]:
    """The gap and the other criteria against a score, in every group.

    All criteria choose among the same runs: those that have the score and every criterion that most
    runs of the group have. The score itself is no criterion.

    Args:
        study: the runs.
        by: settings to group by.
        gap: name of the whole gap or of the gap of the reconstruction.
        score: name; it needs a better direction.
        seed: of the bootstrap.
        resamples: per interval.

    Raises:
        EvaluationError: the score has no better direction.
    """
    if not MEANINGS[score].better:
        raise EvaluationError(f"{score} has no better direction: choose another score")
    found = []
    for group, runs in gap_groups(study, by, gap).items():
        others = [
            name
            for name in OTHER_CRITERIA
            if name != score and _most_have(runs, name, study.protocol)
        ]
        found += _compared(
            group, runs, [gap, *others], score, study.protocol, seed=seed, resamples=resamples
        )
    return found


def _most_have(runs: Sequence[StudyRun], name: str, protocol: ProtocolName) -> bool:
    return sum(run.score(name, protocol) is not None for run in runs) > len(runs) / 2


def _compared(
    group: str,
    runs: Sequence[StudyRun],
    criteria: Sequence[str],
    score: str,
    protocol: ProtocolName,
    *,
    seed: int,
    resamples: int,
) -> list[CriterionResult]:
    complete, values = values_of(runs, [score, *criteria], protocol)
    ids = [run.id for run in complete]
    better = MEANINGS[score].better
    goodness = values[:, 0] if better == "higher" else -values[:, 0]
    results = []
    for column, name in enumerate(criteria, start=1):
        # The least cost is selected.
        cost = -values[:, column] if MEANINGS[name].better == "higher" else values[:, column]
        correlation = rank_correlation(-cost, goodness, seed=seed, resamples=resamples)
        pick, reason = None, ""
        try:
            pick = pick_by_gap(np.asarray(cost), values[:, 0], ids, better)
        except EvaluationError as error:
            reason = str(error)
        label = OTHER_CRITERIA.get(name, "smallest gap")
        results.append(CriterionResult(group, label, correlation, pick, reason))
    return results
