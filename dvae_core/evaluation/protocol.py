"""Evaluation of a run under one of two protocols.

- `paper`: mean codes for every family, in 20 equal-width bins for counted information
  (disentanglement_lib; Friede et al. 2023).
- `native`: for categorical latents the most likely category, with Miller-Madow correction where
  information is counted, or its value where a metric needs numbers. Gaussian codes have no
  categories and are counted as under `paper`; their `estimator` says so. Predictors are tested on
  images that they were not fitted to.

A set that is no full grid of factors is a sample: under both protocols each of its images counts
once, images are held out for tests, and labels that cannot be told from random ones leave no score.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from dvae_core.data.dataset import Dataset
from dvae_core.errors import EvaluationError, printable
from dvae_core.evaluation.catalog import METRIC_SPECS, METRICS
from dvae_core.evaluation.inputs import EvaluationInputs
from dvae_core.evaluation.metric_spec import Measurement
from dvae_core.evaluation.results import (
    MAX_TEXT,
    Evaluation,
    EvaluationSettings,
    Metric,
    ProtocolName,
    Result,
    Score,
    Table,
)
from dvae_core.runs.run import Run


@dataclass(frozen=True)
class EvaluationProgress:
    """Progress of an evaluation: the current metric, its index among `count` metrics, and the
    fraction of it that is done, in [0, 1]. The fraction restarts at 0 after encoding."""

    metric: Metric
    index: int
    count: int
    fraction: float


class _Interrupted(Exception):
    pass


def evaluate(
    run: Run,
    dataset: Dataset,
    protocol: ProtocolName,
    metrics: Sequence[Metric] = METRICS,
    settings: EvaluationSettings | None = None,
    *,
    existing: Evaluation | None = None,
    on_result: Callable[[Evaluation], None] = lambda evaluation: None,
    on_progress: Callable[[EvaluationProgress], None] = lambda progress: None,
    should_stop: Callable[[], bool] = lambda: False,
    num_workers: int | None = None,
) -> Evaluation:
    """Compute metrics of a run, and reuse existing results.

    A result is reused if points, seed, weights and estimator are the same, also from the other
    protocol.

    Args:
        run: with a model.
        dataset: of the run, on the device to compute on.
        protocol: "paper" or "native".
        metrics: computed in this order.
        settings: seed and numbers of points.
        existing: earlier results.
        on_result: called with the whole evaluation after each new metric.
        on_progress: called several times a second.
        should_stop: asked as often.
        num_workers: processes of the exact DCI; None for one per core.

    Returns:
        `existing` with the new results; after `should_stop`, those finished until then. An
        undefined score is None with the reason.

    Raises:
        EvaluationError: a metric is unknown, or the data set's images do not fit the model.
        RunError: the model cannot be loaded.
    """
    for metric in metrics:
        if metric not in METRICS:
            raise EvaluationError(
                f"no metric is called {str(metric)[:60]!r}: there are {', '.join(METRICS)}"
            )
    settings = settings or EvaluationSettings()
    evaluation = existing or Evaluation()
    inputs: EvaluationInputs | None = None
    for index, metric in enumerate(metrics):

        def report(done: int, total: int, metric: Metric = metric, index: int = index) -> None:
            if should_stop():
                raise _Interrupted
            on_progress(EvaluationProgress(metric, index, len(metrics), done / total))

        try:
            report(0, 1)
            if inputs is None:
                inputs = EvaluationInputs(run, dataset, protocol, settings, num_workers)
            inputs.progress = report
            measured = _with_metric(evaluation, inputs, metric)
        except _Interrupted:
            return evaluation
        if measured is not evaluation:
            evaluation = measured
            on_result(evaluation)
        on_progress(EvaluationProgress(metric, index, len(metrics), 1.0))
    return evaluation


def measured_better(
    run: Run,
    evaluation: Evaluation,
    metrics: Sequence[Metric],
    protocol: ProtocolName,
    settings: EvaluationSettings,
) -> dict[Metric, int]:
    """Those of the metrics with a defined score under this protocol for the weights of the run from
    more points, which a new measurement would replace; and these points."""
    step = run.weights_step()
    found: dict[Metric, int] = {}
    for score in evaluation.scores:
        if (score.protocol, score.step) != (protocol, step) or score.value is None:
            continue
        metric = score.metric
        if metric in metrics and (score.points, score.test_points) > _points(metric, settings):
            found[metric] = score.points
    return found


def missing_metrics(
    run: Run,
    evaluation: Evaluation,
    metrics: Sequence[Metric],
    protocol: ProtocolName,
    settings: EvaluationSettings,
) -> tuple[Metric, ...]:
    """Those of the metrics without a result under this protocol for the weights of the run, the
    same points and seed, and for a metric that compares runs, the same runs."""
    step = run.weights_step()
    own = [e for e in (*evaluation.scores, *evaluation.tables) if e.protocol == protocol]

    def is_measured(metric: Metric) -> bool:
        found = [entry for entry in own if _is_same(entry, metric, settings, step)]
        compared = METRIC_SPECS[metric].compared
        if compared is None or not found:
            return bool(found)
        others = compared(run)
        return any(entry.estimator.endswith(others) for entry in found)

    return tuple(metric for metric in metrics if not is_measured(metric))


def _is_same(entry: Result, metric: Metric, settings: EvaluationSettings, step: int) -> bool:
    """Whether a result is of this metric, for the same step, points and seed."""
    found = (entry.metric, entry.seed, entry.step, entry.points, entry.test_points)
    return found == (metric, settings.seed, step, *_points(metric, settings))


def _points(metric: Metric, settings: EvaluationSettings) -> tuple[int, int]:
    """Number of points and of test points of a metric."""
    spec = METRIC_SPECS[metric]
    return spec.points(settings), settings.test_points if spec.is_tested else 0


def _with_metric(evaluation: Evaluation, inputs: EvaluationInputs, metric: Metric) -> Evaluation:
    """The evaluation with this metric; the same object if it was there already."""
    spec = METRIC_SPECS[metric]
    estimator = spec.estimator(inputs)

    def is_same(entry: Result) -> bool:
        return entry.estimator == estimator and _is_same(
            entry, metric, inputs.settings, inputs.step
        )

    scores = list(filter(is_same, evaluation.scores))
    tables = list(filter(is_same, evaluation.tables))
    if any(entry.protocol == inputs.protocol for entry in (*scores, *tables)):
        return evaluation
    if scores or tables:
        renamed = {"protocol": inputs.protocol}
        return evaluation.replaced(
            metric,
            inputs.protocol,
            [score.model_copy(update=renamed) for score in scores],
            [table.model_copy(update=renamed) for table in tables],
        )

    names = [score.name for score in spec.scores]
    note, columns = "", list[str]()
    started_at = time.monotonic()
    try:
        measurement = spec.measure(inputs)
        if spec.needs_factors:
            note = "; ".join(filter(None, (inputs.note, inputs.images_in_words)))
            columns = inputs.factor_names
            if reason := inputs.reason_if_chance:
                measurement = Measurement(*[reason] * len(names), **measurement.tables)
    except EvaluationError as error:
        names = names or [metric]  # a metric without scores stores the reason as one
        measurement = Measurement(*[printable(error, MAX_TEXT)] * len(names))
    points, test_points = _points(metric, inputs.settings)
    common = {
        "metric": metric,
        "protocol": inputs.protocol,
        "points": points,
        "test_points": test_points,
        "seed": inputs.settings.seed,
        "step": inputs.step,
        "estimator": estimator,
        "seconds": round(time.monotonic() - started_at, 3),
        "note": printable(note, MAX_TEXT),
    }
    return evaluation.replaced(
        metric,
        inputs.protocol,
        [
            Score(name=name, value=None, reason=value, **common)
            if isinstance(value, str)
            else Score(name=name, value=value, **common)
            for name, value in zip(names, measurement.scores, strict=True)
        ],
        [
            Table(name=name, values=np.atleast_2d(values).tolist(), columns=columns, **common)
            for name, values in measurement.tables.items()
        ],
    )
