"""BetaVAE score."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dvae_core.data.dataset import Dataset
from dvae_core.errors import EvaluationError
from dvae_core.evaluation.fixed_factor import (
    BATCH_SIZE,
    DatasetDraws,
    Draws,
    fixable,
    group_by_fixed_value,
)
from dvae_core.evaluation.metric_spec import Measurement, MetricSpec, ScoreSpec
from dvae_core.evaluation.representation import CodeSource, Encoder, code_source
from dvae_core.progress import Progress, no_progress

if TYPE_CHECKING:
    from dvae_core.evaluation.inputs import EvaluationInputs

METRIC = "The BetaVAE score"
NUM_TRAIN, NUM_TEST = 10_000, 5_000


def beta_vae_score(
    model: Encoder,
    dataset: Dataset,
    seed: int,
    *,
    source: CodeSource | None = None,
    num_train: int = NUM_TRAIN,
    num_test: int = NUM_TEST,
    progress: Progress = no_progress,
) -> float:
    """Accuracy of a linear classifier that names the factor in which 64 pairs of images agree.

    Its inputs are the mean absolute differences of the two codes, one per latent (Higgins et al.
    2017, "beta-VAE", as in disentanglement_lib's `beta_vae.py`: logistic regression with
    scikit-learn's default penalty, solver newton-cg). In [0, 1]; chance is 1 / F.

    Args:
        model: on the device of the data set.
        dataset: with at least two factors; those with a single value are left out.
        seed: of all draws.
        source: gives the codes; None encodes the images that are needed.
        num_train: points to fit the classifier to.
        num_test: points for the accuracy.
        progress: called with images encoded, then with points done.

    Raises:
        EvaluationError: fewer than two factors vary.
    """
    if source is None:
        num_draws = 2 * (num_train + num_test) * BATCH_SIZE
        source = code_source(model, dataset, num_draws, seed, progress=progress)
    draws = DatasetDraws(dataset, source, seed, METRIC)
    return beta_vae_accuracy(draws, draws, num_train, num_test, progress)


def beta_vae_accuracy(
    fit: Draws, test: Draws, num_train: int, num_test: int, progress: Progress = no_progress
) -> float:
    """`beta_vae_score` of images to fit the classifier to and others to test it on; both can be the
    same."""
    from sklearn.linear_model import LogisticRegression

    factors = fixable(fit, test, METRIC)
    total = num_train + num_test
    train_features, train_fixed = _points(
        fit, factors, num_train, lambda done, _: progress(done, total)
    )
    test_features, test_fixed = _points(
        test, factors, num_test, lambda done, _: progress(num_train + done, total)
    )
    if len(set(train_fixed.tolist())) == 1:
        raise EvaluationError(
            f"all {num_train:,} training points fix the same factor: draw more points"
        )
    classifier = LogisticRegression(solver="newton-cg")
    # The line search may stop improving before the tolerance is reached; scikit-learn warns of it.
    classifier.fit(train_features, train_fixed)
    return float(classifier.score(test_features, test_fixed))


def _points(
    draws: Draws, factors: NDArray[np.int64], count: int, progress: Progress
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Mean absolute differences of codes (points, N), and the factor that each point fixes."""
    fixed = draws.choose(count, factors)
    fixed_by_pair = np.repeat(fixed, BATCH_SIZE)
    values = draws.values(fixed_by_pair)
    distances: NDArray[np.float32] | None = None
    done = 0
    for factor, value, pairs in group_by_fixed_value(fixed_by_pair, values):
        progress(done // BATCH_SIZE, count)
        firsts, seconds = (draws.codes_with(len(pairs), factor, value) for _ in range(2))
        if distances is None:
            distances = np.empty((len(values), firsts.shape[1]), dtype=np.float32)
        distances[pairs] = np.abs(firsts - seconds)
        done += len(pairs)
    progress(count, count)
    assert distances is not None
    # (pairs, N) -> (points, 64, N) -> (points, N)
    return distances.reshape(count, BATCH_SIZE, -1).mean(axis=1, dtype=np.float64), fixed


def _measure(inputs: "EvaluationInputs") -> Measurement:
    fit, test = inputs.draws(METRIC)
    points, test_points = inputs.settings.points, inputs.settings.test_points
    return Measurement(beta_vae_accuracy(fit, test, points, test_points, inputs.progress))


SPEC = MetricSpec(
    measure=_measure,
    scores=(
        ScoreSpec(
            "beta_vae",
            "BetaVAE score",
            "Accuracy of a linear classifier that names the fixed factor from code differences.",
        ),
    ),
    estimator=lambda inputs: (
        f"{inputs.codes_in_words}; logistic regression on {BATCH_SIZE} pairs{inputs.test_in_words}"
    ),
    seconds=40,
    source="Higgins et al. 2017",
    in_paper=True,
    is_tested=True,
)
