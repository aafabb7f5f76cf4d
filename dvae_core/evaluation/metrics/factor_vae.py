"""FactorVAE score."""

import numpy as np
import torch

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
    candidates = varying_factors(dataset, "The FactorVAE score")
    if source is None:
        num_draws = (num_train + num_test) * BATCH_SIZE + num_variance
        source = code_source(model, dataset, num_draws, seed, progress=progress)
    generator = torch.Generator(dataset.device).manual_seed(seed)
    sample = source.codes_of(dataset.sample_factors(num_variance, generator))
    variances = sample.var(axis=0, ddof=1, dtype=np.float64)  # (N,)
    active = np.sqrt(variances) >= LEAST_DEVIATION
    if not active.any():
        return 0.0

    num_points = num_train + num_test
    fixed = draw_fixed_factors(candidates, num_points, generator)
    firsts = dataset.sample_factors(num_points, generator).cpu().numpy()  # (points, F)
    values = firsts[np.arange(num_points), fixed]
    votes = np.empty(num_points, dtype=np.int64)
    done = 0
    for factor, value, points in group_by_fixed_value(fixed, values):
        progress(done, num_points)
        factors = dataset.sample_factors(len(points) * BATCH_SIZE, generator, {factor: value})
        codes = source.codes_of(factors).reshape(len(points), BATCH_SIZE, -1)  # (points, 64, N)
        local = codes.var(axis=1, ddof=1, dtype=np.float64)[:, active]
        votes[points] = np.argmin(local / variances[active], axis=1)
        done += len(points)
    progress(num_points, num_points)
    table = np.zeros((votes.max() + 1, fixed.max() + 1), dtype=np.int64)  # (N, F)
    np.add.at(table, (votes[:num_train], fixed[:num_train]), 1)
    named = table.argmax(axis=1)[votes[num_train:]]
    return float(np.mean(named == fixed[num_train:]))


SPEC = MetricSpec(
    measure=lambda inputs: Measurement(
        factor_vae_score(
            inputs.model,
            inputs.dataset,
            inputs.settings.seed,
            source=inputs.source,
            num_train=inputs.settings.points,
            num_test=inputs.settings.test_points,
            num_variance=inputs.settings.points,
            progress=inputs.progress,
        )
    ),
    scores=(
        ScoreSpec(
            "factor_vae",
            "FactorVAE score",
            "Accuracy of naming the fixed factor from the latent that varies least.",
        ),
    ),
    estimator=lambda inputs: f"{inputs.codes_in_words}; least variance over {BATCH_SIZE} images",
    seconds=35,
    source="Kim and Mnih 2018",
    in_paper=True,
    is_tested=True,
)
