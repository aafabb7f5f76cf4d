"""What a sweep has done already and what is missing, read from its folder of runs."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dvae_core.config import RunConfig
from dvae_core.data import dataset_names
from dvae_core.data.listing import DatasetInfo, dataset_info
from dvae_core.errors import DataError, RunError
from dvae_core.evaluation.protocol import is_measured
from dvae_core.evaluation.results import EvaluationSettings, Metric, ProtocolName, read_evaluation
from dvae_core.runs.run import Run, State
from dvae_core.sweep.plan import EvaluationPlan, PlannedRun, Sweep


@dataclass(frozen=True)
class EvaluationRequest:
    """Metrics to measure of a run under one protocol."""

    protocol: ProtocolName
    metrics: tuple[Metric, ...]
    settings: EvaluationSettings

    @property
    def arguments(self) -> list[str]:
        """As flags of the command `evaluate`."""
        flags = ["--protocol", self.protocol, "--metrics", ",".join(self.metrics)]
        for name, value in self.settings.model_dump().items():
            flags += [f"--{name.replace('_', '-')}", str(value)]
        return flags


@dataclass(frozen=True)
class Task:
    """What one run still lacks.

    Attributes:
        run: its folder, which may not be there yet.
        config: what it is to be.
        image_shape: (C, H, W) of its data set.
        trains: whether its training is to be started or continued.
        evaluations: what is to be measured after that.
    """

    run: Run
    config: RunConfig
    image_shape: tuple[int, int, int]
    trains: bool
    evaluations: tuple[EvaluationRequest, ...]

    def open(self) -> Run:
        """The run, its folder made where it was missing."""
        if not self.run.path.exists():
            Run.create(self.run.path, self.config, self.image_shape)
        return self.run


@dataclass(frozen=True)
class Survey:
    """Where a sweep stands.

    Attributes:
        tasks: what is missing, in the order of the file.
        complete: ids of the runs that lack nothing.
        failed: reasons by id of the runs that diverged before and are not tried again.
    """

    tasks: tuple[Task, ...]
    complete: tuple[str, ...]
    failed: Mapping[str, str]

    def in_words(self) -> str:
        """How much there is and how much is missing."""
        total = len(self.tasks) + len(self.complete) + len(self.failed)
        trainings = sum(task.trains for task in self.tasks)
        said = f"{total:,} runs, {len(self.complete):,} of them complete"
        if self.failed:
            said += f", {len(self.failed):,} failed before"
        if self.tasks:
            said += f"; {trainings:,} to train and {len(self.tasks) - trainings:,} only to measure"
        return said


def survey(sweep: Sweep, output: Path, retry_failed: bool = False) -> Survey:
    """Compare a sweep with the folder of its runs. Writes nothing.

    Args:
        sweep: what is asked for.
        output: folder of the runs; it need not exist.
        retry_failed: whether runs whose training diverged are tried again.

    Raises:
        RunError: a run of the folder is damaged, or has the name of one of the sweep's and
            another config.
        DataError: there is no such data set.
    """
    tasks, complete, failed = [], [], {}
    datasets = {name: _known(name) for name in {run.config.dataset for run in sweep.runs}}
    for planned in sweep.runs:
        run = Run(output / planned.id)
        state = _checked_state(run, planned, sweep.path) if run.path.exists() else None
        if state is State.FAILED and run.status().diverged and not retry_failed:
            failed[run.id] = run.status().message
            continue
        trains = state is not State.FINISHED
        missing = _missing_evaluations(run, sweep.evaluation, trains)
        if trains or missing:
            shape = _image_shape(datasets[planned.config.dataset], planned.config)
            tasks.append(Task(run, planned.config, shape, trains, missing))
        else:
            complete.append(run.id)
    return Survey(tuple(tasks), tuple(complete), failed)


def _known(dataset: str) -> DatasetInfo:
    if dataset not in dataset_names():
        known = ", ".join(dataset_names())
        raise DataError(f"no data set is called {dataset[:60]!r}: there are {known}")
    return dataset_info(dataset)


def _checked_state(run: Run, planned: PlannedRun, file: Path) -> State:
    if problem := run.problem():
        raise RunError(f"{problem}; move {run.path} away, so that the sweep trains it again")
    for name in RunConfig.model_fields:
        there, asked = getattr(run.record, name), getattr(planned.config, name)
        if there != asked:
            raise RunError(
                f"{run.path} holds another run: its {name} is {there}, and {file} asks for "
                f"{asked}; choose another --output, or move that run away"
            )
    return run.state()


def _missing_evaluations(
    run: Run, plan: EvaluationPlan | None, trains: bool
) -> tuple[EvaluationRequest, ...]:
    if plan is None:
        return ()
    if trains:
        return tuple(EvaluationRequest(p, plan.metrics, plan.settings) for p in plan.protocols)
    evaluation, step = read_evaluation(run), run.status().step
    missing = []
    for protocol in plan.protocols:
        metrics = tuple(
            metric
            for metric in plan.metrics
            if not is_measured(evaluation, metric, protocol, plan.settings, step)
        )
        if metrics:
            missing.append(EvaluationRequest(protocol, metrics, plan.settings))
    return tuple(missing)


def _image_shape(dataset: DatasetInfo, config: RunConfig) -> tuple[int, int, int]:
    return dataset.image_shape[0], config.image_size, config.image_size
