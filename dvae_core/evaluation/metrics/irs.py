"""Interventional robustness score."""

import numpy as np
from numpy.typing import NDArray

from dvae_core.evaluation.checks import Codes, Factors, check_factors_vary, check_points
from dvae_core.evaluation.metric_spec import Measurement, MetricSpec, ScoreSpec

# Instead of the maximum, which depends on a single point; 1 gives the score of the paper.
QUANTILE = 0.99


def irs(codes: Codes, factors: Factors) -> float:
    """Robustness of each latent while one factor is fixed and all others vary, at most 1.

    For latent n and factor f, the spread S (N, F) is the 0.99 quantile of |z_n - its mean| over
    the points that share a value of f, averaged over the values. With m_n the greatest deviation of
    z_n from its mean over all points, a latent's robustness is max_f 1 - S_nf / m_n, and the score
    is the mean over latents that vary, weighted by m_n; 0 if none varies. A latent that is a
    function of one factor gives 1; the sum of two equal factors gives about 0.5 (Suter et al. 2019,
    "Robustly disentangled causal mechanisms"; quantile and weights as in disentanglement_lib's
    `irs.py`).

    Args:
        codes: (points, N).
        factors: integer (points, F), sampled independently.

    Raises:
        EvaluationError: malformed arrays, or a factor with a single value.
    """
    check_points(codes, factors)
    check_factors_vary(factors)
    varying = codes[:, np.ptp(codes, axis=0) > 0].astype(np.float64)  # (points, N that vary)
    if varying.shape[1] == 0:
        return 0.0
    largest = np.abs(varying - varying.mean(axis=0)).max(axis=0)  # (N,)
    spread = np.stack([_spread_within(varying, column) for column in factors.T], axis=1)  # (N, F)
    robustness = (1 - spread / largest[:, None]).max(axis=1)
    return float(np.average(robustness, weights=largest))


def _spread_within(codes: NDArray[np.float64], values: Factors) -> NDArray[np.float64]:
    groups = [codes[values == value] for value in np.unique(values)]
    deviations = [np.abs(group - group.mean(axis=0)) for group in groups]
    return np.mean([np.quantile(group, QUANTILE, axis=0) for group in deviations], axis=0)


SPEC = MetricSpec(
    measure=lambda inputs: Measurement(
        irs(inputs.train.codes_of_kind(inputs.kind), inputs.factors)
    ),
    scores=(
        ScoreSpec(
            "irs",
            "IRS",
            "Degree to which each latent stays constant when one factor is fixed and others vary.",
        ),
    ),
    estimator=lambda inputs: (
        f"{inputs.codes_in_words}; {QUANTILE} quantile of the deviations{inputs.draw_in_words}"
    ),
    seconds=0.5,
    source="Suter et al. 2019",
)
