"""Caching wrappers of what Select reads and computes; see `ui.cached`."""

import json

import streamlit as st

from dvae_core.runs.run import Run
from dvae_core.selection.report import correlations_sheet, criteria_sheet
from dvae_core.selection.study import Study
from dvae_core.selection.tables import Sheet
from dvae_core.selection.training_curves import TrainingCurve, read_training_curves
from ui.kept import kept


def _numbers(study: Study) -> str:
    """Everything of a study that its statistics depend on."""
    names = [*study.gap_names, *study.score_names]
    rows = [
        (run.id, run.settings, [run.score(name, study.protocol) for name in names])
        for run in study.counted
    ]
    return json.dumps([study.protocol, names, rows])


@st.cache_data(max_entries=32, show_spinner="Resampling the runs …", hash_funcs={Study: _numbers})
def st_correlations(study: Study, by: tuple[str, ...], gap: str) -> Sheet:
    return correlations_sheet(study, by, gap)


@st.cache_data(max_entries=32, show_spinner="Resampling the runs …", hash_funcs={Study: _numbers})
def st_criteria(study: Study, by: tuple[str, ...], gap: str, score: str) -> Sheet:
    return criteria_sheet(study, by, gap, score)


def st_training_curves(run: Run) -> dict[str, TrainingCurve]:
    stamps = [
        log.path.stat().st_mtime_ns if log.path.is_file() else 0
        for log in (run.metrics, run.scores)
    ]
    return _courses(str(run.path), sum(stamps))


@kept("Reading training curves …")
def _courses(path: str, modified_at: int) -> dict[str, TrainingCurve]:
    return read_training_curves(Run(path))
