"""Separated attribute predictability."""

import numpy as np
from numpy.typing import NDArray

from dvae_core.evaluation.checks import (
    Codes,
    Factors,
    check_several_latents,
    check_train_and_test,
)
from dvae_core.evaluation.metric_spec import Measurement, MetricSpec, ScoreSpec
from dvae_core.progress import Progress, no_progress


def sap(
    codes_train: Codes,
    factors_train: Factors,
    codes_test: Codes,
    factors_test: Factors,
    *,
    progress: Progress = no_progress,
) -> float:
    """Gap in accuracy between the best and the second-best latent of each factor, in [0, 1].

    Mean over factors of the difference between the two best test accuracies that any single latent
    reaches (Kumar et al. 2018, "Variational inference of disentangled latent concepts from
    unlabeled observations"). Codes that do not vary give 0.

    Arguments as in `predictability_matrix`.

    Raises:
        EvaluationError: fewer than two latents, or as in `predictability_matrix`.
    """
    check_train_and_test(codes_train, factors_train, codes_test, factors_test)
    check_several_latents(codes_train, "SAP")
    accuracies = predictability_matrix(
        codes_train, factors_train, codes_test, factors_test, progress=progress
    )
    second, first = np.sort(accuracies, axis=0)[-2:]  # (F,) each
    return float(np.mean(first - second))


def predictability_matrix(
    codes_train: Codes,
    factors_train: Factors,
    codes_test: Codes,
    factors_test: Factors,
    *,
    progress: Progress = no_progress,
) -> NDArray[np.float64]:
    """Test accuracy, (N, F), of a linear support vector machine on a single latent.

    One against the rest, squared hinge loss, C = 0.01, classes weighted by their inverse frequency
    (disentanglement_lib, `sap_score.py`). Solves the primal problem, with two numbers per class
    instead of the dual's one number per point.

    Args:
        codes_train: (points, N), with factors_train integer (points, F).
        codes_test: (points, N), with factors_test integer (points, F).
        progress: called with latents done.

    Raises:
        EvaluationError: malformed arrays, or a factor with a single value in training.
    """
    from sklearn.svm import LinearSVC

    check_train_and_test(codes_train, factors_train, codes_test, factors_test)
    num_latents, num_factors = codes_train.shape[1], factors_train.shape[1]
    accuracies = np.empty((num_latents, num_factors))
    for latent in range(num_latents):
        progress(latent, num_latents)
        column_train = codes_train[:, latent : latent + 1].astype(np.float64)  # (points, 1)
        column_test = codes_test[:, latent : latent + 1].astype(np.float64)
        for factor in range(num_factors):
            machine = LinearSVC(C=0.01, class_weight="balanced", dual=False)
            machine.fit(column_train, factors_train[:, factor])
            accuracies[latent, factor] = machine.score(column_test, factors_test[:, factor])
    progress(num_latents, num_latents)
    return accuracies


SPEC = MetricSpec(
    measure=lambda inputs: Measurement(sap(*inputs.fit_and_test, progress=inputs.progress)),
    scores=(
        ScoreSpec(
            "sap",
            "SAP",
            "Gap in classification accuracy between the best and the second-best latent, averaged "
            "over factors.",
        ),
    ),
    estimator=lambda inputs: f"{inputs.codes_in_words}; linear SVM, C = 0.01{inputs.test_in_words}",
    seconds=3,
    source="Kumar et al. 2018",
    in_paper=True,
    is_tested=True,
)
