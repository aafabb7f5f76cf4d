"""Disentanglement, completeness, informativeness."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from dvae_core.config import available_cores
from dvae_core.evaluation.checks import Codes, Factors, check_train_and_test
from dvae_core.evaluation.metric_spec import (
    Measurement,
    MetricSpec,
    ScoreSpec,
    values_or_reasons,
)
from dvae_core.progress import Progress, no_progress

if TYPE_CHECKING:
    from dvae_core.evaluation.inputs import EvaluationInputs

Variant = Literal["exact", "fast"]

# Keeps the logarithm of a zero importance finite (disentanglement_lib, `dci.py`).
IMPORTANCE_FLOOR = 1e-11


@dataclass(frozen=True)
class DCI:
    """The three scores of Eastwood and Williams, each in [0, 1].

    Attributes:
        disentanglement: degree to which each latent predicts one factor only; None for one factor.
        completeness: degree to which one latent only predicts each factor; None for one latent.
        informativeness: mean test accuracy over factors.
        importances: (N, F); each column holds the importance of each latent for a factor.
        undefined: the reason for each score that is None, by its name.
    """

    disentanglement: float | None
    completeness: float | None
    informativeness: float
    importances: NDArray[np.float64]
    undefined: dict[str, str] = field(default_factory=dict)


def dci(
    codes_train: Codes,
    factors_train: Factors,
    codes_test: Codes,
    factors_test: Factors,
    *,
    variant: Variant = "exact",
    seed: int = 0,
    num_workers: int | None = None,
    progress: Progress = no_progress,
) -> DCI:
    """Scores of tree ensembles that predict each factor from all latents.

    With importances R (N, F), disentanglement is the mean over latents of 1 - the entropy of their
    row (base F), weighted by row sum / total; completeness is the same over columns, base N
    (Eastwood and Williams 2018, "A framework for the quantitative evaluation of disentangled
    representations", as in disentanglement_lib's `dci.py`). Both are 0 if all importances are 0.

    Args:
        codes_train: (points, N), with factors_train integer (points, F).
        codes_test: (points, N), with factors_test integer (points, F).
        variant: "exact" boosts 100 rounds of depth-3 trees for each value of each factor, the
            protocol of the literature, which takes minutes; "fast" grows one forest per factor and
            agrees with it to about 0.05.
        seed: of ties between equal splits, and of the forest's samples.
        num_workers: processes ("exact", at most one per factor) or threads ("fast"); None for one
            per core.
        progress: called with factors done.

    Raises:
        EvaluationError: malformed arrays, or a factor with a single value in training.
    """
    check_train_and_test(codes_train, factors_train, codes_test, factors_test)
    num_workers = num_workers or available_cores()
    fit = _boosted_trees if variant == "exact" else _forests
    models = fit(codes_train, factors_train, seed, num_workers, progress)
    importances = np.stack([model.feature_importances_ for model in models], axis=1)  # (N, F)
    accuracies = [
        model.score(codes_test, column)
        for model, column in zip(models, factors_test.T, strict=True)
    ]
    num_latents, num_factors = importances.shape
    undefined = {}
    if num_factors == 1:
        undefined["disentanglement"] = (
            "disentanglement needs at least two factors, but there is one factor"
        )
    if num_latents == 1:
        undefined["completeness"] = (
            "completeness needs at least two latents, but there is one latent"
        )
    return DCI(
        disentanglement=None if num_factors == 1 else _concentration(importances),
        completeness=None if num_latents == 1 else _concentration(importances.T),
        informativeness=float(np.mean(accuracies)),
        importances=importances,
        undefined=undefined,
    )


def _boosted_trees(
    codes: Codes, factors: Factors, seed: int, num_workers: int, progress: Progress
) -> list[Any]:
    from sklearn.ensemble import GradientBoostingClassifier

    # Time grows with the number of values; starting with the longest keeps all workers busy.
    order = np.argsort([-len(np.unique(column)) for column in factors.T], kind="stable")
    calls = [
        (GradientBoostingClassifier(random_state=seed).fit, (codes, factors[:, factor]))
        for factor in order
    ]
    fitted = call_in_processes(calls, num_workers, progress)
    return [fitted[position] for position in np.argsort(order)]


def _forests(
    codes: Codes, factors: Factors, seed: int, num_workers: int, progress: Progress
) -> list[Any]:
    from sklearn.ensemble import RandomForestClassifier

    models = []
    for factor in range(factors.shape[1]):
        progress(factor, factors.shape[1])
        # All latents compete for each split, as in the exact variant: with few per split, latents
        # without information would get importance. Depth and leaves were chosen for agreement with
        # the exact variant.
        forest = RandomForestClassifier(
            n_estimators=20,
            max_features=None,
            max_depth=8,
            min_samples_leaf=10,
            random_state=seed,
            n_jobs=num_workers,
        )
        models.append(forest.fit(codes, factors[:, factor]))
    progress(factors.shape[1], factors.shape[1])
    return models


def _concentration(importances: NDArray[np.float64]) -> float:
    """Mean of 1 - the entropy of each row, base the length of a row, weighted by the row's sum."""
    total = importances.sum()
    if total == 0:
        return 0.0
    rows = importances + IMPORTANCE_FLOOR
    shares = rows / rows.sum(axis=1, keepdims=True)
    entropies = -(shares * np.log(shares)).sum(axis=1) / np.log(importances.shape[1])
    return float(np.sum((1 - entropies) * importances.sum(axis=1) / total))


Result = TypeVar("Result")

POLL_SECONDS = 0.2


def call_in_processes(
    calls: Sequence[tuple[Callable[..., Result], tuple]], num_workers: int, progress: Progress
) -> list[Result]:
    """Results of picklable calls (function, arguments), in their order, made in worker processes.

    With one worker the calls are made in this process. The workers have ended when this returns or
    raises; an exception of `progress` kills them.
    """
    num_workers = min(num_workers, len(calls))
    if num_workers == 1:
        results: list[Result] = []
        for function, arguments in calls:
            progress(len(results), len(calls))
            results.append(function(*arguments))
        progress(len(calls), len(calls))
        return results

    # joblib's executor, unlike the standard one, does not run the main module again in each worker,
    # which would start a second application. Its idle workers end if this process is killed.
    from joblib.externals.loky import ProcessPoolExecutor

    executor = ProcessPoolExecutor(num_workers, timeout=30)
    futures: list[Future] = []
    num_done = 0
    try:
        while num_done < len(calls):
            progress(num_done, len(calls))
            num_free = num_workers - (len(futures) - num_done)
            for function, arguments in calls[len(futures) : len(futures) + num_free]:
                futures.append(executor.submit(function, *arguments))
            unfinished = [future for future in futures if not future.done()]
            wait(unfinished, timeout=POLL_SECONDS, return_when=FIRST_COMPLETED)
            num_done = sum(future.done() for future in futures)
        progress(num_done, len(calls))
        return [future.result() for future in futures]
    finally:
        # The thread that hands out the calls fails with a KeyError if it is stopped while one
        # waits. As there are no more calls than workers, it hands out each of them at once.
        while not all(future.running() or future.done() for future in futures):
            time.sleep(0.01)
        executor.shutdown(wait=True, kill_workers=True)


def measure_dci(inputs: "EvaluationInputs", variant: Variant, table: str) -> Measurement:
    """The three scores of a run, and the importances as a table of this name."""
    result = dci(
        *inputs.fit_and_test,
        variant=variant,
        seed=inputs.settings.seed,
        num_workers=inputs.num_workers,
        progress=inputs.progress,
    )
    scores = values_or_reasons(result, "disentanglement", "completeness", "informativeness")
    return Measurement(*scores, **{table: result.importances})


SPEC = MetricSpec(
    measure=lambda inputs: measure_dci(inputs, "exact", "dci_importances"),
    scores=(
        ScoreSpec(
            "dci_disentanglement",
            "DCI disentanglement",
            "Degree to which each latent is used to predict one factor only.",
        ),
        ScoreSpec(
            "dci_completeness",
            "DCI completeness",
            "Degree to which each factor is predicted from one latent only.",
        ),
        ScoreSpec(
            "dci_informativeness",
            "DCI informativeness",
            "Accuracy of boosted trees that predict each factor from all latents.",
        ),
    ),
    estimator=lambda inputs: (
        f"{inputs.codes_in_words}; gradient boosted trees{inputs.test_in_words}"
    ),
    seconds=130,
    seconds_per_value=1.2,
    source="Eastwood and Williams 2018",
    in_paper=True,
    is_tested=True,
)
