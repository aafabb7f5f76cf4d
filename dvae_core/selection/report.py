"""The tables of a study: all runs, the gap's rank correlations, and the gap's picks."""

from collections.abc import Sequence

from dvae_core.errors import ConfigError
from dvae_core.evaluation.catalog import MEANINGS
from dvae_core.selection.correlation import MIN_RUNS_FOR_INTERVAL, RESAMPLES
from dvae_core.selection.criteria import compare_criteria
from dvae_core.selection.gap import gap_correlations, gap_picks
from dvae_core.selection.study import COSTS, GAP, RECONSTRUCTION_GAP, SETTINGS, Study
from dvae_core.selection.tables import Cell, Sheet

_GROUP_COLUMNS = ("group", "score", "better", "runs")
GAP_LABELS = {GAP: "whole loss", RECONSTRUCTION_GAP: "reconstruction alone"}


def settings_named(names: str) -> tuple[str, ...]:
    """Settings from comma-separated names.

    Raises:
        ConfigError: a setting is unknown.
    """
    wanted = tuple(name.strip() for name in names.split(",") if name.strip())
    for name in wanted:
        if name not in SETTINGS:
            raise ConfigError(
                f"runs have no setting {name[:40]!r} to group by: choose from {', '.join(SETTINGS)}"
            )
    return wanted


def study_sheets(study: Study, by: Sequence[str], gap: str, *, seed: int = 0) -> list[Sheet]:
    """All three tables."""
    return [
        runs_sheet(study),
        correlations_sheet(study, by, gap, seed=seed),
        picks_sheet(study, by, gap),
    ]


def runs_sheet(study: Study) -> Sheet:
    """All runs: scores, varying settings, state, cost, and the reason for exclusion."""
    settings = study.varying
    scores = [*study.score_names, *study.gap_names]
    columns = (
        "run",
        *(f"{MEANINGS[name].label} ({study.protocol})" for name in scores),
        *settings,
        "state",
        "steps done",
        "seconds",
        *(label for label, _ in COSTS.values()),
        "not in the statistics because",
    )
    rows = tuple(
        (
            run.id,
            *(run.score(name, study.protocol) for name in scores),
            *(run.settings.get(name) for name in settings),
            str(run.state),
            run.step,
            round(run.seconds, 1),
            *(number(run) for _, number in COSTS.values()),
            run.left_out(study.protocol),
        )
        for run in study.runs
    )
    caption = (
        f"Runs, scores of the protocol {study.protocol}. "
        f"{len(study.counted)} of {len(study.runs)} are in the statistics."
    )
    return Sheet("runs", caption, columns, rows)


def correlations_sheet(
    study: Study, by: Sequence[str], gap: str, *, seed: int = 0, resamples: int = RESAMPLES
) -> Sheet:
    """Spearman's rho of the gap with every score, by group."""
    rows: list[tuple[Cell, ...]] = []
    for found in gap_correlations(study, by, gap, seed=seed, resamples=resamples):
        meaning, rho = MEANINGS[found.score], found.correlation
        head = (found.group, meaning.label, meaning.better, rho.count)
        numbers = (rho.value, rho.low, rho.high, rho.resamples)
        rows.append((*head, *numbers, ", ".join(found.pooled), rho.undefined))
    caption = (
        f"Spearman's rank correlation of the straight-through gap ({GAP_LABELS[gap]}) with the "
        f"scores of the protocol {study.protocol}, with percentile bootstrap intervals of 95 % "
        f"from {resamples:,} resamples of the runs, seed {seed}. Ties share their mean rank; "
        f"resamples in which all values are the same are left out; fewer than "
        f"{MIN_RUNS_FOR_INTERVAL} runs have no interval."
    )
    columns = (*_GROUP_COLUMNS, "rho", "low", "high", "resamples", "pooled over", "remark")
    return Sheet("correlations", caption, columns, tuple(rows))


def picks_sheet(study: Study, by: Sequence[str], gap: str) -> Sheet:
    """The run that the gap picks, compared with the best, the median and a random run."""
    rows: list[tuple[Cell, ...]] = []
    for found in gap_picks(study, by, gap, study.score_names):
        head = (found.group, MEANINGS[found.score].label, MEANINGS[found.score].better)
        pick = found.pick
        if pick is None:
            rows.append((*head, *[None] * 9, found.undefined))
        else:
            picked = (" ".join(pick.picked_runs), pick.picked)
            best = (" ".join(pick.best_runs), pick.best)
            others = (pick.median, pick.random, pick.regret, pick.random_regret)
            rows.append((*head, pick.count, *picked, *best, *others, ""))
    caption = (
        f"The run with the least straight-through gap ({GAP_LABELS[gap]}) against the best, the "
        f"median and a random one (expected value), scores of the protocol {study.protocol}. "
        f"The regret is the distance from the best."
    )
    scores = ("picked run", "picked", "best run", "best", "median", "random")
    columns = (*_GROUP_COLUMNS, *scores, "regret", "regret of random", "remark")
    return Sheet("picks", caption, columns, tuple(rows))


def criteria_sheet(study: Study, by: Sequence[str], gap: str, score: str) -> Sheet:
    """What each criterion without labels would pick, and how well it orders the runs."""
    rows: list[tuple[Cell, ...]] = []
    for found in compare_criteria(study, by, gap, score):
        rho, pick = found.correlation, found.pick
        head = (found.group, found.criterion, rho.count, rho.value, rho.low, rho.high)
        if pick is None:
            rows.append((*head, *[None] * 5, found.undefined))
        else:
            picked = (" ".join(pick.picked_runs), pick.picked, pick.best)
            rows.append((*head, *picked, pick.regret, pick.random_regret, rho.undefined))
    caption = (
        f"Criteria that need no labels, judged by {MEANINGS[score].label} of the protocol "
        f"{study.protocol}. rho is the rank correlation of the criterion's preference with the "
        f"score: 1 if it orders the runs as the score does, with bootstrap intervals of 95 %. The "
        f"regret is the distance of the picked run from the best. UDR needs other seeds: "
        f"python -m dvae_core evaluate RUN --metrics udr"
    )
    columns = ("group", "criterion", "runs", "rho", "low", "high")
    picks = ("picked run", "picked", "best", "regret", "regret of random", "remark")
    return Sheet("criteria", caption, (*columns, *picks), tuple(rows))
