"""Regularizers: terms of the loss beside the objective, which they combine with.

The codebook and the commitment loss teach the values and scalars of deterministic latents with a
codebook. The multiinformation and the Hessian penalty are those of Tripod (Hsu et al., ICML 2024),
for any latents. Formulas are those of the authors' code; docs/method.md has the translation of
their weights, which belong to a mean over pixels.
"""

from collections.abc import Callable
from math import log, pi

import torch
from torch import Tensor, nn

from dvae_core.config import FAMILIES, RunConfig
from dvae_core.models.latents import PointPosterior, Posterior
from dvae_core.models.networks import Decoder

# Of a latent's codes in a batch, so that no division is by 0.
LEAST_DEVIATION = 1e-6
# Of the Hessian penalty: step in standard deviations, pairs of directions, least denominator.
STEP = 0.1
DIRECTIONS = 2
LEAST_VARIANCE = 1e-10

Layers = Callable[[Tensor], list[Tensor]]


def codebook_loss(posterior: PointPosterior) -> Tensor:
    """Mean over images and latents of (value - scalar)^2 with a gradient for the values only, a
    scalar (QLAE's quantization loss: Hsu et al. 2023; van den Oord et al. 2017, equation 3)."""
    assert posterior.scalars is not None
    values = posterior.values_of(posterior.categories)
    return (values - posterior.scalars.detach()).square().mean()


def commitment_loss(posterior: PointPosterior) -> Tensor:
    """The `codebook_loss`, with a gradient for the scalars only."""
    assert posterior.scalars is not None
    values = posterior.values_of(posterior.categories).detach()
    return (values - posterior.scalars).square().mean()


def code_deviations(posterior: Posterior, code: Tensor) -> Tensor:
    """Standard deviation over the batch of each latent's code, (N,), before it is rounded."""
    continuous = code
    if isinstance(posterior, PointPosterior) and posterior.scalars is not None:
        continuous = posterior.scalars
    return continuous.std(0, correction=0) + LEAST_DEVIATION


def multiinformation(code: Tensor, deviations: Tensor) -> Tensor:
    """Estimate of the multiinformation (total correlation) of the latents of a batch, nats, a
    scalar: the mean of log q(z) - sum_i log q(z_i) over its codes.

    Both densities are means of Gaussian kernels at the codes of the batch. Those of a marginal have
    the latent's standard deviation; those of the joint have it times Silverman's factor
    (4 / (N + 2))^(1 / (N + 4)) B^(-1 / (N + 4)). So the estimate is not 0 for independent latents.

    Args:
        code: (B, N).
        deviations: `code_deviations`, (N,).
    """
    count, num_latents = code.shape
    exponent = 1 / (num_latents + 4)
    silverman = (4 / (num_latents + 2)) ** exponent * count**-exponent
    distances = code[:, None] - code  # (B, B, N)
    log_marginals = _log_kernels(distances, deviations).logsumexp(1) - log(count)  # (B, N)
    joint = _log_kernels(distances, silverman * deviations).sum(2)  # (B, B)
    log_joint = joint.logsumexp(1) - log(count)
    return (log_joint - log_marginals.sum(1)).mean()


def hessian_share(layers: Layers, code: Tensor, directions: Tensor) -> Tensor:
    """Share of the second derivatives of a decoder that mix two latents, a scalar.

    With v of independent signs, v'Hv varies by twice the sum of the squares off the diagonal of H;
    with v of normal numbers, by twice the sum of all squares (Peebles et al. 2020). Both variances
    are averaged over the units of a layer and the images, and their ratios are summed over the
    layers. Second derivatives are central differences.

    The authors take the ratio for each image; their activations are smooth. Between two kinks of a
    ReLU all second derivatives are 0, and the ratio of a single image may be any number.

    Args:
        layers: codes (B, N) to the activations of the layers, (B, ..) each.
        code: (B, N).
        directions: (2, D, B, N), in units of the code: first those of signs, then normal ones.
    """
    steps = STEP * directions
    moved = torch.stack([code + steps, code - steps])  # (2, 2, D, B, N)
    share = code.new_zeros(())
    for activations in layers(moved.flatten(0, 3)):
        ahead, behind = activations.unflatten(0, moved.shape[:4])
        # A central difference also subtracts the activations at the code twice, but they are the
        # same for all directions, so they do not change the variance.
        sums = ahead + behind  # (2, D, B, ..)
        mixed, all_ = ((part - part.mean(0)).square().mean() for part in sums)  # variances
        share = share + mixed / (all_ + LEAST_VARIANCE * STEP**4)
    return share


class Regularizers:
    """The regularizers of a config, with their weights.

    Attributes:
        term_names: names of the terms that a call returns.
    """

    def __init__(self, config: RunConfig) -> None:
        choices = FAMILIES[config.latents].categories
        has_codebook = choices is not None and choices.values == "codebook"
        self._weights = {
            "codebook": config.codebook_weight if has_codebook else None,
            "commitment": config.commitment_weight if has_codebook else None,
            "multiinformation": config.multiinformation_weight or None,
            "hessian": config.hessian_weight or None,
        }
        self.term_names = tuple(
            name for name, weight in self._weights.items() if weight is not None
        )

    def noise(
        self, shape: tuple[int, int], generator: torch.Generator, device: torch.device
    ) -> Tensor | None:
        """Random directions (2, D, B, N) for codes (B, N): signs, then normal numbers. None where
        none are needed."""
        if "hessian" not in self.term_names:
            return None
        normal = torch.randn((2, DIRECTIONS, *shape), generator=generator, device=device)
        return torch.cat([normal[:1].sign(), normal[1:]])

    def __call__(
        self, posterior: Posterior, code: Tensor, decoder: nn.Module, noise: Tensor | None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The weighted sum for a batch, a scalar, and the terms to log, in nats: the
        multiinformation without its weight, the others, which are no nats, with it.

        Args:
            posterior: of B images.
            code: (B, N), of these images.
            decoder: of the model.
            noise: result of `noise` for this batch.
        """
        terms: dict[str, Tensor] = {}
        total = code.new_zeros(())
        for name in self.term_names:
            weight = self._weights[name] or 0.0
            value = self._value(name, posterior, code, decoder, noise)
            total = total + weight * value
            terms[name] = value if name == "multiinformation" else weight * value
        return total, terms

    def _value(
        self,
        name: str,
        posterior: Posterior,
        code: Tensor,
        decoder: nn.Module,
        noise: Tensor | None,
    ) -> Tensor:
        if name == "multiinformation":
            return multiinformation(code, code_deviations(posterior, code))
        if name == "hessian":
            assert noise is not None
            assert isinstance(decoder, Decoder)
            deviations = code_deviations(posterior, code)
            return hessian_share(decoder.hidden_layers, code, deviations * noise)
        assert isinstance(posterior, PointPosterior)
        return (codebook_loss if name == "codebook" else commitment_loss)(posterior)


def _log_kernels(distances: Tensor, deviations: Tensor) -> Tensor:
    """Log density of a normal with standard deviations (N,) at distances (.., N) from its mean."""
    return -0.5 * (distances / deviations).square() - deviations.log() - 0.5 * log(2 * pi)
