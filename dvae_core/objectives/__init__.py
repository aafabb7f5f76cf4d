"""What a training adds to the reconstruction.

An objective looks at the posterior and the sampled code of a batch and returns a `Penalty`. One
that plays against a network of its own (the factor objective) also returns that network's
gradients, taken at the same parameters, as the reference implementation does.
"""

import torch
from torch import Tensor

from dvae_core.config import RunConfig
from dvae_core.models.networks import initialize_weights
from dvae_core.models.vae import build_latents
from dvae_core.objectives.base import Objective, Penalty
from dvae_core.objectives.dip import Dip
from dvae_core.objectives.factor import Factor
from dvae_core.objectives.kl import AnnealedCapacity, WeightedKl
from dvae_core.objectives.total_correlation import (
    CategoricalTotalCorrelation,
    GaussianTotalCorrelation,
)

__all__ = ["Objective", "Penalty", "build_objective"]


def build_objective(config: RunConfig, generator: torch.Generator | None = None) -> Objective:
    """The objective that a config names.

    Args:
        config: of a run; its latents decide how some objectives are computed.
        generator: draws the weights of a discriminator; without it they are arbitrary, to be
            loaded.
    """
    objective = _build(config)
    if generator is not None:
        initialize_weights(objective, generator)
    return objective


def _build(config: RunConfig) -> Objective:
    match config.objective:
        case "elbo":
            return WeightedKl()
        case "beta":
            return WeightedKl(config.beta)
        case "annealed":
            steps = min(config.capacity_steps, config.steps)
            return AnnealedCapacity(config.capacity_weight, config.capacity_max, steps)
        case "factor":
            return Factor(config.num_latents, config.gamma)
        case "tc" if config.latents == "gaussian":
            return GaussianTotalCorrelation(config.beta)
        case "tc":
            return CategoricalTotalCorrelation(config.beta)
        case "dip_i":
            return Dip("i", config.dip_weight, _prior_variance(config))
        case "dip_ii":
            return Dip("ii", config.dip_weight, _prior_variance(config))


def _prior_variance(config: RunConfig) -> Tensor:
    """Variance (N,) of a code of the prior, which is the posterior of an encoder that says 0."""
    latents = build_latents(config)
    return latents.posterior(torch.zeros(1, latents.head_size)).code_variance()[0]
