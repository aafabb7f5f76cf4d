"""Objectives of the KL alone."""

from torch import Tensor

from dvae_core.models.latents import Posterior
from dvae_core.objectives.base import Objective, Penalty, mean_kl


class WeightedKl(Objective):
    """beta * KL(q(z|x) || p(z)): beta-VAE (Higgins et al. 2017); with beta = 1 the negative
    evidence lower bound."""

    term_names = ("kl",)

    def __init__(self, beta: float = 1.0) -> None:
        super().__init__()
        self.beta = beta

    def forward(
        self, posterior: Posterior, code: Tensor, noise: Tensor | None, step: Tensor
    ) -> Penalty:
        kl = mean_kl(posterior)
        return Penalty(self.beta * kl, {"kl": kl})


class AnnealedCapacity(Objective):
    """weight * |KL - c|, where the capacity c rises linearly from 0 to `maximum` nats over `steps`
    steps and stays there (Burgess et al. 2018, equation 8; `AnnealedVAE` in disentanglement_lib).

    The KL is that of the batch, and no image's own.
    """

    term_names = ("kl", "capacity", "capacity_distance")

    def __init__(self, weight: float, maximum: float, steps: int) -> None:
        super().__init__()
        self.weight = weight
        self.maximum = maximum
        self.steps = steps

    def forward(
        self, posterior: Posterior, code: Tensor, noise: Tensor | None, step: Tensor
    ) -> Penalty:
        kl = mean_kl(posterior)
        capacity = self.maximum * (step / self.steps).clamp(max=1.0)
        distance = (kl - capacity).abs()
        return Penalty(
            self.weight * distance,
            {"kl": kl, "capacity": capacity, "capacity_distance": distance},
        )
