"""Gaussian latents."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import pi, sqrt

import torch
from torch import Tensor, nn

from dvae_core.config import Sampling
from dvae_core.errors import ConfigError

GAUSSIAN_SPANS = ("prior ±2 sd", "prior quantiles", "data ±2 sd", "data range")


@dataclass(frozen=True)
class GaussianPosterior:
    """q(z_i | x), a normal distribution for each of N latents.

    Attributes:
        mean: (B, N).
        log_variance: (B, N).
    """

    mean: Tensor
    log_variance: Tensor

    def mean_code(self) -> Tensor:
        """The mean: (B, N)."""
        return self.mean

    def mode_code(self) -> Tensor:
        """The mean, which is the mode of a normal: (B, N)."""
        return self.mean

    def code_variance(self) -> Tensor:
        """exp(log variance): (B, N)."""
        return self.log_variance.exp()

    def discrete_code(self) -> Tensor | None:
        """None: there are no categories."""
        return None

    def sample(
        self,
        generator: torch.Generator | None = None,
        sampling: Sampling = "soft",
        noise: Tensor | None = None,
    ) -> Tensor:
        """mean + standard deviation * noise: (B, N), for both kinds of sampling."""
        if noise is None:
            noise = torch.empty_like(self.mean).normal_(generator=generator)
        return self.mean + (0.5 * self.log_variance).exp() * noise

    def kl(self) -> Tensor:
        """KL(q || standard normal) of each latent in nats: (B, N)."""
        return 0.5 * (self.mean.square() + self.log_variance.exp() - self.log_variance - 1.0)

    def probabilities(self) -> Tensor | None:
        """None: there are no categories."""
        return None

    def sampled_kl(self, noise_scale: float) -> Tensor:
        """`kl`, (B, N): a sample is drawn from the posterior, whatever the noise scale."""
        return self.kl()

    def density(self, points: Sequence[Tensor]) -> list[Tensor]:
        """Probability density at each point: N times (P_j,) to N times (B, P_j)."""
        deviations = (0.5 * self.log_variance).exp()
        densities = []
        for at, mean, deviation in zip(points, self.mean.T, deviations.T, strict=True):
            standardized = (at - mean[:, None]) / deviation[:, None]  # (B, P)
            heights = (-0.5 * standardized.square()).exp()
            densities.append(heights / (deviation[:, None] * sqrt(2 * pi)))
        return densities


class GaussianLatents(nn.Module):
    """N real-valued latents; standard normal prior."""

    anchor: Tensor

    # The number of categories in the paper.
    num_traversal_values = 64
    is_deterministic = False

    def __init__(self, num_latents: int) -> None:
        super().__init__()
        self.num_latents = num_latents
        # Knows the device of the module.
        self.register_buffer("anchor", torch.empty(0), persistent=False)

    @property
    def num_categories(self) -> int | None:
        """None: there are no categories."""
        return None

    @property
    def category_counts(self) -> tuple[int, ...]:
        """(): there are no categories."""
        return ()

    @property
    def head_size(self) -> int:
        """Size of the encoder's output: N means, then N log variances."""
        return 2 * self.num_latents

    def posterior(self, parameters: Tensor, noise_scale: float | Tensor = 1.0) -> GaussianPosterior:
        """The posterior of the encoder's output (B, 2 N). The noise scale has no effect."""
        mean, log_variance = parameters.chunk(2, dim=1)
        return GaussianPosterior(mean, log_variance)

    def prior(self) -> GaussianPosterior:
        """The prior as the posterior of a batch of one."""
        zeros = torch.zeros(1, self.num_latents, device=self.anchor.device)
        return GaussianPosterior(zeros, zeros)

    def noise(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """Standard normal noise (count, N) for `GaussianPosterior.sample`."""
        shape = (count, self.num_latents)
        return torch.randn(shape, generator=generator, device=self.anchor.device)

    @property
    def code_range(self) -> tuple[float, float]:
        """Ten standard deviations of the prior, a practical bound of codes."""
        return -10.0, 10.0

    @property
    def spans(self) -> tuple[str, ...]:
        """Ranges of a traversal, see `traversal_values`."""
        return GAUSSIAN_SPANS

    def traversal_values(
        self,
        latent: int,
        count: int | None = None,
        span: str | None = None,
        codes: Tensor | None = None,
    ) -> Tensor:
        """Ascending values (count,) of a traversal of one latent.

        Args:
            latent: index of the latent.
            count: number of values.
            span: one of `GAUSSIAN_SPANS`, by default the first:
                `prior ±2 sd`: even steps over two standard deviations of the prior;
                `prior quantiles`: quantiles of the prior from 1 to 99 %, even in probability;
                `data ±2 sd`: even steps over two standard deviations of the codes;
                `data range`: even steps from the least code to the greatest.
            codes: mean codes (points, N) of data, for the spans that depend on them.

        Raises:
            ConfigError: the span is unknown, or needs codes and there are none.
        """
        count = count or self.num_traversal_values
        span = span or self.spans[0]
        device = self.anchor.device
        if span == "prior ±2 sd":
            return torch.linspace(-2.0, 2.0, count, device=device)
        if span == "prior quantiles":
            return torch.special.ndtri(torch.linspace(0.01, 0.99, count, device=device))
        if span not in self.spans:
            raise ConfigError(
                f"no range is called {span[:40]!r}: choose from {', '.join(self.spans)}"
            )
        if codes is None:
            raise ConfigError(f"the range {span!r} needs codes of data, but there are none")
        column = codes[:, latent]
        if span == "data ±2 sd":
            low, high = column.mean() - 2 * column.std(), column.mean() + 2 * column.std()
        else:
            low, high = column.min(), column.max()
        # A constant latent still gets a small range.
        margin = max(0.0, 1e-3 - (high - low).item()) / 2
        return torch.linspace(low.item() - margin, high.item() + margin, count, device=device)

    def sample_prior(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """Standard normal codes (count, N)."""
        return torch.randn(count, self.num_latents, generator=generator, device=self.anchor.device)
