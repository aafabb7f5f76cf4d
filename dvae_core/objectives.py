"""What a training adds to the reconstruction.

An objective looks at the posterior and the sampled code of a batch and returns a `Penalty`. One
that plays against a network of its own (the factor objective) also returns that network's
gradients, taken at the same parameters, as the reference implementation does.
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from dvae_core.config import ObjectiveConfig
from dvae_core.models.discriminator import Discriminator
from dvae_core.models.latents import Posterior
from dvae_core.models.networks import initialize_weights


@dataclass(frozen=True)
class Penalty:
    """What is added to the reconstruction, averaged over the batch.

    Attributes:
        total: the weighted sum to minimise, nats per image, a scalar.
        terms: the unweighted parts by name, nats per image, scalars, to be logged.
        own_gradients: of the objective's own parameters, in their order; none where it has none.
    """

    total: Tensor
    terms: dict[str, Tensor] = field(default_factory=dict)
    own_gradients: tuple[Tensor, ...] = ()


class Elbo(nn.Module):
    """KL(q(z|x) || p(z)) with weight 1: the negative evidence lower bound."""

    def noise(
        self, shape: tuple[int, int], generator: torch.Generator, device: torch.device
    ) -> Tensor | None:
        """Random numbers that `forward` needs for a batch of codes (B, N): none."""
        return None

    def forward(self, posterior: Posterior, code: Tensor, noise: Tensor | None) -> Penalty:
        """The penalty of a batch of codes (B, N)."""
        kl = posterior.kl().sum(1).mean()
        return Penalty(kl, {"kl": kl})


class Factor(Elbo):
    """ELBO plus gamma * total correlation (FactorVAE, Kim & Mnih 2018; FactorDVAE on categories).

    The total correlation of the aggregate posterior is estimated by a discriminator D that tells
    codes from codes whose columns were permuted within the batch: mean of D_joint - D_permuted.
    """

    def __init__(self, num_latents: int, gamma: float) -> None:
        super().__init__()
        self.gamma = gamma
        self.discriminator = Discriminator(num_latents)

    def noise(
        self, shape: tuple[int, int], generator: torch.Generator, device: torch.device
    ) -> Tensor:
        """Uniform numbers (B, N), whose order by column is the permutation of each latent."""
        return torch.rand(shape, generator=generator, device=device)

    def forward(self, posterior: Posterior, code: Tensor, noise: Tensor | None) -> Penalty:
        """The penalty of a batch of codes (B, N), and the discriminator's gradients."""
        assert noise is not None
        kl = posterior.kl().sum(1).mean()
        permuted = code.detach().gather(0, noise.argsort(0))  # each latent on its own
        game = self.discriminator.play(code, permuted)
        return Penalty(
            kl + self.gamma * game.log_density_ratio,
            {"kl": kl, "total_correlation": game.log_density_ratio},
            game.gradients,
        )

    def total_correlation(self, code: Tensor) -> Tensor:
        """The discriminator's estimate on codes (B, N), in nats, a scalar."""
        return self.discriminator.log_density_ratio(code)


Objective = Elbo | Factor


def build_objective(
    config: ObjectiveConfig, num_latents: int, generator: torch.Generator | None = None
) -> Objective:
    """The objective that a config names.

    Args:
        config: name and weights.
        num_latents: N.
        generator: draws the weights of a discriminator; without it they are arbitrary, to be
            loaded.
    """
    if config.objective == "elbo":
        return Elbo()
    objective = Factor(num_latents, config.gamma)
    if generator is not None:
        initialize_weights(objective, generator)
    return objective
