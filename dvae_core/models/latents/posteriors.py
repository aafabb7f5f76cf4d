"""Posteriors over ordered categories: distributions, and points."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import log

import torch
from torch import Tensor
from torch.nn import functional as F

from dvae_core.config import Sampling


class _OnCategories(ABC):
    """What posteriors over categories share."""

    values: Tensor
    category_counts: Tensor | None

    @abstractmethod
    def probabilities(self) -> Tensor:
        """Of each category, (B, N, K); rows sum to one."""

    def num_categories_of(self, latent: int) -> int:
        """K_j of a latent."""
        if self.category_counts is None:
            return self.values.shape[-1]
        return int(self.category_counts[latent])

    def log_counts(self) -> float | Tensor:
        """ln K, or ln K_j of each latent (N,): the largest KL from the uniform prior, in nats."""
        if self.category_counts is None:
            return log(self.values.shape[-1])
        return self.category_counts.log()

    def values_of(self, categories: Tensor) -> Tensor:
        """Values (B, N) of categories int64 (B, N)."""
        values = self.values.expand(len(categories), -1, -1)  # (N, K) -> (B, N, K)
        return values.gather(-1, categories.unsqueeze(-1)).squeeze(-1)

    def density(self, points: Sequence[Tensor]) -> list[Tensor]:
        """Probability of the category nearest to each point: N times (P_j,) to N times (B, P_j)."""
        probabilities = self.probabilities()
        densities = []
        for latent, at in enumerate(points):
            values = self.values[latent, : self.num_categories_of(latent)]
            nearest = (at[:, None] - values).abs().argmin(-1)  # (P,)
            densities.append(probabilities[:, latent, nearest])
        return densities


@dataclass(frozen=True)
class CategoricalPosterior(_OnCategories):
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
        return self.values_of(self.logits.argmax(-1))

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
            noise = gumbel_noise(self.logits.shape, generator, self.logits.device)
        noisy_logits = self.logits + self.noise_scale * noise
        soft = self._expectation(noisy_logits)
        if sampling == "soft":
            return soft
        hard = self.values_of(noisy_logits.argmax(-1))
        return soft + (hard - soft).detach()

    def kl(self) -> Tensor:
        """KL(q || uniform over its categories) of each latent in nats: (B, N), at most ln K_j."""
        log_q = self.logits.log_softmax(-1)
        return (log_q.exp() * log_q).sum(-1) + self.log_counts()

    def sampled_kl(self, noise_scale: float) -> Tensor:
        """KL of the category that noise of this scale makes the most likely one, from the uniform
        distribution over its categories, in nats: (B, N).

        It has the probabilities softmax(logits / s) (the Gumbel-max trick: Maddison et al. 2014),
        so at s = 1 this is `kl`. Without noise, the category is certain.
        """
        scaled = self.logits / max(noise_scale, 1e-3)
        return replace(self, logits=scaled).kl()

    def _expectation(self, logits: Tensor) -> Tensor:
        return (logits.softmax(-1) * self.values).sum(-1)  # (B, N, K) * (N, K) -> (B, N)


@dataclass(frozen=True)
class PointPosterior(_OnCategories):
    """A certain category for each of N latents, as a deterministic encoder gives it.

    As a distribution it has all its mass on one category. Its KL from the uniform prior is ln K_j
    for every image, so no loss can learn from it.

    Attributes:
        categories: int64 (B, N).
        values: (N, K), the scalar of each category, which the decoder reads.
        scalars: (B, N), what the encoder put on the line of the values; None if it put logits.
        category_counts: K_j of each latent, int64 (N,); None if all have K.
    """

    categories: Tensor
    values: Tensor
    scalars: Tensor | None = None
    category_counts: Tensor | None = None

    def probabilities(self) -> Tensor:
        """1 for the category, 0 for others: (B, N, K)."""
        return F.one_hot(self.categories, self.values.shape[-1]).to(self.values.dtype)

    def mode_code(self) -> Tensor:
        """Value of the category: (B, N). Its gradient is that of the scalar: straight through the
        rounding (Bengio et al. 2013), and none for the values."""
        values = self.values_of(self.categories).detach()
        if self.scalars is None:
            return values
        return (self.scalars - self.scalars.detach()) + values  # exactly the value

    def mean_code(self) -> Tensor:
        """`mode_code`, (B, N): there is no other."""
        return self.mode_code()

    def code_variance(self) -> Tensor:
        """0: (B, N)."""
        return torch.zeros_like(self.categories, dtype=self.values.dtype)

    def discrete_code(self) -> Tensor:
        """The category, int64 (B, N)."""
        return self.categories

    def sample(
        self,
        generator: torch.Generator | None = None,
        sampling: Sampling = "straight_through",
        noise: Tensor | None = None,
    ) -> Tensor:
        """`mode_code`, (B, N): there is no chance in it."""
        return self.mode_code()

    def kl(self) -> Tensor:
        """ln K_j, the KL of a point from the uniform prior, in nats: (B, N)."""
        return torch.zeros_like(self.categories, dtype=self.values.dtype) + self.log_counts()

    def sampled_kl(self, noise_scale: float) -> Tensor:
        """`kl`, (B, N): noise changes no category."""
        return self.kl()


def gumbel_noise(
    shape: torch.Size, generator: torch.Generator | None, device: torch.device
) -> Tensor:
    """Standard Gumbel noise of a shape."""
    # The negative logarithm of an exponential variable; -log(-log(u)) fails for u = 0.
    return -torch.empty(shape, device=device).exponential_(generator=generator).log()
