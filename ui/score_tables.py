"""Scores in a table that says what each means and how it was measured."""

from collections.abc import Iterable, Mapping

import pandas as pd
import streamlit as st

from dvae_core.evaluation.catalog import MEANINGS
from dvae_core.evaluation.reference_codes import ReferenceScore
from dvae_core.evaluation.results import Evaluation, ProtocolName, Score
from dvae_core.figures.scores import ScoreBar, score_bars
from dvae_core.selection.seeds import SeedScores
from ui.charts import CHART_CONFIG
from ui.errors import plain
from ui.tables import show_table

SCORE_COLUMN = st.column_config.TextColumn(
    width="medium", help="↑ higher is better, ↓ lower is better"
)


def scores_table(
    evaluation: Evaluation,
    protocol: ProtocolName,
    references: Mapping[str, ReferenceScore] | None = None,
) -> pd.DataFrame:
    """The scores of a protocol, one per row, beside those of a perfect and a shuffled code; empty
    where nothing was measured."""
    references = references or {}
    rows = []
    for name, meaning in MEANINGS.items():
        score = evaluation.score(name, protocol)
        if score is None:
            continue
        rows.append(
            {
                "score": meaning.label_with_arrow,
                f"value ({protocol})": _shown(score),
                **_reference_cells(references, name),
                "meaning": meaning.meaning,
                "measured on": score.measured_on,
                "note": "; ".join(filter(None, (score.reason, score.note))),
            }
        )
    return pd.DataFrame(rows)


def _reference_cells(references: Mapping[str, ReferenceScore], name: str) -> dict[str, str]:
    if not references:
        return {}
    found = references.get(name, ReferenceScore(None, None))
    values = {"perfect code": found.perfect, "shuffled code": found.shuffled}
    return {label: "" if value is None else f"{value:.3f}" for label, value in values.items()}


def show_bars(
    evaluation: Evaluation, protocol: ProtocolName, references: Mapping[str, ReferenceScore]
) -> None:
    """The scores that a perfect and a shuffled code have too, as bars; nothing without any."""
    bars = []
    for name, reference in references.items():
        score = evaluation.score(name, protocol)
        if score is not None and score.value is not None:
            label = MEANINGS[name].label
            bars.append(ScoreBar(label, score.value, reference.perfect, reference.shuffled))
    if bars:
        st.plotly_chart(score_bars(bars), key="score-bars", config=CHART_CONFIG)


def show_reasons(evaluations: Iterable[Evaluation], protocol: ProtocolName) -> None:
    """Why scores are not defined, each reason once."""
    reasons = dict[str, list[str]]()
    for evaluation in evaluations:
        for score in evaluation.scores:
            if score.protocol == protocol and score.reason and score.name in MEANINGS:
                labels = reasons.setdefault(score.reason, [])
                labels.append(MEANINGS[score.name].label)
    for reason, labels in reasons.items():
        names = ", ".join(dict.fromkeys(labels))
        st.caption(plain(f"Not defined: {names}, because {reason}."))


def describe_table(evaluation: Evaluation, protocol: ProtocolName) -> str:
    """How the mutual information was measured."""
    table = evaluation.table("mutual_information", protocol)
    return table.measured_on if table is not None else ""


def show_scores(table: pd.DataFrame) -> None:
    """The table, for reading."""
    show_table(
        table,
        column_config={
            "score": SCORE_COLUMN,
            "perfect code": st.column_config.TextColumn(
                help="Score of a code with one latent per factor, which is the factor itself, "
                "from 10,000 points."
            ),
            "shuffled code": st.column_config.TextColumn(
                help="Score of the perfect code in random order, which says nothing, from 10,000 "
                "points."
            ),
            "meaning": st.column_config.TextColumn(width="large"),
        },
    )


def differences_table(
    evaluations: tuple[Evaluation, Evaluation],
    names: tuple[str, str],
    protocol: ProtocolName,
    seeds: SeedScores | None,
) -> pd.DataFrame:
    """One row a score that either run has; empty where neither has any.

    A run is ahead only if the difference exceeds the spread between seeds (`SeedScores.spread`).

    Args:
        evaluations: left and right.
        names: of both runs, and of their groups in `seeds`.
        protocol: of the scores.
        seeds: runs with the settings of either; None gives no verdict.
    """
    rows = []
    for score, meaning in MEANINGS.items():
        left, right = (evaluation.score(score, protocol) for evaluation in evaluations)
        if left is None and right is None:
            continue
        difference = None
        if left and right and left.value is not None and right.value is not None:
            difference = right.value - left.value
        spread = seeds.spread(names, score) if seeds is not None else None
        row = {
            "score": meaning.label_with_arrow,
            f"{names[0]}": _shown(left),
            f"{names[1]}": _shown(right),
            "right − left": "" if difference is None else f"{difference:+.3f}",
        }
        if seeds is not None:  # else the page says once that one run of each proves nothing
            row["verdict"] = _verdict(difference, spread, meaning.better)
            row["spread of seeds"] = "unknown" if spread is None else f"± {spread:.3f}"
        rows.append(row | {"estimators": _estimators(left, right)})
    return pd.DataFrame(rows)


def show_differences(table: pd.DataFrame) -> None:
    """The table, for reading."""
    show_table(
        table,
        column_config={"score": SCORE_COLUMN},
    )


def _verdict(difference: float | None, spread: float | None, better: str) -> str:
    if difference is None:
        return ""
    if spread is None:
        return "too few seeds"
    if abs(difference) <= spread:
        return "within the spread"
    if not better:
        return "beyond the spread"
    ahead = "right" if (difference > 0) == (better == "higher") else "left"
    return f"{ahead} is ahead"


def _shown(score: Score | None) -> str:
    if score is None:
        return "not evaluated"
    if score.value is None:
        return "not defined"
    return f"{score.value:.0f}" if score.name == "active_latents" else f"{score.value:.3f}"


def _estimators(left: Score | None, right: Score | None) -> str:
    """Once where both are the same, else one beside the other: they must not be mistaken."""
    found = list(dict.fromkeys(score.estimator for score in (left, right) if score is not None))
    return " | ".join(found)
