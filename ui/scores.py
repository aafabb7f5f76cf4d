"""Scores in a table that says what each means and how it was measured."""

import pandas as pd
import streamlit as st

from dvae_core.evaluation import Evaluation, ProtocolName
from dvae_core.evaluation.meanings import MEANINGS
from dvae_core.evaluation.results import Entry, Score


def scores_table(evaluation: Evaluation, protocol: ProtocolName) -> pd.DataFrame:
    """The scores of a protocol, one a row; empty where nothing was measured."""
    rows = []
    for name, meaning in MEANINGS.items():
        score = evaluation.score(name, protocol)
        if score is None:
            continue
        rows.append(
            {
                "score": meaning.label,
                f"value ({protocol})": _shown(score),
                "better": meaning.better,
                "meaning": meaning.words,
                "measured on": _measured_on(score),
                "note": score.note,
            }
        )
    return pd.DataFrame(rows)


def describe_table(evaluation: Evaluation, protocol: ProtocolName) -> str:
    """How the mutual information was measured."""
    table = evaluation.table("mutual_information", protocol)
    return _measured_on(table) if table is not None else ""


def show_scores(table: pd.DataFrame) -> None:
    """The table, for reading."""
    st.dataframe(
        table,
        hide_index=True,
        height="content",
        column_config={
            "score": st.column_config.TextColumn(width="medium"),
            "meaning": st.column_config.TextColumn(width="large"),
        },
    )


def _shown(score: Score) -> str:
    if score.value is None:
        return f"not defined: {score.reason}"
    return f"{score.value:.0f}" if score.name == "active_latents" else f"{score.value:.3f}"


def _measured_on(score: Entry) -> str:
    points = f"{score.points:,} points"
    if score.test_points:
        points += f", {score.test_points:,} for testing"
    return f"{score.estimator} · {points} · seed {score.seed} · step {score.step:,}"
