"""The runs of a folder as rows: settings, scores, cost, and whether they are in the statistics."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dvae_core.config import (
    WATCHING,
    DataConfig,
    ModelConfig,
    ObjectiveConfig,
    RegularizerConfig,
    TrainingConfig,
)
from dvae_core.errors import RunError
from dvae_core.evaluation.catalog import MEANINGS, METRIC_SPECS
from dvae_core.evaluation.latent_statistics import categories_used
from dvae_core.evaluation.results import Evaluation, ProtocolName, Score, read_evaluation
from dvae_core.models.vae import build_model
from dvae_core.runs.catalog import list_runs
from dvae_core.runs.files import RUN_FILES, Kind
from dvae_core.runs.run import Run, RunRecord, State

Setting = str | int | float | bool | None
Floats = NDArray[np.float64]

GAP = "straight_through_gap"
RECONSTRUCTION_GAP = "straight_through_gap_reconstruction"
GAPS = (GAP, RECONSTRUCTION_GAP)
GROUP_BY = ("dataset", "latents", "objective")
_SAMPLING = ("sampling", "noise_scale_start", "noise_scale_end")
_PENALTIES = ("weight_decay", *RegularizerConfig.model_fields)

SETTINGS = tuple(
    name
    for part in (DataConfig, ModelConfig, ObjectiveConfig, RegularizerConfig, TrainingConfig)
    for name in part.model_fields
    if name not in WATCHING
)
"""Settings that may distinguish runs."""

LOSS_WEIGHTS = (
    *(name for name in ObjectiveConfig.model_fields if name != "objective"),
    *RegularizerConfig.model_fields,
)
"""Settings of the objectives and the regularizers, which are part of the whole gap."""

_RECORD_FILES = tuple(file.pattern for file in RUN_FILES if file.kind is Kind.RECORD)

COSTS: dict[str, tuple[str, Callable[["StudyRun"], float | None]]] = {
    "categories_used": ("Categories used by a latent, mean", lambda run: run.categories_used),
    "seconds_per_step": ("Seconds for a step", lambda run: run.seconds_per_step),
    "parameters": ("Parameters", lambda run: run.parameters),
}
"""Costs of a run by name: label, and function of the run."""


@dataclass(frozen=True)
class StudyRun:
    """One run of a study.

    Attributes:
        path: its folder.
        id: its name.
        state: of the training.
        settings: by name; None if a setting does not apply to the run.
        step: training steps done.
        steps: training steps in total.
        seconds: training time.
        parameters: of the model; None for imported models.
        categories_used: exponential of the entropy of each latent's aggregate posterior, averaged
            over latents; None if it was not evaluated, or without categories.
        scores: of the current weights, under both protocols.
        problem: what is damaged, or wrong with the scores.
    """

    path: Path
    id: str
    state: State
    settings: Mapping[str, Setting]
    step: int = 0
    steps: int = 0
    seconds: float = 0.0
    parameters: int | None = None
    categories_used: float | None = None
    scores: tuple[Score, ...] = ()
    problem: str = ""

    @property
    def seconds_per_step(self) -> float | None:
        """None before the first step."""
        return self.seconds / self.step if self.step else None

    def measured(self, name: str, protocol: ProtocolName) -> Score | None:
        """The result of this name, or None. One that does not depend on the protocol, such as the
        gap, is also taken from the other one."""
        found = [score for score in self.scores if score.name == name]
        own = (score for score in found if score.protocol == protocol)
        both = found and not METRIC_SPECS[found[0].metric].depends_on_protocol
        return next(own, found[0] if both else None)

    def score(self, name: str, protocol: ProtocolName) -> float | None:
        """Its value; None if it was not evaluated or is undefined."""
        found = self.measured(name, protocol)
        return None if found is None else found.value

    def has_scores(self, protocol: ProtocolName) -> bool:
        """Whether the current weights were evaluated under a protocol."""
        return any(score.protocol == protocol for score in self.scores)

    def left_out(self, protocol: ProtocolName) -> str:
        """Why the run is not in the statistics of a protocol, or ""."""
        if self.problem:
            return self.problem
        if self.state is not State.FINISHED:
            return f"{self.state} at step {self.step:,} of {self.steps:,}"
        if not self.has_scores(protocol):
            return (
                f"no scores under the protocol {protocol}: "
                f"python -m dvae_core evaluate {self.path} --protocol {protocol}"
            )
        return ""


@dataclass(frozen=True)
class Study:
    """The runs of a folder under one protocol.

    Attributes:
        runs: all, sorted by name.
        protocol: of the scores.
    """

    runs: tuple[StudyRun, ...]
    protocol: ProtocolName

    @property
    def counted(self) -> tuple[StudyRun, ...]:
        """The runs in the statistics: finished, with scores of the final weights."""
        return tuple(run for run in self.runs if not run.left_out(self.protocol))

    @property
    def finished(self) -> tuple[StudyRun, ...]:
        """The runs whose training is finished, with or without scores."""
        return tuple(run for run in self.runs if run.state is State.FINISHED)

    @property
    def unevaluated(self) -> tuple[StudyRun, ...]:
        """The finished, undamaged runs without scores."""
        return tuple(
            run for run in self.finished if not run.problem and not run.has_scores(self.protocol)
        )

    @property
    def left_out(self) -> dict[str, str]:
        """Reasons of the runs that are not in the statistics, by run id."""
        reasons = {run.id: run.left_out(self.protocol) for run in self.runs}
        return {run_id: reason for run_id, reason in reasons.items() if reason}

    @property
    def varying(self) -> tuple[str, ...]:
        """Settings in which the runs differ."""
        return varying_settings(self.runs)

    @property
    def default_groups(self) -> tuple[str, ...]:
        """Settings to group by: data set, family and objective; how codes are sampled if that
        varies, since the gap of a run depends on it; and the penalties and the weight decay if they
        vary, which make methods of their own (QLAE, Tripod)."""
        return GROUP_BY + tuple(name for name in _SAMPLING + _PENALTIES if name in self.varying)

    @property
    def score_names(self) -> tuple[str, ...]:
        """Scores that any counted run has, without the gaps."""
        return tuple(name for name in MEANINGS if name not in GAPS and self._has(name))

    @property
    def gap_names(self) -> tuple[str, ...]:
        """The gaps that any counted run has."""
        return tuple(name for name in GAPS if self._has(name))

    def filtered(self, wanted: Mapping[str, Collection[Setting]]) -> "Study":
        """A study of only the runs with one of the wanted values of each setting."""
        return replace(
            self,
            runs=tuple(
                run
                for run in self.runs
                if all(run.settings.get(name) in values for name, values in wanted.items())
            ),
        )

    def groups(self, by: Sequence[str]) -> dict[str, list[StudyRun]]:
        """Counted runs by the values of some settings; the keys describe these values."""
        return group_runs(self.counted, by)

    def ways_measured(self, name: str) -> list[str]:
        """Estimators and points of a score in the counted runs, most frequent first."""
        found = (run.measured(name, self.protocol) for run in self.counted)
        ways = Counter(
            f"{score.estimator} · {score.points:,} points"
            for score in found
            if score is not None and score.value is not None
        )
        return [f"{way} ({n} {'run' if n == 1 else 'runs'})" for way, n in ways.most_common()]

    def _has(self, name: str) -> bool:
        return any(run.score(name, self.protocol) is not None for run in self.counted)


class StudyReader:
    """Reads runs, and rereads only those whose files have changed. Thread-safe."""

    def __init__(self) -> None:
        self._known: dict[Path, tuple[tuple[int, ...], StudyRun]] = {}

    def read(self, runs: Sequence[Run], protocol: ProtocolName) -> Study:
        """The study of some runs. It includes unreadable runs, with the reason."""
        return Study(tuple(self._read(run) for run in runs), protocol)

    def _read(self, run: Run) -> StudyRun:
        modified_at = _stamp(run)  # before reading, so that later changes are read next time
        known = self._known.get(run.path)
        # The files do not change when a process dies.
        if known is not None and known[0] == modified_at and known[1].state is not State.RUNNING:
            return known[1]
        read = read_study_run(run)
        self._known[run.path] = (modified_at, read)
        return read


def read_study(folder: Path, protocol: ProtocolName) -> Study:
    """The study of the runs directly inside a folder.

    Raises:
        RunError: there are none.
    """
    runs = list_runs(folder)
    if not runs:
        raise RunError(
            f"{folder} holds no runs: name a folder of run folders, or make one with "
            f"python -m dvae_core sweep"
        )
    return StudyReader().read(runs, protocol)


def read_study_run(run: Run) -> StudyRun:
    """A run as a row, with `problem` set if files are damaged."""
    problem = run.problem()
    if problem is not None:
        return StudyRun(run.path, run.id, State.DAMAGED, {}, problem=problem)
    record, status = run.record, run.status()
    row = StudyRun(
        run.path,
        run.id,
        run.state(),
        study_settings(record),
        step=status.step,
        steps=status.steps,
        seconds=status.seconds,
        parameters=_parameters_of(record),
    )
    try:
        evaluation, step = read_evaluation(run), run.weights_step()
    except RunError as error:
        return replace(row, problem=str(error))
    return _with_scores(row, evaluation, step)


def study_settings(record: RunRecord) -> dict[str, Setting]:
    """The settings of a run by name; None for those that do not apply to it."""
    used = record.used_settings
    return {name: _one_value(used.get(name)) for name in SETTINGS}


def _one_value(value: Any) -> Setting:
    return " ".join(map(str, value)) if isinstance(value, tuple) else value


def varying_settings(runs: Sequence[StudyRun]) -> tuple[str, ...]:
    """Settings in which the runs that have them differ."""
    return tuple(
        name for name in SETTINGS if len({run.settings.get(name) for run in runs} - {None}) > 1
    )


def group_runs(runs: Sequence[StudyRun], by: Sequence[str]) -> dict[str, list[StudyRun]]:
    """Runs by the values of some settings; the keys describe these values."""
    groups: dict[tuple[Setting, ...], list[StudyRun]] = {}
    for run in runs:
        key = tuple(_canonical(name, run.settings.get(name)) for name in by)
        groups.setdefault(key, []).append(run)
    ordered = sorted(groups, key=lambda key: [sort_key(value) for value in key])
    return {describe_group(by, key): groups[key] for key in ordered}


def _canonical(name: str, value: Setting) -> Setting:
    """A setting without effect in one form: a penalty of 0 for none, no text for an empty one."""
    if name in _PENALTIES:
        return value or 0.0
    return None if value == "" else value


def describe_group(by: Sequence[str], values: Sequence[Setting]) -> str:
    """The label of a group: text values alone, numbers with the name of their setting, and of the
    penalties only those that a run has, unless the label would be empty."""
    named = {name: value for name, value in zip(by, values, strict=True) if value is not None}
    present = {name: value for name, value in named.items() if value or name not in _PENALTIES}
    words = (
        value if isinstance(value, str) else f"{name} {value:.12g}"
        for name, value in (present or named).items()
    )
    return " · ".join(words) or "all runs"


def values_of(
    runs: Sequence[StudyRun], names: Sequence[str], protocol: ProtocolName
) -> tuple[list[StudyRun], Floats]:
    """The runs that have all of these scores, and the scores (runs, names)."""
    complete = [
        (run, values)
        for run in runs
        if None not in (values := [run.score(name, protocol) for name in names])
    ]
    table = np.array([values for _, values in complete], float).reshape(-1, len(names))
    return [run for run, _ in complete], table


def _parameters_of(record: RunRecord) -> int | None:
    if record.imported is not None:
        return None
    model = {name: getattr(record, name) for name in ModelConfig.model_fields}
    return count_parameters(ModelConfig(**model), record.image_shape)


@lru_cache(maxsize=256)
def count_parameters(config: ModelConfig, image_shape: tuple[int, int, int]) -> int:
    """Number of parameters of the model that a config describes."""
    # On the meta device the grid of categories would make torch import modules for seconds.
    model = build_model(config, image_shape)
    return sum(parameter.numel() for parameter in model.parameters())


def _with_scores(row: StudyRun, evaluation: Evaluation, step: int) -> StudyRun:
    current = [score for score in evaluation.scores if score.step == step]
    problem = ""
    if evaluation.scores and not current:
        problem = (
            f"the scores are of step {evaluation.scores[0].step:,}, but the weights of step "
            f"{step:,}: evaluate the run again"
        )
    usage = [table for table in evaluation.tables if table.name == "usage"]
    used = [table for table in usage if table.step == step]
    return replace(
        row,
        scores=tuple(current),
        problem=problem,
        categories_used=float(categories_used(np.array(used[0].values)).mean()) if used else None,
    )


def _stamp(run: Run) -> tuple[int, ...]:
    """Modification times of the run's folder and of the files that a row is made from."""
    stamps = []
    for name in ("", *_RECORD_FILES):
        try:
            stamps.append((run.path / name).stat().st_mtime_ns)
        except OSError:
            stamps.append(0)
    return tuple(stamps)


def sort_key(value: Setting) -> tuple[int, float, str]:
    """Sort key for values of any type: None, then numbers, then text."""
    if value is None:
        return (0, 0.0, "")
    if isinstance(value, str):
        return (2, 0.0, value)
    return (1, float(value), "")
