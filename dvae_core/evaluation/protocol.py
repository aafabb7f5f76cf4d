"""All metrics of a run, under one of two protocols, each kept as soon as it is done.

- `paper`: mean codes for every family, in 20 equal-width bins where information is counted
  (disentanglement_lib; Friede et al. 2023).
- `native`: for categorical latents the most likely category as it is, K_j cells, Miller-Madow
  corrected where information is counted; its value where a metric needs numbers. Gaussian codes
  have no categories and are scored as in `paper`, which their `estimator` says.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from dvae_core.data.dataset import Dataset
from dvae_core.errors import EvaluationError
from dvae_core.evaluation.catalog import METRIC_SPECS, METRICS
from dvae_core.evaluation.inputs import EvaluationInputs
from dvae_core.evaluation.metric_spec import Measurement
from dvae_core.evaluation.results import (
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
    """How far an evaluation is.

    Attributes:
        metric: being measured.
        index: metrics done before it.
        count: metrics in all.
        fraction: of this metric, in [0, 1]; starts again at 0 where it encodes before it computes.
    """

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
    """Measure metrics of a run, skipping those measured before in the same way.

    The same way means the same points, seed, weights and estimator; so what does not depend on the
    protocol is taken over from the other one.

    Args:
        run: with a model.
        dataset: of the run, on the device to compute on.
        protocol: "paper" or "native".
        metrics: which, in this order.
        settings: how much is drawn.
        existing: what was measured before.
        on_result: given the whole evaluation after each metric that was measured, to be kept.
        on_progress: told several times a second.
        should_stop: asked as often.
        num_workers: processes of the exact DCI; None for as many as there are cores.

    Returns:
        `existing` with the results. Where `should_stop` ended it, those finished until then. A
        score that the case does not define is None with the reason.

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


def is_measured(
    evaluation: Evaluation,
    metric: Metric,
    protocol: ProtocolName,
    settings: EvaluationSettings,
    step: int,
) -> bool:
    """Whether a metric was measured as asked: on weights of that step, from the same points."""
    return any(
        entry.protocol == protocol and _is_same(entry, metric, settings, step)
        for entry in (*evaluation.scores, *evaluation.tables)
    )


def _is_same(entry: Result, metric: Metric, settings: EvaluationSettings, step: int) -> bool:
    """Whether a result is of that metric, on weights of that step, from the same points."""
    found = (entry.metric, entry.seed, entry.step, entry.points, entry.test_points)
    return found == (metric, settings.seed, step, *_points(metric, settings))


def _points(metric: Metric, settings: EvaluationSettings) -> tuple[int, int]:
    """Points that a metric is computed on, and that it is tested on."""
    spec = METRIC_SPECS[metric]
    return spec.points(settings), settings.test_points if spec.is_tested else 0


def _with_metric(evaluation: Evaluation, inputs: EvaluationInputs, metric: Metric) -> Evaluation:
    """The evaluation with a metric in it; the same object where it was measured before."""
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
            note, columns = inputs.note, inputs.factor_names
    except EvaluationError as error:
        names = names or [metric]  # where there would be tables alone, the reason stands as a score
        measurement = Measurement(*[str(error)] * len(names))
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
        "note": note,
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
