"""The interface of all data sets.

A data set is a finite list of *combinations* of ground-truth factors with an image for each
combination. Images are float32 (B, C, H, W) in [0, 1], on the device of the data set.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from math import prod
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from dvae_core.errors import ConfigError, DataError


class Dataset(ABC):
    """A set of images, indexed by the integer values of their F ground-truth factors.

    Attributes:
        name: name for `load_dataset`.
        factor_names: name of each factor, (F,); empty for a data set without factors.
        factor_sizes: number of values of each factor, (F,).
        image_shape: (C, H, W).
        device: device of factors and images; generators must be on it too.
        is_noisy: whether the same factors give different images, because something else also
            varies (a random colour, an instance).
        noise: what that is, in words, for data sets that draw it; "" for others.
    """

    name: str
    factor_names: tuple[str, ...]
    factor_sizes: tuple[int, ...]
    image_shape: tuple[int, int, int]
    device: torch.device
    is_noisy: bool = False
    noise: str = ""

    @abstractmethod
    def _draw(self, factors: Tensor, generator: torch.Generator | None) -> Tensor:
        """`images` without its check, which must wait for the device."""

    def images(self, factors: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Images of given factors.

        Args:
            factors: int64 (B, F), each entry in [0, factor_sizes[f]).
            generator: source of noise; only noisy data sets use it.

        Returns:
            float32 (B, C, H, W) in [0, 1].

        Raises:
            DataError: a factor is out of range, or a combination does not exist.
        """
        self.check_factors(factors)
        return self._draw(factors, generator)

    def __len__(self) -> int:
        """Number of existing combinations of factors, or of images without factors."""
        return prod(self.factor_sizes)

    @property
    def num_images(self) -> int:
        """Number of images, where all that noise makes of a combination count as one."""
        return len(self)

    @property
    def has_all_combinations(self) -> bool:
        """Whether every combination of factors has an image; not without factors."""
        return bool(self.factor_sizes) and len(self) == prod(self.factor_sizes)

    @property
    def is_grid(self) -> bool:
        """Whether every combination of factors has one image, so that the images are all there
        are, not a sample of them."""
        return self.has_all_combinations and len(self) == self.num_images

    def points_at(
        self, numbers: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """Factors (B, F) and images (B, C, H, W) of the images at `numbers` in [0, num_images)."""
        return self.factors_at(numbers), self.images_at(numbers, generator)

    def factors_at(self, indices: Tensor) -> Tensor:
        """Factors of the combinations at `indices`; the last factor varies fastest.

        Args:
            indices: int64 (B,), each in [0, len(self)).

        Returns:
            int64 (B, F).
        """
        columns = []
        for size in reversed(self.factor_sizes):
            columns.append(indices % size)
            indices = indices // size
        return torch.stack(columns[::-1], dim=1)

    def indices_of(self, factors: Tensor) -> Tensor:
        """Indices (B,) of combinations (B, F), the inverse of `factors_at`; arbitrary for
        combinations that do not exist."""
        indices = torch.zeros_like(factors[:, 0])
        for column, size in zip(factors.unbind(1), self.factor_sizes, strict=True):
            indices = indices * size + column
        return indices

    def typical_factors(self) -> tuple[int, ...]:
        """Factors (F,) of a good first image: the middle of each factor if it exists, else the
        middle combination. Some data sets choose a better one."""
        if len(self) == prod(self.factor_sizes):
            return tuple(size // 2 for size in self.factor_sizes)
        return tuple(self.factors_at(torch.tensor([len(self) // 2]))[0].tolist())

    def images_at(self, indices: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Images (B, C, H, W) of the combinations at `indices`, as in `factors_at`."""
        return self._draw(self.factors_at(indices), generator)

    def sample_factors(
        self, count: int, generator: torch.Generator, fixed: Mapping[int, int] | None = None
    ) -> Tensor:
        """Existing combinations, int64 (count, F), drawn uniformly with replacement.

        Args:
            count: number of combinations.
            generator: generator on the device of the data set.
            fixed: factor index -> value that all combinations share.
        """
        columns = [
            torch.randint(size, (count,), generator=generator, device=self.device)
            for size in self.factor_sizes
        ]
        for factor, value in (fixed or {}).items():
            self.check_factor_value(factor, value)
            columns[factor] = torch.full_like(columns[factor], value)
        return torch.stack(columns, dim=1)

    def sample_points(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Factors (count, F) and images (count, C, H, W) of images drawn uniformly with
        replacement, each as likely as any other."""
        factors = self.sample_factors(count, generator)
        return factors, self._draw(factors, generator)

    def sample_images(self, count: int, generator: torch.Generator) -> Tensor:
        """Images (count, C, H, W) drawn uniformly with replacement."""
        return self.sample_points(count, generator)[1]

    def check_factor_value(self, factor: int, value: int) -> None:
        """Raise `DataError` unless the factor exists and has the value."""
        if not 0 <= factor < len(self.factor_sizes):
            raise DataError(
                f"{self.name} has no factor {factor}: it has {len(self.factor_sizes)} factors, "
                f"numbered from 0"
            )
        if not 0 <= value < self.factor_sizes[factor]:
            raise DataError(
                f"{self.name} has no value {value} of factor {self.factor_names[factor]}: "
                f"give a number from 0 to {self.factor_sizes[factor] - 1}"
            )

    def check_factors(self, factors: Tensor) -> None:
        """Raise `DataError` unless `factors` is int64 (B, F) within `factor_sizes`."""
        if factors.dtype != torch.int64 or factors.ndim != 2:
            raise DataError(
                f"{self.name} takes factors as int64 (B, {len(self.factor_sizes)}), "
                f"not {str(factors.dtype).removeprefix('torch.')} {tuple(factors.shape)}"
            )
        if factors.shape[1] != len(self.factor_sizes):
            raise DataError(
                f"{self.name} has {len(self.factor_sizes)} factors, but got {factors.shape[1]}"
            )
        sizes = torch.tensor(self.factor_sizes, device=factors.device)
        wrong = ((factors < 0) | (factors >= sizes)).any(dim=0)
        if wrong.any():
            factor = int(wrong.nonzero()[0])
            raise DataError(
                f"{self.name} has values 0 to {self.factor_sizes[factor] - 1} of factor "
                f"{self.factor_names[factor]}, but got {factors[:, factor].min().item()} to "
                f"{factors[:, factor].max().item()}"
            )


class ScaledDataset(Dataset):
    """A data set with its images scaled to (H, W) pixels by antialiased bilinear sampling."""

    def __init__(self, original: Dataset, size: tuple[int, int]) -> None:
        self._original = original
        self.name = original.name
        self.factor_names = original.factor_names
        self.factor_sizes = original.factor_sizes
        self.image_shape = (original.image_shape[0], *size)
        self.device = original.device
        self.is_noisy = original.is_noisy
        self.noise = original.noise

    def __len__(self) -> int:
        return len(self._original)

    @property
    def num_images(self) -> int:
        return self._original.num_images

    @property
    def is_grid(self) -> bool:
        return self._original.is_grid

    def points_at(
        self, numbers: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        factors, images = self._original.points_at(numbers, generator)
        return factors, self._scaled(images)

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

    def sample_points(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        factors, images = self._original.sample_points(count, generator)
        return factors, self._scaled(images)

    def check_factors(self, factors: Tensor) -> None:
        self._original.check_factors(factors)

    def _draw(self, factors: Tensor, generator: torch.Generator | None) -> Tensor:
        return self._scaled(self._original._draw(factors, generator))

    def _scaled(self, images: Tensor) -> Tensor:
        size = self.image_shape[1:]
        return F.interpolate(images, size, mode="bilinear", antialias=True)


def factor_variation(
    dataset: Dataset, factors: Tensor, factor: int, count: int
) -> tuple[Tensor, list[int]]:
    """Ground-truth variation of one factor: images in which only this factor changes.

    Args:
        dataset: data set with factors.
        factors: factors of the start image, int64 (F,).
        factor: index of the factor to vary.
        count: largest number of images, at evenly spaced values.

    Returns:
        Images (P, C, H, W) and the P values; combinations that do not exist are left out.

    Raises:
        DataError: there is no such factor, or no image that differs in it alone.
    """
    dataset.check_factor_value(factor, 0)
    size = dataset.factor_sizes[factor]
    values = torch.linspace(0, size - 1, min(count, size)).round().long().tolist()
    images, found = [], []
    for value in values:
        varied = factors.clone()
        varied[factor] = value
        # The same seed for each image keeps the noise constant.
        generator = torch.Generator(dataset.device).manual_seed(0)
        try:
            images.append(dataset.images(varied.unsqueeze(0), generator))
        except DataError:
            continue
        found.append(value)
    if not images:
        raise DataError(f"{dataset.name} has no image that differs in this factor alone")
    return torch.cat(images), found


class HasFactors(Protocol):
    """A `Dataset`, or a `DatasetInfo`, which loads no images."""

    @property
    def name(self) -> str: ...

    @property
    def factor_sizes(self) -> tuple[int, ...]: ...


def known_cardinalities(dataset: HasFactors) -> tuple[int, ...]:
    """Factor sizes in their order, for `ModelConfig.cardinalities`, without factors that have a
    single value.

    Raises:
        ConfigError: no factor varies.
    """
    sizes = tuple(size for size in dataset.factor_sizes if size > 1)
    if not sizes:
        raise ConfigError(
            f"{dataset.name} has no factors that give cardinalities: give numbers, or leave them "
            f"out"
        )
    return sizes
