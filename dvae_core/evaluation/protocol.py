"""All metrics of a run, under one of two protocols, each kept as soon as it is done.

- `paper`: mean codes for every family, in 20 equal-width bins where information is counted
  (disentanglement_lib; Friede et al. 2023).
- `native`: for categorical latents the most likely category as it is, K_j cells, Miller-Madow
  corrected where information is counted; its value where a metric needs numbers. Gaussian codes
  have no categories and are scored as in `paper`, which their `estimator` says.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dvae_core.config import describe_category_counts
from dvae_core.data.dataset import Dataset
from dvae_core.errors import EvaluationError
from dvae_core.evaluation.inputs import EvaluationInputs
from dvae_core.evaluation.metrics.beta_vae_score import beta_vae_score
from dvae_core.evaluation.metrics.dci import Variant, dci
from dvae_core.evaluation.metrics.factor_vae_score import factor_vae_score
from dvae_core.evaluation.metrics.fixed_factor import BATCH_SIZE
from dvae_core.evaluation.metrics.infomec import infomec
from dvae_core.evaluation.metrics.mig import mig
from dvae_core.evaluation.metrics.modularity import modularity
from dvae_core.evaluation.metrics.mutual_information import (
    PAPER_BINS,
    latent_information_matrix,
    measure_information,
)
from dvae_core.evaluation.metrics.sap import sap
from dvae_core.evaluation.metrics.straight_through_gap import straight_through_gap
from dvae_core.evaluation.results import (
    METRICS,
    Evaluation,
    EvaluationSettings,
    Metric,
    ProtocolName,
    Result,
    Score,
    Table,
)
from dvae_core.runs.run import Run

FACTOR_TABLES = ("mutual_information", "factor_entropy", "dci_importances", "dci_fast_importances")
"""Tables whose columns are factors."""


@dataclass(frozen=True)
class EvaluationProgress:
    """How far an evaluation is.

    Attributes:
        metric: being measured.
        index: metrics done before it.
        count: metrics in all.
        fraction: of this metric, in [0, 1]; starts anew where it encodes before it computes.
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
            evaluation, is_new = _with_metric(evaluation, inputs, metric)
        except _Interrupted:
            return evaluation
        if is_new:
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
    entries: list[Result] = [*evaluation.scores, *evaluation.tables]
    points = _points(metric, settings)
    return any(
        (entry.metric, entry.protocol, entry.seed, entry.step)
        == (metric, protocol, settings.seed, step)
        and (entry.points, entry.test_points) == points
        for entry in entries
    )


@dataclass(frozen=True)
class _Measurement:
    """Numbers, or reasons, by name; and tables."""

    scores: Mapping[str, float | str]
    tables: Mapping[str, NDArray]
    note: str = ""


def _with_metric(
    evaluation: Evaluation, inputs: EvaluationInputs, metric: Metric
) -> tuple[Evaluation, bool]:
    """The evaluation with a metric in it, and whether that is news."""
    points, test_points = _points(metric, inputs.settings)
    estimator = _estimator(metric, inputs)

    def is_same(entry: Result) -> bool:
        return (
            entry.metric == metric
            and entry.points == points
            and entry.test_points == test_points
            and entry.seed == inputs.settings.seed
            and entry.step == inputs.step
            and entry.estimator == estimator
        )

    scores = list(filter(is_same, evaluation.scores))
    tables = list(filter(is_same, evaluation.tables))
    if scores or tables:
        entries: list[Result] = [*scores, *tables]
        if any(entry.protocol == inputs.protocol for entry in entries):
            return evaluation, False
        renamed = {"protocol": inputs.protocol}
        return evaluation.replaced(
            metric,
            inputs.protocol,
            [score.model_copy(update=renamed) for score in scores],
            [table.model_copy(update=renamed) for table in tables],
        ), True

    started_at = time.monotonic()
    try:
        measurement = _measure(metric, inputs)
    except EvaluationError as error:
        measurement = _Measurement(dict.fromkeys(_score_names(metric), str(error)), {})
    common = {
        "metric": metric,
        "protocol": inputs.protocol,
        "points": points,
        "test_points": test_points,
        "seed": inputs.settings.seed,
        "step": inputs.step,
        "estimator": estimator,
        "seconds": round(time.monotonic() - started_at, 3),
        "note": measurement.note,
    }
    scores = [
        Score(name=name, value=None, reason=value, **common)
        if isinstance(value, str)
        else Score(name=name, value=value, **common)
        for name, value in measurement.scores.items()
    ]
    tables = [
        Table(
            name=name,
            values=np.atleast_2d(values).tolist(),
            columns=inputs.factor_names if name in FACTOR_TABLES else [],
            **common,
        )
        for name, values in measurement.tables.items()
    ]
    return evaluation.replaced(metric, inputs.protocol, scores, tables), True


def _score_names(metric: Metric) -> tuple[str, ...]:
    """What a metric gives, so that each of it can be refused."""
    match metric:
        case "dci" | "dci_fast":
            return tuple(
                f"{metric}_{part}"
                for part in ("disentanglement", "completeness", "informativeness")
            )
        case "infomec":
            return ("infom", "infoe", "infoc")
        case "straight_through_gap":
            return ("straight_through_gap", "straight_through_gap_reconstruction")
        case "kl":
            return ("kl", "active_latents")
        case _:
            return (metric,)


def _measure(metric: Metric, inputs: EvaluationInputs) -> _Measurement:
    match metric:
        case "mutual_information":
            information = measure_information(
                inputs.cells, inputs.factors, inputs.num_bins, inputs.correction
            )
            return _Measurement(
                {},
                {
                    "mutual_information": information.matrix,
                    "factor_entropy": information.factor_entropy,
                },
                inputs.note,
            )
        case "latent_information":
            return _latent_information(inputs)
        case "mig" | "modularity":
            metric_function = mig if metric == "mig" else modularity
            value = metric_function(
                inputs.cells, inputs.factors, inputs.num_bins, inputs.correction
            )
            return _Measurement({metric: value}, {}, inputs.note)
        case "sap":
            value = sap(
                inputs.train.codes_of_kind(inputs.kind),
                inputs.factors,
                inputs.test.codes_of_kind(inputs.kind),
                inputs.test_factors,
                progress=inputs.progress,
            )
            return _Measurement({metric: value}, {}, inputs.note)
        case "dci":
            return _dci(inputs, metric, "exact")
        case "dci_fast":
            return _dci(inputs, metric, "fast")
        case "infomec":
            result = infomec(
                inputs.cells,
                inputs.factors,
                seed=inputs.settings.seed,
                progress=inputs.progress,
            )
            parts = {"infom": result.infom, "infoe": result.infoe, "infoc": result.infoc}
            return _Measurement(_explained(parts, result.undefined), {}, inputs.note)
        case "kl":
            statistics = inputs.statistics
            tables = {"kl": statistics.kl}
            if statistics.usage is not None:
                tables["usage"] = statistics.usage
            active = float(statistics.active.sum())
            return _Measurement(
                {"kl": float(statistics.kl.sum()), "active_latents": active}, tables
            )
        case "reconstruction":
            return _Measurement({metric: inputs.statistics.reconstruction_error}, {})
        case "straight_through_gap":
            gap = straight_through_gap(
                inputs.run,
                inputs.dataset,
                inputs.settings.seed,
                num_batches=inputs.settings.gap_batches,
                progress=inputs.progress,
            )
            parts = {"total": gap.total, "reconstruction": gap.reconstruction}
            total, reconstruction = _explained(parts, gap.undefined).values()
            return _Measurement(
                {metric: total, "straight_through_gap_reconstruction": reconstruction}, {}
            )
        case "factor_vae":
            value = factor_vae_score(
                inputs.model,
                inputs.dataset,
                inputs.settings.seed,
                source=inputs.source,
                num_train=inputs.settings.points,
                num_test=inputs.settings.test_points,
                num_variance=inputs.settings.points,
                progress=inputs.progress,
            )
            return _Measurement({metric: value}, {}, inputs.note)
        case "beta_vae":
            value = beta_vae_score(
                inputs.model,
                inputs.dataset,
                inputs.settings.seed,
                source=inputs.source,
                num_train=inputs.settings.points,
                num_test=inputs.settings.test_points,
                progress=inputs.progress,
            )
            return _Measurement({metric: value}, {}, inputs.note)


def _latent_information(inputs: EvaluationInputs) -> _Measurement:
    matrix = latent_information_matrix(inputs.cells, inputs.num_bins, inputs.correction)
    num_latents = len(matrix)
    mean: float | str = "there is one latent, and so no pair"
    if num_latents > 1:
        mean = float((matrix.sum() - np.trace(matrix)) / (num_latents * (num_latents - 1)))
    return _Measurement({"latent_information": mean}, {"latent_information": matrix})


def _dci(inputs: EvaluationInputs, metric: Metric, variant: Variant) -> _Measurement:
    result = dci(
        inputs.train.codes_of_kind(inputs.kind),
        inputs.factors,
        inputs.test.codes_of_kind(inputs.kind),
        inputs.test_factors,
        variant=variant,
        seed=inputs.settings.seed,
        num_workers=inputs.num_workers,
        progress=inputs.progress,
    )
    parts = {
        "disentanglement": result.disentanglement,
        "completeness": result.completeness,
        "informativeness": result.informativeness,
    }
    explained = _explained(parts, result.undefined)
    return _Measurement(
        {f"{metric}_{part}": value for part, value in explained.items()},
        {f"{metric}_importances": result.importances},
        inputs.note,
    )


def _explained(
    values: Mapping[str, float | None], undefined: Mapping[str, str]
) -> dict[str, float | str]:
    return {name: undefined[name] if value is None else value for name, value in values.items()}


def _points(metric: Metric, settings: EvaluationSettings) -> tuple[int, int]:
    """Points that a metric is computed on, and those it is tested on."""
    match metric:
        case "sap" | "dci" | "dci_fast" | "factor_vae" | "beta_vae":
            return settings.points, settings.test_points
        case "straight_through_gap":
            return settings.gap_batches * BATCH_SIZE, 0
        case _:
            return settings.points, 0


def _estimator(metric: Metric, inputs: EvaluationInputs) -> str:
    codes = "most likely category's value" if inputs.uses_categories else "mean code"
    match metric:
        case "mutual_information" | "latent_information" | "mig" | "modularity":
            if inputs.uses_categories:
                cells = describe_category_counts(inputs.category_counts)
                return f"most likely category, {cells}; Miller-Madow"
            return f"mean code in {PAPER_BINS} equal-width bins; plug-in"
        case "sap":
            return f"{codes}; linear SVM, C = 0.01"
        case "dci":
            return f"{codes}; gradient boosted trees"
        case "dci_fast":
            return f"{codes}; fast: random forest instead of boosted trees"
        case "infomec":
            if inputs.uses_categories:
                cells = describe_category_counts(inputs.category_counts)
                return f"most likely category, {cells}; plug-in"
            return "mean code; 10 nearest neighbours, without bins"
        case "factor_vae":
            return f"{codes}; least variance over 64 images"
        case "beta_vae":
            return f"{codes}; logistic regression on 64 pairs"
        case "kl":
            return "posterior against prior"
        case "reconstruction":
            return "image of the mean code; Bernoulli cross entropy"
        case "straight_through_gap":
            return "loss of the most likely category's value against that of the mean code"
