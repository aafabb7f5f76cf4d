"""A data set whose images come in another size."""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

from dvae_core.data.base import Dataset


class ScaledDataset(Dataset):
    """The same images, scaled: bilinear, and averaged where they become smaller.

    Args:
        original: what is scaled.
        image_size: height and width in pixels.
    """

    def __init__(self, original: Dataset, image_size: int) -> None:
        self._original = original
        self.name = original.name
        self.factor_names = original.factor_names
        self.factor_sizes = original.factor_sizes
        self.image_shape = (original.image_shape[0], image_size, image_size)
        self.device = original.device
        self.is_noisy = original.is_noisy

    def __len__(self) -> int:
        return len(self._original)

    def factors_at(self, indices: Tensor) -> Tensor:
        return self._original.factors_at(indices)

    def indices_of(self, factors: Tensor) -> Tensor:
        return self._original.indices_of(factors)

    def typical_factors(self) -> tuple[int, ...]:
        return self._original.typical_factors()

    def images_at(self, indices: Tensor, generator: torch.Generator | None = None) -> Tensor:
        return self._scaled(self._original.images_at(indices, generator))

    def sample_factors(
        self, count: int, generator: torch.Generator, fixed: Mapping[int, int] | None = None
    ) -> Tensor:
        return self._original.sample_factors(count, generator, fixed)

    def check_factors(self, factors: Tensor) -> None:
        self._original.check_factors(factors)

    def _draw(self, factors: Tensor, generator: torch.Generator | None) -> Tensor:
        return self._scaled(self._original._draw(factors, generator))

    def _scaled(self, images: Tensor) -> Tensor:
        size = self.image_shape[1:]
        return F.interpolate(images, size, mode="bilinear", antialias=True)
