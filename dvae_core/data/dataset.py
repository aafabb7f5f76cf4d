"""The one interface behind which every data set stands.

A data set is a finite list of *combinations* of ground-truth factors, and a way to make or look up
the image of each. Images are float32 in [0, 1] of shape (B, C, H, W), on the device of the set.
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
    """A set of images, each named by the integer indices of its F ground-truth factors.

    Attributes:
        name: the name that `load_dataset` takes.
        factor_names: one name a factor, (F,). Empty for a set without labels.
        factor_sizes: number of values of each factor, (F,).
        image_shape: (C, H, W).
        device: where factors and images live; generators passed in must live there too.
        is_noisy: True when images hold something that no factor names (a random colour, an
            instance), so that the same factors give different images.
    """

    name: str
    factor_names: tuple[str, ...]
    factor_sizes: tuple[int, ...]
    image_shape: tuple[int, int, int]
    device: torch.device
    is_noisy: bool = False

    @abstractmethod
    def _draw(self, factors: Tensor, generator: torch.Generator | None) -> Tensor:
        """`images` without its check, which costs a wait for the device."""

    def images(self, factors: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Images of given factors.

        Args:
            factors: int64 (B, F), each entry in [0, factor_sizes[f]).
            generator: source of what the factors leave open; only noisy sets read it.

        Returns:
            float32 (B, C, H, W) in [0, 1].

        Raises:
            DataError: a factor is out of range, or the combination does not exist.
        """
        self.check_factors(factors)
        return self._draw(factors, generator)

    def __len__(self) -> int:
        """Number of existing combinations of factors; of images, in a set without factors."""
        return prod(self.factor_sizes)

    def factors_at(self, indices: Tensor) -> Tensor:
        """Factors of the listed combinations, the last factor running fastest.

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
        """Places (B,) of combinations (B, F) in the list that `factors_at` reads; of combinations
        that do not exist, any place."""
        indices = torch.zeros_like(factors[:, 0])
        for column, size in zip(factors.unbind(1), self.factor_sizes, strict=True):
            indices = indices * size + column
        return indices

    def typical_factors(self) -> tuple[int, ...]:
        """Factors (F,) of an image to look at first: the middle of each, where that exists, and
        else the middle of the list. Sets in which that shows little choose better."""
        if len(self) == prod(self.factor_sizes):
            return tuple(size // 2 for size in self.factor_sizes)
        return tuple(self.factors_at(torch.tensor([len(self) // 2]))[0].tolist())

    def images_at(self, indices: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Images (B, C, H, W) of the listed combinations, indices as in `factors_at`."""
        return self._draw(self.factors_at(indices), generator)

    def sample_factors(
        self, count: int, generator: torch.Generator, fixed: Mapping[int, int] | None = None
    ) -> Tensor:
        """Existing combinations, uniform with replacement.

        Args:
            count: how many.
            generator: on the device of the set.
            fixed: factor index -> value that all of them share.

        Returns:
            int64 (count, F).
        """
        columns = [
            torch.randint(size, (count,), generator=generator, device=self.device)
            for size in self.factor_sizes
        ]
        for factor, value in (fixed or {}).items():
            self.check_factor_value(factor, value)
            columns[factor] = torch.full_like(columns[factor], value)
        return torch.stack(columns, dim=1)

    def sample_images(self, count: int, generator: torch.Generator) -> Tensor:
        """Images (count, C, H, W) of combinations drawn uniformly with replacement."""
        return self._draw(self.sample_factors(count, generator), generator)

    def check_factor_value(self, factor: int, value: int) -> None:
        """Raise `DataError` unless factor `factor` has a value `value`."""
        if not 0 <= factor < len(self.factor_sizes):
            raise DataError(
                f"{self.name} has no factor {factor}: it has {len(self.factor_sizes)}, "
                f"numbered from 0"
            )
        if not 0 <= value < self.factor_sizes[factor]:
            raise DataError(
                f"{self.name} has no value {value} of factor {self.factor_names[factor]}: "
                f"values are 0 to {self.factor_sizes[factor] - 1}"
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
                f"{self.name} has {len(self.factor_sizes)} factors, "
                f"but {factors.shape[1]} were given"
            )
        sizes = torch.tensor(self.factor_sizes, device=factors.device)
        wrong = ((factors < 0) | (factors >= sizes)).any(dim=0)
        if wrong.any():
            factor = int(wrong.nonzero()[0])
            raise DataError(
                f"{self.name} has values 0 to {self.factor_sizes[factor] - 1} of factor "
                f"{self.factor_names[factor]}, but {factors[:, factor].min().item()} to "
                f"{factors[:, factor].max().item()} were given"
            )


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


def factor_variation(
    dataset: Dataset, factors: Tensor, factor: int, count: int
) -> tuple[Tensor, list[int]]:
    """Images in which one factor takes up to `count` of its values and the others stay.

    Args:
        dataset: with factors.
        factors: of the image to vary, int64 (F,).
        factor: index of the factor.
        count: images at most, evenly chosen over the values.

    Returns:
        Images (P, C, H, W) and the P values; combinations that do not exist are left out.

    Raises:
        DataError: there is no such factor.
    """
    dataset.check_factor_value(factor, 0)
    size = dataset.factor_sizes[factor]
    values = torch.linspace(0, size - 1, min(count, size)).round().long().tolist()
    images, found = [], []
    for value in values:
        varied = factors.clone()
        varied[factor] = value
        # The same seed each time, so that what no factor names stays as it is.
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
    """A `Dataset`, or a `DatasetInfo`, for which no image has to be loaded."""

    @property
    def name(self) -> str: ...

    @property
    def factor_sizes(self) -> tuple[int, ...]: ...


def known_cardinalities(dataset: HasFactors) -> tuple[int, ...]:
    """Sizes of the factors in their order, for `ModelConfig.cardinalities`. A factor with a single
    value does not vary, and no latent is kept for it.

    Raises:
        ConfigError: no factor varies.
    """
    sizes = tuple(size for size in dataset.factor_sizes if size > 1)
    if not sizes:
        raise ConfigError(
            f"{dataset.name} has no factors to take cardinalities from: give numbers, or leave "
            f"them out"
        )
    return sizes
