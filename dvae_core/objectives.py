"""The objectives: the terms that training adds to the reconstruction loss.

An `Objective` is a module that computes a `Penalty` from the posterior and the code of a batch.
From top to bottom: this interface, the weighted KL (elbo, beta), the annealed capacity, the total
correlation from a discriminator (factor) and from the batch (tc), the covariances (dip_i, dip_ii),
and `build_objective`. All terms are in nats per image, averaged over the batch.

`OBJECTIVES` in dvae_core/config.py has their names, settings and papers; docs/method.md explains
how each is computed on categories.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from math import log, pi
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from dvae_core.config import FAMILIES, ObjectiveName, RunConfig
from dvae_core.models.discriminator import Discriminator
from dvae_core.models.latents import (
    CategoricalPosterior,
    GaussianPosterior,
    Posterior,
    build_latents,
)
from dvae_core.models.networks import initialize_weights


@dataclass(frozen=True)
class Penalty:
    """The terms that an objective adds to the reconstruction loss of a batch.

    Attributes:
        total: the weighted sum to minimise, a scalar.
        terms: scalars to log, by name, in the order of `term_names`; without weights unless an
            objective says otherwise.
        own_gradients: gradients of the objective's own parameters, in their order.
    """

    total: Tensor
    terms: dict[str, Tensor]
    own_gradients: tuple[Tensor, ...] = ()


class Objective(nn.Module, ABC):
    """One objective, with its weights.

    Attributes:
        term_names: names of the terms of each `Penalty`.
    """

    term_names: ClassVar[tuple[str, ...]]

    def noise(
        self, shape: tuple[int, int], generator: torch.Generator, device: torch.device
    ) -> Tensor | None:
        """Random numbers that `forward` needs for codes (B, N), or None."""
        return None

    @abstractmethod
    def forward(
        self, posterior: Posterior, code: Tensor, noise: Tensor | None, step: Tensor
    ) -> Penalty:
        """The penalty of a batch.

        Args:
            posterior: of B images.
            code: (B, N), sampled from it.
            noise: result of `noise` for this batch.
            step: number of updates before this one, a scalar.
        """

    def code_penalty(self, posterior: Posterior, code: Tensor) -> Tensor:
        """The weighted part of the penalty that depends on the code (B, N), a scalar; 0 if the
        penalty depends only on the posterior."""
        return code.new_zeros(())


def mean_kl(posterior: Posterior) -> Tensor:
    """KL(q(z|x) || p(z)) summed over latents and averaged over the batch, in nats: a scalar."""
    return posterior.kl().sum(1).mean()


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

    The KL is the mean over the batch, not that of each image.
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


class Factor(Objective):
    """KL plus gamma * total correlation (FactorVAE, Kim & Mnih 2018; FactorDVAE on categories).

    The total correlation of the aggregate posterior is estimated by a discriminator D between codes
    and codes whose columns are permuted within the batch: the mean of D_joint - D_permuted.
    """

    term_names = ("kl", "total_correlation")

    def __init__(self, num_latents: int, gamma: float) -> None:
        super().__init__()
        self.gamma = gamma
        self.discriminator = Discriminator(num_latents)

    def noise(
        self, shape: tuple[int, int], generator: torch.Generator, device: torch.device
    ) -> Tensor:
        """Uniform numbers (B, N); the order of a column is the permutation of a latent."""
        return torch.rand(shape, generator=generator, device=device)

    def forward(
        self, posterior: Posterior, code: Tensor, noise: Tensor | None, step: Tensor
    ) -> Penalty:
        assert noise is not None
        kl = mean_kl(posterior)
        permuted = code.detach().gather(0, noise.argsort(0))  # each latent separately
        compared = self.discriminator.step(code, permuted)
        return Penalty(
            kl + self.gamma * compared.log_density_ratio,
            {"kl": kl, "total_correlation": compared.log_density_ratio},
            compared.gradients,
        )

    def code_penalty(self, posterior: Posterior, code: Tensor) -> Tensor:
        return self.gamma * self.discriminator.log_density_ratio(code)


def gaussian_total_correlation(posterior: GaussianPosterior, code: Tensor) -> Tensor:
    """Estimate of the total correlation of a batch from one code (B, N) per image, in nats: a
    scalar.

    The estimate of disentanglement_lib (`total_correlation` in methods/unsupervised/vae.py) plus
    the constant (N - 1) ln B, which makes it that of the batch's mixture. Gradients are the same.
    """
    count, num_latents = code.shape
    # Density of the code of image j under the posterior of image i: (B_j, B_i, N).
    deviation = code[:, None] - posterior.mean
    log_density = -0.5 * (
        deviation.square() * (-posterior.log_variance).exp() + posterior.log_variance + log(2 * pi)
    )
    log_joint = log_density.sum(2).logsumexp(1)  # (B,)
    log_marginals = log_density.logsumexp(1)  # (B, N)
    return (log_joint - log_marginals.sum(1)).mean() + (num_latents - 1) * log(count)


def categorical_total_correlation(posterior: CategoricalPosterior, uniform: Tensor) -> Tensor:
    """Estimate of the total correlation of a batch over categories, in nats: a scalar.

    Samples of categories have no pathwise gradient, so sums replace samples where possible. The
    marginal terms are entropies and exact. In the joint term each latent in turn is summed over all
    of its categories, while the others have a drawn category (Titsias & Lazaro-Gredilla 2015,
    "Local expectation gradients"). Without relaxation or bias, the expectations of value and
    gradient over `uniform` are those of the batch's total correlation. They depend only on the
    posteriors, not on the noise scale or the decoded code.

    Args:
        posterior: of B images; latents may have different numbers of categories.
        uniform: numbers in (0, 1], (B, N), that draw a category for each latent of each image. A
            zero would draw the first category even with probability 0.
    """
    smallest = torch.finfo(uniform.dtype).tiny  # 0 log 0 is 0, but has no gradient
    log_probabilities = posterior.logits.log_softmax(-1)
    probabilities = log_probabilities.exp()  # (B, N, K)
    marginals = probabilities.mean(0).clamp_min(smallest)  # (N, K)
    marginal_entropies = -(marginals * marginals.log()).sum()
    log_aggregate = _log_aggregate(log_probabilities.detach(), uniform, smallest)
    expected = (probabilities * log_aggregate).sum(-1)  # (B, N): over latent l, the others as drawn
    # Each of the N sums estimates the value, but only all their gradients together the gradient.
    value, carrier = expected.mean(), expected.sum(1).mean()
    return carrier + (value - carrier).detach() + marginal_entropies


def _log_aggregate(log_probabilities: Tensor, uniform: Tensor, smallest: float) -> Tensor:
    """log mean_i q(z|x_i) for z drawn from each posterior j, with each latent set to each of its
    categories: (B_j, N, K)."""
    count, num_latents, _ = log_probabilities.shape
    probabilities = log_probabilities.exp()
    drawn = _draw_categories(probabilities, uniform)  # (B_j, N)
    by_latent = log_probabilities.transpose(0, 1)  # (N, B_i, K)
    picked = by_latent.gather(2, drawn.T[:, None].expand(-1, count, -1))  # (N, B_i, B_j)
    # Subtracting a latent's own part from the sum would lose precision for improbable categories.
    all_but_one = 1.0 - torch.eye(num_latents, dtype=picked.dtype, device=picked.device)
    others = (all_but_one @ picked.flatten(1)).view_as(picked)
    peak = others.amax(1, keepdim=True)  # (N, 1, B_j)
    weights = (others - peak).exp().transpose(1, 2)  # (N, B_j, B_i)
    mixture = weights @ probabilities.transpose(0, 1)  # (N, B_j, K)
    log_mixture = mixture.clamp_min(smallest).log() + peak.transpose(1, 2) - log(count)
    return log_mixture.transpose(0, 1)


def _draw_categories(probabilities: Tensor, uniform: Tensor) -> Tensor:
    """First category (B, N) whose cumulative probability reaches the uniform number (B, N). A
    category of probability 0 is never drawn."""
    cumulated = probabilities.cumsum(-1)
    reached = uniform.unsqueeze(-1) * cumulated[..., -1:]  # sums are not exactly 1
    return (cumulated < reached).sum(-1)


class _TotalCorrelation(Objective):
    """KL plus (beta - 1) * total correlation of the batch (beta-TCVAE, Chen et al. 2018)."""

    term_names = ("kl", "total_correlation")

    def __init__(self, beta: float) -> None:
        super().__init__()
        self.beta = beta

    @abstractmethod
    def estimate(self, posterior: Posterior, code: Tensor, noise: Tensor | None) -> Tensor:
        """Total correlation of a batch in nats, a scalar; arguments as in `forward`."""

    def forward(
        self, posterior: Posterior, code: Tensor, noise: Tensor | None, step: Tensor
    ) -> Penalty:
        kl = mean_kl(posterior)
        correlation = self.estimate(posterior, code, noise)
        return Penalty(
            kl + (self.beta - 1.0) * correlation, {"kl": kl, "total_correlation": correlation}
        )


class GaussianTotalCorrelation(_TotalCorrelation):
    """beta-TCVAE on Gaussian latents, as in disentanglement_lib."""

    def estimate(self, posterior: Posterior, code: Tensor, noise: Tensor | None) -> Tensor:
        assert isinstance(posterior, GaussianPosterior)
        return gaussian_total_correlation(posterior, code)

    def code_penalty(self, posterior: Posterior, code: Tensor) -> Tensor:
        return (self.beta - 1.0) * self.estimate(posterior, code, None)


class CategoricalTotalCorrelation(_TotalCorrelation):
    """beta-TCVAE on categories, in our own formulation."""

    def noise(
        self, shape: tuple[int, int], generator: torch.Generator, device: torch.device
    ) -> Tensor:
        """Uniform numbers (B, N) that draw categories."""
        return 1.0 - torch.rand(shape, generator=generator, device=device)

    def estimate(self, posterior: Posterior, code: Tensor, noise: Tensor | None) -> Tensor:
        assert isinstance(posterior, CategoricalPosterior)
        assert noise is not None
        return categorical_total_correlation(posterior, noise)


# Ratio of the weights of variances and covariances, as in disentanglement_lib.
DIAGONAL_FACTOR = {"i": 10.0, "ii": 1.0}


class Dip(Objective):
    """KL plus weight * (sum of squared covariances between latents + d * sum of squared distances
    of their variances from those of the prior).

    Variant i uses the covariance of the mean codes over the batch, with d = 10. Variant ii adds the
    mean variance of the posteriors, which gives the covariance of the codes, with d = 1 (`DIPVAE`
    in disentanglement_lib). The prior variance of K categories from -1 to 1 is (K + 1) / (3 (K -
    1)), not 1.

    The term `dip` is logged with its weight, which gives it the unit nats.
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


# The class of each objective of `dvae_core.config.OBJECTIVES`.
BUILDERS: dict[ObjectiveName, Callable[[RunConfig], Objective]] = {
    "elbo": lambda config: WeightedKl(),
    "beta": lambda config: WeightedKl(config.beta),
    "annealed": lambda config: AnnealedCapacity(
        config.capacity_weight, config.capacity_max, min(config.capacity_steps, config.steps)
    ),
    "factor": lambda config: Factor(config.num_latents, config.gamma),
    "tc": lambda config: (
        CategoricalTotalCorrelation(config.beta)
        if FAMILIES[config.latents].has_categories
        else GaussianTotalCorrelation(config.beta)
    ),
    "dip_i": lambda config: Dip("i", config.dip_weight, _prior_variance(config)),
    "dip_ii": lambda config: Dip("ii", config.dip_weight, _prior_variance(config)),
}


def build_objective(config: RunConfig, generator: torch.Generator | None = None) -> Objective:
    """The objective of a config. Without a generator, the weights of a discriminator are arbitrary
    and must be loaded."""
    objective = BUILDERS[config.objective](config)
    if generator is not None:
        initialize_weights(objective, generator)
    return objective


def _prior_variance(config: RunConfig) -> Tensor:
    """Variance (N,) of the prior."""
    return build_latents(config).prior().code_variance()[0]
