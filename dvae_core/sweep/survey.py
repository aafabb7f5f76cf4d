"""Which runs of a sweep are complete and which are missing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dvae_core.config import RunConfig
from dvae_core.data.listing import dataset_info, training_image_shape
from dvae_core.errors import RunError
from dvae_core.evaluation.catalog import METRIC_SPECS
from dvae_core.evaluation.protocol import missing_metrics
from dvae_core.evaluation.results import EvaluationSettings, Metric, ProtocolName, read_evaluation
from dvae_core.runs.run import Run, State
from dvae_core.sweep.plan import EvaluationPlan, PlannedRun, Sweep


@dataclass(frozen=True)
class EvaluationRequest:
    """Metrics of a run to evaluate under one protocol."""

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
    """The missing work of a run.

    Attributes:
        run: its folder may be missing.
        config: of the run.
        image_shape: (C, H, W) of its data set.
        trains: whether to start or resume the training.
        evaluations: to make afterwards.
    """

    run: Run
    config: RunConfig
    image_shape: tuple[int, int, int]
    trains: bool
    evaluations: tuple[EvaluationRequest, ...]

    def open(self) -> Run:
        """The run; creates a missing folder."""
        if not self.run.path.exists():
            Run.create(self.run.path, self.config, self.image_shape)
        return self.run


@dataclass(frozen=True)
class Survey:
    """The state of a sweep.

    Attributes:
        tasks: the missing work, in the order of the file, but for comparisons of runs.
        comparisons: metrics of finished runs that compare them with others of the sweep. Their
            results change with each run that is trained, so they are for the end.
        complete: ids of complete runs.
        failed: reasons by id of the runs that diverged and are not retried.
    """

    tasks: tuple[Task, ...]
    comparisons: tuple[Task, ...]
    complete: tuple[str, ...]
    failed: Mapping[str, str]

    def in_words(self) -> str:
        """One line on how many runs there are and how many are missing."""
        total = len(self.missing) + len(self.complete) + len(self.failed)
        trainings = sum(task.trains for task in self.tasks)
        said = f"{total:,} runs, {len(self.complete):,} of them complete"
        if self.failed:
            said += f", {len(self.failed):,} failed before"
        if self.missing:
            others = len(self.missing) - trainings
            said += f"; {trainings:,} to train and {others:,} only to evaluate"
        return said

    @property
    def missing(self) -> tuple[str, ...]:
        """Ids of the runs that lack anything."""
        return tuple(dict.fromkeys(task.run.id for task in (*self.tasks, *self.comparisons)))


def survey(sweep: Sweep, output: Path, retry_failed: bool = False) -> Survey:
    """Compare a sweep with the folder of its runs, which need not exist. Writes nothing.

    Args:
        sweep: the sweep.
        output: folder of the runs.
        retry_failed: whether to retry runs that diverged.

    Raises:
        RunError: a run of the folder is damaged, or its config differs from the sweep's.
        DataError: a data set is unknown or damaged, or its images are too small.
    """
    tasks, comparisons, complete, failed = [], [], [], {}
    sizes = {(run.config.dataset, run.config.image_size) for run in sweep.runs}
    factor_sizes = {name: dataset_info(name).factor_sizes for name, _ in sizes}
    shapes = {size: training_image_shape(*size) for size in sizes}
    for planned in sweep.runs:
        run = Run(output / planned.id)
        state = _checked_state(run, planned, sweep.path) if run.path.exists() else None
        if state is State.FAILED and run.status().diverged and not retry_failed:
            failed[run.id] = run.status().message
            continue
        trains = state is not State.FINISHED
        shape = shapes[planned.config.dataset, planned.config.image_size]
        missing, comparing = _missing_evaluations(
            run, sweep.evaluation, factor_sizes[planned.config.dataset], trains
        )
        if trains or missing:
            tasks.append(Task(run, planned.config, shape, trains, missing))
        if comparing:
            comparisons.append(Task(run, planned.config, shape, False, comparing))
        if not (trains or missing or comparing):
            complete.append(run.id)
    return Survey(tuple(tasks), tuple(comparisons), tuple(complete), failed)


def _checked_state(run: Run, planned: PlannedRun, file: Path) -> State:
    if problem := run.problem():
        raise RunError(f"{problem}; move {run.path} away, and the sweep will train it again")
    for name in RunConfig.model_fields:
        there, asked = getattr(run.record, name), getattr(planned.config, name)
        if there != asked:
            raise RunError(
                f"{run.path} is another run: its {name} is {there}, and {file} asks for {asked}; "
                f"choose another --output, or move that run away"
            )
    return run.state()


def _missing_evaluations(
    run: Run, plan: EvaluationPlan | None, factor_sizes: Sequence[int], trains: bool
) -> tuple[tuple[EvaluationRequest, ...], tuple[EvaluationRequest, ...]]:
    """The missing metrics of a run, and those that compare a finished run with others."""
    if plan is None:
        return (), ()
    wanted = plan.metrics_for(factor_sizes)
    own = tuple(metric for metric in wanted if METRIC_SPECS[metric].compared is None)
    if trains:
        return tuple(EvaluationRequest(p, own, plan.settings) for p in plan.protocols if own), ()
    comparing = tuple(metric for metric in wanted if metric not in own)
    evaluation = read_evaluation(run)

    def requests(of_kind: tuple[Metric, ...]) -> tuple[EvaluationRequest, ...]:
        missing = {
            protocol: missing_metrics(run, evaluation, of_kind, protocol, plan.settings)
            for protocol in plan.protocols
        }
        return tuple(
            EvaluationRequest(protocol, metrics, plan.settings)
            for protocol, metrics in missing.items()
            if metrics
        )

    return requests(own), requests(comparing)
