"""Mutual information between latents."""

import numpy as np
from numpy.typing import NDArray

from dvae_core.evaluation.information import latent_information_matrix
from dvae_core.evaluation.metric_spec import Measurement, MetricSpec, ScoreSpec


def _measured(matrix: NDArray[np.float64]) -> Measurement:
    num_latents = len(matrix)
    mean: float | str = "it needs at least two latents, but there is one latent"
    if num_latents > 1:
        mean = float((matrix.sum() - np.trace(matrix)) / (num_latents * (num_latents - 1)))
    return Measurement(mean, latent_information=matrix)


SPEC = MetricSpec(
    measure=lambda inputs: _measured(latent_information_matrix(inputs.cells, *inputs.counting)),
    scores=(
        ScoreSpec(
            "latent_information",
            "Information between latents, nats",
            "Mutual information between two latents, averaged over all pairs.",
            better="lower",
        ),
    ),
    estimator=lambda inputs: inputs.counting_in_words,
    seconds=0.02,
    needs_factors=False,
)
