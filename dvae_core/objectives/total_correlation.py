"""The total correlation, estimated from the posteriors of a batch (beta-TCVAE).

The aggregate posterior of a batch is the mixture of its B posteriors, q(z) = mean_i q(z|x_i). Its
total correlation is KL(q(z) || prod_l q(z_l)) = E log q(z) - sum_l E log q(z_l), where z is drawn
by taking one code of each image. As with every batch, that of few images stands for that of all.
"""

from abc import abstractmethod
from math import log, pi

import torch
from torch import Tensor

from dvae_core.models.latents import CategoricalPosterior, GaussianPosterior, Posterior
from dvae_core.objectives.base import Objective, Penalty, mean_kl


def gaussian_total_correlation(posterior: GaussianPosterior, code: Tensor) -> Tensor:
    """Estimate of the total correlation of a batch from one code (B, N) of each image, in nats: a
    scalar.

    That of disentanglement_lib (`total_correlation` in methods/unsupervised/vae.py) plus
    (N - 1) ln B, the constant by which it is that of the batch's mixture; gradients are the same.
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

    Categories have no density that a code could be moved through, so that a sample of them carries
    no gradient, and what a sample does carry, grad log q(z), is zero in the mean. Hence nothing is
    sampled that can be summed. The marginal terms are entropies and are exact. In the joint term
    each latent in turn is summed over all of its categories while the others hold one that was
    drawn (Titsias & Lazaro-Gredilla 2015, "Local expectation gradients"). Value and gradient are
    those of the batch's total correlation in the mean over `uniform`, without relaxation or bias,
    and depend on the posteriors alone: not on the scale of the noise, nor on the code decoded.

    Args:
        posterior: of B images; latents may have different numbers of categories.
        uniform: numbers in (0, 1], (B, N), that draw a category for each latent of each image.
            A zero would draw the first category however improbable.
    """
    smallest = torch.finfo(uniform.dtype).tiny  # 0 log 0 is 0, but has no gradient
    log_chances = posterior.logits.log_softmax(-1)
    chances = log_chances.exp()  # (B, N, K)
    marginals = chances.mean(0).clamp_min(smallest)  # (N, K)
    marginal_entropies = -(marginals * marginals.log()).sum()
    log_aggregate = _log_aggregate(log_chances.detach(), uniform, smallest)
    expected = (chances * log_aggregate).sum(-1)  # (B, N): over latent l, the others as drawn
    # Each of the N is an estimate of the value; the gradients of all of them add up to the whole.
    value, carrier = expected.mean(), expected.sum(1).mean()
    return carrier + (value - carrier).detach() + marginal_entropies


def _log_aggregate(log_chances: Tensor, uniform: Tensor, smallest: float) -> Tensor:
    """log mean_i q(z|x_i) for the z drawn from each posterior j, with latent l set to each of its
    categories in turn: (B_j, N, K)."""
    count, num_latents, _ = log_chances.shape
    chances = log_chances.exp()
    drawn = _draw_categories(chances, uniform)  # (B_j, N)
    by_latent = log_chances.transpose(0, 1)  # (N, B_i, K)
    picked = by_latent.gather(2, drawn.T[:, None].expand(-1, count, -1))  # (N, B_i, B_j)
    # A sum minus its own part would lose the rest beside a very improbable category.
    all_but_one = 1.0 - torch.eye(num_latents, dtype=picked.dtype, device=picked.device)
    others = (all_but_one @ picked.flatten(1)).view_as(picked)
    peak = others.amax(1, keepdim=True)  # (N, 1, B_j)
    weights = (others - peak).exp().transpose(1, 2)  # (N, B_j, B_i)
    mixture = weights @ chances.transpose(0, 1)  # (N, B_j, K)
    log_mixture = mixture.clamp_min(smallest).log() + peak.transpose(1, 2) - log(count)
    return log_mixture.transpose(0, 1)


def _draw_categories(chances: Tensor, uniform: Tensor) -> Tensor:
    """Category (B, N) at which the cumulated chances (B, N, K) reach the uniform number. One that
    has no chance is never drawn."""
    cumulated = chances.cumsum(-1)
    reached = uniform.unsqueeze(-1) * cumulated[..., -1:]  # rounding leaves sums beside 1
    return (cumulated < reached).sum(-1)


class _TotalCorrelation(Objective):
    """KL plus (beta - 1) * total correlation (beta-TCVAE, Chen et al. 2018), as a family has it."""

    term_names = ("kl", "total_correlation")

    def __init__(self, beta: float) -> None:
        super().__init__()
        self.beta = beta

    @abstractmethod
    def estimate(self, posterior: Posterior, code: Tensor, noise: Tensor | None) -> Tensor:
        """Total correlation of a batch in nats, a scalar; arguments as of `forward`."""

    def forward(
        self, posterior: Posterior, code: Tensor, noise: Tensor | None, step: Tensor
    ) -> Penalty:
        kl = mean_kl(posterior)
        correlation = self.estimate(posterior, code, noise)
        return Penalty(
            kl + (self.beta - 1.0) * correlation, {"kl": kl, "total_correlation": correlation}
        )


class GaussianTotalCorrelation(_TotalCorrelation):
    """beta-TCVAE as disentanglement_lib has it: `gaussian_total_correlation`."""

    def estimate(self, posterior: Posterior, code: Tensor, noise: Tensor | None) -> Tensor:
        assert isinstance(posterior, GaussianPosterior)
        return gaussian_total_correlation(posterior, code)

    def code_penalty(self, posterior: Posterior, code: Tensor) -> Tensor:
        return (self.beta - 1.0) * self.estimate(posterior, code, None)


class CategoricalTotalCorrelation(_TotalCorrelation):
    """beta-TCVAE in our reading of it for categories: `categorical_total_correlation`."""

    def noise(
        self, shape: tuple[int, int], generator: torch.Generator, device: torch.device
    ) -> Tensor:
        """Uniform numbers (B, N) that draw categories."""
        return 1.0 - torch.rand(shape, generator=generator, device=device)

    def estimate(self, posterior: Posterior, code: Tensor, noise: Tensor | None) -> Tensor:
        assert isinstance(posterior, CategoricalPosterior)
        assert noise is not None
        return categorical_total_correlation(posterior, noise)
