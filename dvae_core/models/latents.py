"""The families of latents, with a common interface.

A *family* (`CategoricalLatents`, `GaussianLatents`) turns the encoder's output into a *posterior*
over the codes of a batch, and defines the prior. The posteriors of all families have:

    mean_code()     (B, N)   the noise-free code, used by the metrics
    mode_code()     (B, N)   the most likely code
    code_variance() (B, N)   variance of the code
    discrete_code() (B, N)   most likely category, int64; None without categories
    sample(...)     (B, N)   a random code, differentiable
    kl()            (B, N)   divergence from the prior, in nats
    sampled_kl(s)   (B, N)   the same for the category that noise of scale s selects
    density(...)    (B, P) for each latent, at P given values

Latents may have different numbers of categories: if K_j of latent j is below K, the logits after
the first K_j are masked. `category_counts` gives the numbers.

Noise can be drawn separately, so that it can be an input of a compiled step.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import log, pi, sqrt

import torch
from torch import Tensor, nn

from dvae_core.config import ModelConfig, Sampling, count_categories
from dvae_core.errors import ConfigError

# Logit of a masked category: its probability is exactly 0, and 0 log 0 is 0. With minus infinity
# the result would be nan, and with the least float its gradient times a weight would be.
ABSENT = -1e9

GAUSSIAN_SPANS = ("prior ±2 sd", "prior quantiles", "data ±2 sd", "data range")


@dataclass(frozen=True)
class CategoricalPosterior:
    """q(z_i | x) over ordered categories, for each of N latents.

    Attributes:
        logits: (B, N, K), without noise; `ABSENT` for masked categories.
        values: (N, K), the scalar of each category, which the decoder reads.
        noise_scale: s, the factor of the Gumbel noise; a float or a scalar tensor.
        category_counts: K_j of each latent, int64 (N,); None if all have K.
    """

    logits: Tensor
    values: Tensor
    noise_scale: float | Tensor = 1.0
    category_counts: Tensor | None = None

    def probabilities(self) -> Tensor:
        """q, (B, N, K); rows sum to one."""
        return self.logits.softmax(-1)

    def mean_code(self) -> Tensor:
        """softmax(logits) . values: (B, N)."""
        return self._expectation(self.logits)

    def code_variance(self) -> Tensor:
        """Variance of the value of a category drawn from q: (B, N)."""
        deviation = self.values - self.mean_code().unsqueeze(-1)  # (B, N, K)
        return (self.probabilities() * deviation.square()).sum(-1)

    def discrete_code(self) -> Tensor:
        """Most likely category, int64 (B, N)."""
        return self.logits.argmax(-1)

    def mode_code(self) -> Tensor:
        """Value of the most likely category: (B, N)."""
        return self._values_of(self.logits.argmax(-1))

    def sample(
        self,
        generator: torch.Generator | None = None,
        sampling: Sampling = "soft",
        noise: Tensor | None = None,
    ) -> Tensor:
        """softmax(logits + s * Gumbel) . values: (B, N).

        The temperature of the softmax is always 1; the noise is scaled instead (reference
        implementation of Friede et al. 2023). `straight_through` returns the value of the most
        likely category of the noisy logits, with the gradient of the soft code.
        """
        if noise is None:
            noise = _gumbel(self.logits.shape, generator, self.logits.device)
        noisy_logits = self.logits + self.noise_scale * noise
        soft = self._expectation(noisy_logits)
        if sampling == "soft":
            return soft
        hard = self._values_of(noisy_logits.argmax(-1))
        return soft + (hard - soft).detach()

    def kl(self) -> Tensor:
        """KL(q || uniform over its categories) of each latent in nats: (B, N), at most ln K_j."""
        log_q = self.logits.log_softmax(-1)
        log_k: float | Tensor = log(self.logits.shape[-1])
        if self.category_counts is not None:
            log_k = self.category_counts.log()  # (N,)
        return (log_q.exp() * log_q).sum(-1) + log_k

    def sampled_kl(self, noise_scale: float) -> Tensor:
        """KL of the category that noise of this scale makes the most likely one, from the uniform
        distribution over its categories, in nats: (B, N).

        It has the probabilities softmax(logits / s) (the Gumbel-max trick: Maddison et al. 2014),
        so at s = 1 this is `kl`. Without noise, the category is certain.
        """
        scaled = self.logits / max(noise_scale, 1e-3)
        return replace(self, logits=scaled).kl()

    def density(self, points: Sequence[Tensor]) -> list[Tensor]:
        """Probability of the category nearest to each point: N times (P_j,) to N times (B, P_j)."""
        probabilities = self.probabilities()
        densities = []
        for latent, at in enumerate(points):
            values = self.values[latent, : self.num_categories_of(latent)]
            nearest = (at[:, None] - values).abs().argmin(-1)  # (P,)
            densities.append(probabilities[:, latent, nearest])
        return densities

    def num_categories_of(self, latent: int) -> int:
        """K_j of a latent."""
        if self.category_counts is None:
            return self.logits.shape[-1]
        return int(self.category_counts[latent])

    def _expectation(self, logits: Tensor) -> Tensor:
        return (logits.softmax(-1) * self.values).sum(-1)  # (B, N, K) * (N, K) -> (B, N)

    def _values_of(self, categories: Tensor) -> Tensor:
        values = self.values.expand(len(categories), -1, -1)  # (N, K) -> (B, N, K)
        return values.gather(-1, categories.unsqueeze(-1)).squeeze(-1)


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


Posterior = CategoricalPosterior | GaussianPosterior


class CategoricalLatents(nn.Module):
    """N latents of ordered categories at fixed values linspace(-1, 1, K_j); uniform prior.

    The number of categories K_j of latent j is its cardinality, if that is known, otherwise K. The
    encoder always has K logits per latent, of which those after K_j are masked, so that
    cardinalities do not change the shapes of weights. (Our implementation of known cardinalities;
    the reference implementation of Friede et al. 2023 has none.)

    The values are a buffer, (N, K), saved with the weights; after K_j they repeat the last value.
    The mask follows from K_j and is not saved.

    Attributes:
        category_counts: K_j of each latent, (N,).

    Raises:
        ConfigError: there are more cardinalities than latents, or a number is below 2 or above K.
    """

    values: Tensor
    _counts: Tensor | None
    _absent: Tensor | None

    def __init__(
        self, num_latents: int, num_categories: int, cardinalities: Sequence[int] = ()
    ) -> None:
        super().__init__()
        self.num_latents = num_latents
        self.category_counts = count_categories(num_latents, num_categories, cardinalities)
        grids = [torch.linspace(-1.0, 1.0, count) for count in self.category_counts]
        self.register_buffer("values", _filled_up(grids, num_categories))
        counts, absent = None, None
        if min(self.category_counts) < num_categories:
            counts = torch.tensor(self.category_counts)
            absent = torch.arange(num_categories) >= counts[:, None]  # (N, K)
        self.register_buffer("_counts", counts, persistent=False)
        self.register_buffer("_absent", absent, persistent=False)

    @classmethod
    def at_values(cls, values: Sequence[Sequence[float]]) -> "CategoricalLatents":
        """Latents with other category values than the grid: ascending, N times (K_j,).

        Raises:
            ConfigError: a latent has fewer than two values, or they are not ascending.
        """
        rows = [torch.tensor(row, dtype=torch.float32) for row in values]
        for latent, row in enumerate(rows):
            if not (row.isfinite().all() and (row.diff() > 0).all()):
                raise ConfigError(f"the category values of latent {latent} are not ascending")
        counts = [len(row) for row in rows]
        latents = cls(len(rows), max(counts, default=0), counts)
        latents.values.copy_(_filled_up(rows, latents.num_categories))
        return latents

    @property
    def num_categories(self) -> int:
        """K; a latent of known cardinality uses the first K_j."""
        return self.values.shape[1]

    @property
    def head_size(self) -> int:
        """Size of the encoder's output: N * K."""
        return self.num_latents * self.num_categories

    def posterior(
        self, parameters: Tensor, noise_scale: float | Tensor = 1.0
    ) -> CategoricalPosterior:
        """The posterior of the encoder's output (B, N * K)."""
        logits = parameters.unflatten(1, (self.num_latents, self.num_categories))
        if self._absent is not None:
            logits = logits.masked_fill(self._absent, ABSENT)
        return CategoricalPosterior(logits, self.values, noise_scale, self._counts)

    def noise(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """Standard Gumbel noise (count, N, K) for `CategoricalPosterior.sample`."""
        shape = torch.Size((count, self.num_latents, self.num_categories))
        return _gumbel(shape, generator, self.values.device)

    @property
    def code_range(self) -> tuple[float, float]:
        """Least and greatest category value."""
        return self.values.min().item(), self.values.max().item()

    @property
    def spans(self) -> tuple[str, ...]:
        """Ranges of a traversal: all categories."""
        return ("categories",)

    def traversal_values(
        self,
        latent: int,
        count: int | None = None,
        span: str | None = None,
        codes: Tensor | None = None,
    ) -> Tensor:
        """Ascending values (count,) of a traversal of one latent: all categories, or `count` evenly
        spaced ones. `span` and `codes` have no effect."""
        values = self.values[latent, : self.category_counts[latent]]
        if count is None or count >= len(values):
            return values
        return values[torch.linspace(0, len(values) - 1, count).round().long()]

    def sample_prior(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """Codes (count, N) of categories drawn uniformly."""
        device = self.values.device
        columns = [
            values[torch.randint(categories, (count,), generator=generator, device=device)]
            for values, categories in zip(self.values, self.category_counts, strict=True)
        ]
        return torch.stack(columns, dim=1)


class GaussianLatents(nn.Module):
    """N real-valued latents; standard normal prior."""

    anchor: Tensor

    # The number of categories in the paper.
    num_traversal_values = 64

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


Latents = CategoricalLatents | GaussianLatents


def build_latents(config: ModelConfig) -> Latents:
    """The family of a config; it has no trained weights."""
    match config.latents:
        case "categorical":
            return CategoricalLatents(
                config.num_latents, config.num_categories, config.cardinalities
            )
        case "gaussian":
            return GaussianLatents(config.num_latents)


def _filled_up(rows: Sequence[Tensor], width: int) -> Tensor:
    """Rows (K_j,) as one tensor (N, width), padded with the last value of each."""
    return torch.stack([torch.cat([row, row[-1:].expand(width - len(row))]) for row in rows])


def _gumbel(shape: torch.Size, generator: torch.Generator | None, device: torch.device) -> Tensor:
    # The negative logarithm of an exponential variable; -log(-log(u)) fails for u = 0.
    return -torch.empty(shape, device=device).exponential_(generator=generator).log()
