"""Codes, data sets and models of which every score is known."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dvae_core.data.dataset import Dataset
from dvae_core.models.latents import CategoricalPosterior, GaussianPosterior, Posterior

Factors = NDArray[np.int64]


def full_grid(*sizes: int, repeats: int = 1) -> Factors:
    """Every combination of factors `repeats` times: independent to the last digit."""
    grid = np.indices(sizes).reshape(len(sizes), -1).T  # (combinations, F)
    return np.repeat(grid, repeats, axis=0)


def rotated(factors: Factors) -> NDArray[np.float64]:
    """The first two factors, centred, turned by 45 degrees."""
    centered = factors[:, :2] - factors[:, :2].mean(axis=0)
    turn = np.array([[1.0, 1.0], [-1.0, 1.0]]) / np.sqrt(2)
    return centered @ turn


class Plain(Dataset):
    """Images of one row whose pixels are the factors, scaled to [0, 1]."""

    name = "plain"

    def __init__(self, *sizes: int, noise: float = 0.0) -> None:
        self.factor_sizes = sizes
        self.factor_names = tuple("abcdef"[: len(sizes)])
        self.image_shape = (1, 1, len(sizes))
        self.device = torch.device("cpu")
        self.is_noisy = noise > 0
        self._noise = noise
        self.images_drawn = 0

    def _draw(self, factors: Tensor, generator: torch.Generator | None) -> Tensor:
        self.images_drawn += len(factors)
        spans = torch.tensor(self.factor_sizes).sub(1).clamp(min=1)
        pixels = factors / spans
        pixels = pixels + self._noise * torch.rand(pixels.shape, generator=generator)
        return pixels[:, None, None, :]  # (B, F) -> (B, 1, 1, F)


class GaussianModel:
    """Codes that are a function of the pixels (B, F), with unit variance."""

    def __init__(self, function: Callable[[Tensor], Tensor] = lambda pixels: pixels) -> None:
        self._function = function

    def encode(self, images: Tensor) -> Posterior:
        codes = self._function(images[:, 0, 0])
        return GaussianPosterior(codes, torch.zeros_like(codes))

    def decode(self, codes: Tensor) -> Tensor:
        return codes[:, None, None, :]  # (B, N) -> (B, 1, 1, N)


class CategoricalModel:
    """The category next to each pixel of [0, 1], with a given share of the probability."""

    def __init__(self, num_categories: int, share: float = 0.99) -> None:
        self._values = torch.linspace(-1.0, 1.0, num_categories)
        self._share = share

    def encode(self, images: Tensor) -> Posterior:
        pixels = images[:, 0, 0]
        num_categories = len(self._values)
        categories = (pixels * (num_categories - 1)).round().long()
        others = (1 - self._share) / (num_categories - 1)
        probabilities = torch.full((*pixels.shape, num_categories), others)
        probabilities.scatter_(-1, categories.unsqueeze(-1), self._share)
        return CategoricalPosterior(probabilities.log(), self._values.repeat(pixels.shape[1], 1))

    def decode(self, codes: Tensor) -> Tensor:
        return codes[:, None, None, :]  # (B, N) -> (B, 1, 1, N)
