"""BetaVAE score."""

import warnings

import numpy as np
import torch
from numpy.typing import NDArray

from dvae_core.data.dataset import Dataset
from dvae_core.evaluation.fixed_factor import (
    BATCH_SIZE,
    draw_fixed_factors,
    group_by_fixed_value,
    varying_factors,
)
from dvae_core.evaluation.metric_spec import Measurement, MetricSpec, ScoreSpec
from dvae_core.evaluation.representation import CodeSource, Encoder, code_source
from dvae_core.progress import Progress, no_progress

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
        progress: called with images encoded, then with pairs done.

    Raises:
        EvaluationError: fewer than two factors vary.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    candidates = varying_factors(dataset, "The BetaVAE score")
    num_points = num_train + num_test
    num_pairs = num_points * BATCH_SIZE
    if source is None:
        source = code_source(model, dataset, 2 * num_pairs, seed, progress=progress)
    generator = torch.Generator(dataset.device).manual_seed(seed)
    fixed = draw_fixed_factors(candidates, num_points, generator)
    fixed_by_pair = np.repeat(fixed, BATCH_SIZE)
    firsts = dataset.sample_factors(num_pairs, generator)  # (pairs, F)
    values = firsts.cpu().numpy()[np.arange(num_pairs), fixed_by_pair]

    distances: NDArray[np.float32] | None = None
    done = 0
    for factor, value, pairs in group_by_fixed_value(fixed_by_pair, values):
        progress(done, num_pairs)
        seconds = dataset.sample_factors(len(pairs), generator, {factor: value})
        rows = torch.from_numpy(pairs).to(firsts.device)
        difference = source.codes_of(firsts[rows]) - source.codes_of(seconds)
        if distances is None:
            distances = np.empty((num_pairs, difference.shape[1]), dtype=np.float32)
        distances[pairs] = np.abs(difference)
        done += len(pairs)
    progress(num_pairs, num_pairs)
    assert distances is not None
    # (pairs, N) -> (points, 64, N) -> (points, N)
    features = distances.reshape(num_points, BATCH_SIZE, -1).mean(axis=1, dtype=np.float64)

    classifier = LogisticRegression(solver="newton-cg")
    with warnings.catch_warnings():
        # The line search may stop improving before the tolerance is reached.
        warnings.simplefilter("ignore", ConvergenceWarning)
        classifier.fit(features[:num_train], fixed[:num_train])
    return float(classifier.score(features[num_train:], fixed[num_train:]))


SPEC = MetricSpec(
    measure=lambda inputs: Measurement(
        beta_vae_score(
            inputs.model,
            inputs.dataset,
            inputs.settings.seed,
            source=inputs.source,
            num_train=inputs.settings.points,
            num_test=inputs.settings.test_points,
            progress=inputs.progress,
        )
    ),
    scores=(
        ScoreSpec(
            "beta_vae",
            "BetaVAE score",
            "Accuracy of a linear classifier that names the fixed factor from code differences.",
        ),
    ),
    estimator=lambda inputs: f"{inputs.codes_in_words}; logistic regression on {BATCH_SIZE} pairs",
    seconds=40,
    source="Higgins et al. 2017",
    in_paper=True,
    is_tested=True,
)
