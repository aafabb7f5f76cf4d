"""Mutual information gap."""

import numpy as np

from dvae_core.evaluation.checks import (
    Codes,
    Factors,
    check_factors_vary,
    check_points,
    check_several_latents,
)
from dvae_core.evaluation.information import PAPER_BINS, Correction, measure_information
from dvae_core.evaluation.metric_spec import Measurement, MetricSpec, ScoreSpec


def mig(
    codes: Codes,
    factors: Factors,
    num_bins: int | None = PAPER_BINS,
    correction: Correction | None = None,
) -> float:
    """Gap in information between the best and the second-best latent of each factor, in [0, 1].

    Mean over factors of (I_1 - I_2) / H(v_f), where I_1 and I_2 are the largest and second largest
    mutual information between factor f and any latent (Chen et al. 2018, "Isolating sources of
    disentanglement in variational autoencoders"). Two factors that two latents encode separately
    and completely give (1 + 1) / 2 = 1; with each latent duplicated the score is 0.

    Arguments as in `mutual_information_matrix`. Codes that do not vary give 0.

    Raises:
        EvaluationError: fewer than two latents, a factor with a single value, or as in
            `mutual_information_matrix`.
    """
    check_points(codes, factors)
    check_several_latents(codes, "MIG")
    check_factors_vary(factors)
    information = measure_information(codes, factors, num_bins, correction)
    second, first = np.sort(information.matrix, axis=0)[-2:]  # (F,) each
    return float(np.mean((first - second) / information.factor_entropy))


SPEC = MetricSpec(
    measure=lambda inputs: Measurement(mig(inputs.cells, inputs.factors, *inputs.counting)),
    scores=(
        ScoreSpec(
            "mig",
            "MIG",
            "Gap in mutual information between the best and the second-best latent, averaged over "
            "factors.",
        ),
    ),
    estimator=lambda inputs: inputs.counting_in_words,
    seconds=0.02,
    source="Chen et al. 2018",
    in_paper=True,
)
