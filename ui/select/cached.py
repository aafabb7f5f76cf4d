"""Caching wrappers of what Select reads and computes; see `ui.cached`."""

import hashlib
import json

from dvae_core.runs.run import Run
from dvae_core.selection.report import correlations_sheet, criteria_sheet
from dvae_core.selection.study import Study
from dvae_core.selection.tables import Sheet
from dvae_core.selection.training_curves import TrainingCurve, read_training_curves
from ui.kept import kept


def st_correlations(study: Study, by: tuple[str, ...], gap: str) -> Sheet:
    return _correlations(_digest(study), study, by, gap)


@kept("Resampling the runs …")
def _correlations(digest: str, _study: Study, by: tuple[str, ...], gap: str) -> Sheet:
    return correlations_sheet(_study, by, gap)


def st_criteria(study: Study, by: tuple[str, ...], gap: str, score: str) -> Sheet:
    return _criteria(_digest(study), study, by, gap, score)


@kept("Resampling the runs …")
def _criteria(digest: str, _study: Study, by: tuple[str, ...], gap: str, score: str) -> Sheet:
    return criteria_sheet(_study, by, gap, score)


def _digest(study: Study) -> str:
    """Changes whenever the statistics of a study do."""
    names = [*study.gap_names, *study.score_names]
    rows = [
        (run.id, run.settings, [run.score(name, study.protocol) for name in names])
        for run in study.counted
    ]
    grouped_by = study.varying  # also in runs that are not counted
    content = json.dumps([study.protocol, names, grouped_by, rows])
    return hashlib.sha256(content.encode()).hexdigest()


def st_training_curves(run: Run) -> dict[str, TrainingCurve]:
    stamps = [
        log.path.stat().st_mtime_ns if log.path.is_file() else 0
        for log in (run.metrics, run.scores)
    ]
    return _courses(str(run.path), sum(stamps))


@kept("Reading training curves …")
def _courses(path: str, modified_at: int) -> dict[str, TrainingCurve]:
    return read_training_curves(Run(path))
