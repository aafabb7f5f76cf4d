"""Statistics of a model's latents that need no labels."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dvae_core.data.dataset import Dataset
from dvae_core.errors import EvaluationError
from dvae_core.evaluation.representation import Encoder, draw_batches
from dvae_core.models.latents import GaussianPosterior
from dvae_core.models.vae import reconstruction_loss
from dvae_core.progress import Progress, no_progress

ACTIVE_NATS = 0.05
"""A latent that says no more about an image is inactive."""


def held_nats(
    kl: NDArray[np.floating], usage: Sequence[NDArray[np.floating]] | None
) -> NDArray[np.float64]:
    """Bound of the information that each latent holds about an image, nats, (N,): its mean KL from
    the prior, or the entropy of its use where posteriors are points.

    The KL of a point is ln K whether the latent varies or not, and the entropy is the information
    itself.

    Args:
        kl: mean KL of each latent, (N,).
        usage: of latents whose posteriors are points, the probability of each category over images,
            N times (K_j,); None for all others.
    """
    if usage is None:
        return np.array(kl, dtype=np.float64)
    return np.array([entropy_of_use(row) for row in usage])


def image_information(
    kl: NDArray[np.floating],
    usage: Sequence[NDArray[np.floating]] | NDArray[np.floating] | None,
    category_counts: Sequence[int],
) -> NDArray[np.float64]:
    """Mutual information of an image and a draw of each latent, nats, (N,).

    Of categories it is the mean KL from the uniform prior without that of the aggregate posterior,
    KL - (ln K_j - H): a latent that has one category for all images pays ln K_j and holds nothing.
    Of other latents it is at most the mean KL, which is given.

    Args:
        kl: mean KL of each latent, (N,).
        usage: aggregate posterior of each latent, N times (K_j,), which zeros may follow; None
            without categories.
        category_counts: K_j of each latent, (N,); () without categories.
    """
    if usage is None or not category_counts:
        return np.array(kl, dtype=np.float64)
    entropies = np.array([entropy_of_use(row) for row in usage])
    return kl - np.log(category_counts) + entropies


def entropy_of_use(usage: NDArray[np.floating]) -> float:
    """Entropy of the probabilities of categories (K_j,), nats."""
    surprise = -np.log(usage, where=usage > 0, out=np.zeros(usage.shape))
    return float((usage * surprise).sum())


def unit_scales(spread: NDArray[np.float64], counted: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Factors (N,) that bring codes to units of their standard deviation over images.

    Args:
        spread: standard deviation of each latent's code, (N,).
        counted: which latents are to count, (N,); the others have 0, as have those without spread.
    """
    scales = np.zeros(len(spread))
    np.divide(1.0, spread, out=scales, where=counted & (spread > 0))
    return scales


class Autoencoder(Encoder, Protocol):
    """A model that encodes and decodes."""

    def decode(self, codes: Tensor) -> Tensor:
        """Image logits (B, C, H, W) of codes (B, N)."""
        ...


@dataclass(frozen=True)
class LatentStatistics:
    """Means over images of a data set.

    Attributes:
        kl: divergence of each latent's posterior from its prior, nats, (N,).
        sampled_kl: the same for the category that the noise of training selects, nats, (N,).
        usage: aggregate posterior, (N, K), rows sum to one; None without categories.
        image_information: mutual information of an image and a draw of each latent, or its bound,
            nats, (N,), as in the function of this name.
        reconstruction_error: Bernoulli cross entropy of the image decoded from the mean code,
            summed over pixels and channels, nats per image.
    """

    kl: NDArray[np.float64]
    sampled_kl: NDArray[np.float64]
    usage: NDArray[np.float64] | None
    image_information: NDArray[np.float64]
    reconstruction_error: float

    @property
    def active(self) -> NDArray[np.bool_]:
        """Whether each latent holds more than 0.05 nats about an image, (N,)."""
        return self.image_information > ACTIVE_NATS


def categories_used(usage: NDArray[np.float64]) -> NDArray[np.float64]:
    """Effective number of categories of each latent, (N,): the exponential of the entropy of its
    aggregate posterior `usage` (N, K), from 1 to K."""
    return np.exp([entropy_of_use(row) for row in usage])


def latent_statistics(
    model: Autoencoder,
    dataset: Dataset,
    count: int,
    seed: int,
    progress: Progress = no_progress,
    *,
    noise_scale: float = 1.0,
) -> LatentStatistics:
    """KL and usage of each latent, and the reconstruction error, over `count` random images.

    `noise_scale` is that of the training, for `sampled_kl`.

    Raises:
        EvaluationError: a KL or reconstruction error is not finite.
    """
    kl: Tensor | float = 0.0
    sampled_kl: Tensor | float = 0.0
    usage: Tensor | float = 0.0
    error = 0.0
    counts: list[int] = []
    with torch.inference_mode():
        for _, images in draw_batches(dataset, count, seed, progress):
            posterior = model.encode(images)
            kl = kl + posterior.kl().double().sum(0)
            sampled_kl = sampled_kl + posterior.sampled_kl(noise_scale).double().sum(0)
            if not isinstance(posterior, GaussianPosterior):
                usage = usage + posterior.probabilities().double().sum(0)
                counts = [posterior.num_categories_of(latent) for latent in range(len(usage))]
            logits = model.decode(posterior.mean_code())
            error += reconstruction_loss(logits, images).double().sum().item()
    kl_mean = (torch.as_tensor(kl) / count).cpu().numpy()
    if not (np.isfinite(kl_mean).all() and np.isfinite(error)):
        raise EvaluationError(
            "KL or reconstruction error is not finite: the model has diverged, train it again"
        )
    shares = (usage / count).cpu().numpy() if isinstance(usage, Tensor) else None
    return LatentStatistics(
        kl=kl_mean,
        sampled_kl=(torch.as_tensor(sampled_kl) / count).cpu().numpy(),
        usage=shares,
        image_information=image_information(kl_mean, shares, counts),
        reconstruction_error=error / count,
    )
