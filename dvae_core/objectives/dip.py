"""Objectives on the covariance of codes (DIP-VAE, Kumar et al. 2018)."""

from typing import Literal

from torch import Tensor

from dvae_core.models.latents import Posterior
from dvae_core.objectives.base import Objective, Penalty, mean_kl

# Weight of the variances over that of the covariances, as in disentanglement_lib.
DIAGONAL_FACTOR = {"i": 10.0, "ii": 1.0}


class Dip(Objective):
    """KL plus weight * (sum of squared covariances between latents + d * sum of squared distances
    of their variances from those of the prior).

    Variant i takes the covariance of the mean codes over the batch, with d = 10. Variant ii adds
    the mean variance of the posteriors, which makes it the covariance of the codes themselves, with
    d = 1 (`DIPVAE` in disentanglement_lib). Codes of categories are compared with the variance of
    their own prior, which is (K + 1) / (3 (K - 1)) on K categories from -1 to 1, and not 1.

    The term `dip` is logged with its weight: it is the weight that turns squared covariances into
    nats.
    """

    term_names = ("kl", "dip")
    prior_variance: Tensor

    def __init__(self, variant: Literal["i", "ii"], weight: float, prior_variance: Tensor) -> None:
        super().__init__()
        self.variant = variant
        self.weight = weight
        self.register_buffer("prior_variance", prior_variance, persistent=False)  # (N,)

    def forward(
        self, posterior: Posterior, code: Tensor, noise: Tensor | None, step: Tensor
    ) -> Penalty:
        kl = mean_kl(posterior)
        means = posterior.mean_code()  # (B, N)
        centred = means - means.mean(0)
        covariance = centred.T @ centred / len(means)  # (N, N)
        variance = covariance.diagonal()
        between = covariance - variance.diag()
        if self.variant == "ii":
            variance = variance + posterior.code_variance().mean(0)
        excess = variance - self.prior_variance
        diagonal_factor = DIAGONAL_FACTOR[self.variant]
        dip = self.weight * (between.square().sum() + diagonal_factor * excess.square().sum())
        return Penalty(kl + dip, {"kl": kl, "dip": dip})
