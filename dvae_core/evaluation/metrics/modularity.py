"""Modularity."""

import numpy as np

from dvae_core.evaluation.checks import (
    Codes,
    Factors,
    check_factors_vary,
    check_points,
    check_several_factors,
)
from dvae_core.evaluation.information import PAPER_BINS, Correction, measure_information
from dvae_core.evaluation.metric_spec import Measurement, MetricSpec, ScoreSpec


def modularity(
    codes: Codes,
    factors: Factors,
    num_bins: int | None = PAPER_BINS,
    correction: Correction | None = None,
) -> float:
    """Degree to which each latent is informative about one factor only, in [0, 1].

    Mean over latents of 1 - (sum_f I_f^2 - max_f I_f^2) / (max_f I_f^2 (F - 1)), where I_f is the
    mutual information with factor f (Ridgeway and Mozer 2018, "Learning deep disentangled
    embeddings with the F-statistic loss"). A latent with information about one factor counts 1; a
    latent with equal information about all factors, or none about any, counts 0.

    Arguments as in `mutual_information_matrix`.

    Raises:
        EvaluationError: fewer than two factors, a factor with a single value, or as in
            `mutual_information_matrix`.
    """
    check_points(codes, factors)
    check_several_factors(factors.shape[1], "Modularity")
    check_factors_vary(factors)
    squares = measure_information(codes, factors, num_bins, correction).matrix ** 2  # (N, F)
    largest = squares.max(axis=1)  # (N,)
    others = squares.sum(axis=1) - largest
    informative = largest > 0
    spread = others[informative] / (largest[informative] * (factors.shape[1] - 1))
    return float(np.sum(1 - spread) / len(squares))


SPEC = MetricSpec(
    measure=lambda inputs: Measurement(modularity(inputs.cells, inputs.factors, *inputs.counting)),
    scores=(
        ScoreSpec(
            "modularity",
            "Modularity",
            "Degree to which each latent is informative about one factor only.",
        ),
    ),
    estimator=lambda inputs: inputs.counting_in_words,
    seconds=0.02,
    source="Ridgeway and Mozer 2018",
    in_paper=True,
)
