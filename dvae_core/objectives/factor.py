"""The total correlation, estimated by a discriminator."""

import torch
from torch import Tensor

from dvae_core.models.discriminator import Discriminator
from dvae_core.models.latents import Posterior
from dvae_core.objectives.base import Objective, Penalty, mean_kl


class Factor(Objective):
    """KL plus gamma * total correlation (FactorVAE, Kim & Mnih 2018; FactorDVAE on categories).

    The total correlation of the aggregate posterior is estimated by a discriminator D that tells
    codes from codes whose columns were permuted within the batch: mean of D_joint - D_permuted.
    """

    term_names = ("kl", "total_correlation")

    def __init__(self, num_latents: int, gamma: float) -> None:
        super().__init__()
        self.gamma = gamma
        self.discriminator = Discriminator(num_latents)

    def noise(
        self, shape: tuple[int, int], generator: torch.Generator, device: torch.device
    ) -> Tensor:
        """Uniform numbers (B, N), whose order by column is the permutation of each latent."""
        return torch.rand(shape, generator=generator, device=device)

    def forward(
        self, posterior: Posterior, code: Tensor, noise: Tensor | None, step: Tensor
    ) -> Penalty:
        assert noise is not None
        kl = mean_kl(posterior)
        permuted = code.detach().gather(0, noise.argsort(0))  # each latent on its own
        game = self.discriminator.play(code, permuted)
        return Penalty(
            kl + self.gamma * game.log_density_ratio,
            {"kl": kl, "total_correlation": game.log_density_ratio},
            game.gradients,
        )

    def code_penalty(self, posterior: Posterior, code: Tensor) -> Tensor:
        return self.gamma * self.discriminator.log_density_ratio(code)
