"""FactorVAE score."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dvae_core.data.dataset import Dataset
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

METRIC = "The FactorVAE score"
# Latents with a smaller standard deviation have collapsed and get no votes.
LEAST_DEVIATION = 0.05
NUM_TRAIN, NUM_TEST, NUM_VARIANCE = 10_000, 5_000, 10_000


def factor_vae_score(
    model: Encoder,
    dataset: Dataset,
    seed: int,
    *,
    source: CodeSource | None = None,
    num_train: int = NUM_TRAIN,
    num_test: int = NUM_TEST,
    num_variance: int = NUM_VARIANCE,
    progress: Progress = no_progress,
) -> float:
    """Accuracy of naming the factor that 64 images share from the latent that varies least.

    Each point fixes one factor over 64 images and votes for the latent with the least variance
    among them, relative to its variance over the whole set. A majority vote over training points
    assigns a factor to each latent; the score is the accuracy on test points, in [0, 1] (Kim and
    Mnih 2018, "Disentangling by factorising", as in disentanglement_lib's `factor_vae.py`). Latents
    with a standard deviation below 0.05 get no votes; the score is 0 if there are no others.

    Args:
        model: on the device of the data set.
        dataset: with at least two factors; those with a single value are left out.
        seed: of all draws.
        source: gives the codes; None encodes the images that are needed.
        num_train: points for the majority vote.
        num_test: points for the accuracy.
        num_variance: images for the variances over the whole set.
        progress: called with images encoded, then with points done.

    Raises:
        EvaluationError: fewer than two factors vary.
    """
    if source is None:
        num_draws = (num_train + num_test) * BATCH_SIZE + num_variance
        source = code_source(model, dataset, num_draws, seed, progress=progress)
    draws = DatasetDraws(dataset, source, seed, METRIC)
    return factor_vae_accuracy(draws, draws, num_train, num_test, num_variance, progress)


def factor_vae_accuracy(
    fit: Draws,
    test: Draws,
    num_train: int,
    num_test: int,
    num_variance: int,
    progress: Progress = no_progress,
) -> float:
    """`factor_vae_score` of images for the variances and the majority vote, and of others for the
    accuracy; both can be the same."""
    factors = fixable(fit, test, METRIC)
    variances = fit.codes(num_variance).var(axis=0, ddof=1, dtype=np.float64)  # (N,)
    active = np.sqrt(variances) >= LEAST_DEVIATION
    if not active.any():
        return 0.0

    def votes(
        draws: Draws, count: int, done_before: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The latent that each point votes for, and the factor that it fixes."""
        fixed = draws.choose(count, factors)
        found = np.empty(count, dtype=np.int64)
        done = done_before
        for factor, value, points in group_by_fixed_value(fixed, draws.values(fixed)):
            progress(done, num_train + num_test)
            codes = draws.codes_with(len(points) * BATCH_SIZE, factor, value)
            codes = codes.reshape(len(points), BATCH_SIZE, -1)  # (points, 64, N)
            local = codes.var(axis=1, ddof=1, dtype=np.float64)[:, active]
            found[points] = np.argmin(local / variances[active], axis=1)
            done += len(points)
        progress(done, num_train + num_test)
        return found, fixed

    voted, fixed = votes(fit, num_train, 0)
    table = np.zeros((len(variances), factors.max() + 1), dtype=np.int64)  # (N, F)
    np.add.at(table, (voted, fixed), 1)
    voted, fixed = votes(test, num_test, num_train)
    return float(np.mean(table.argmax(axis=1)[voted] == fixed))


def _measure(inputs: "EvaluationInputs") -> Measurement:
    fit, test = inputs.draws(METRIC)
    points, test_points = inputs.settings.points, inputs.settings.test_points
    return Measurement(factor_vae_accuracy(fit, test, points, test_points, points, inputs.progress))


SPEC = MetricSpec(
    measure=_measure,
    scores=(
        ScoreSpec(
            "factor_vae",
            "FactorVAE score",
            "Accuracy of naming the fixed factor from the latent that varies least.",
        ),
    ),
    estimator=lambda inputs: (
        f"{inputs.codes_in_words}; least variance over {BATCH_SIZE} images{inputs.test_in_words}"
    ),
    seconds=35,
    source="Kim and Mnih 2018",
    in_paper=True,
    is_tested=True,
)
