"""Data sets whose images are stored, by how factors find their image."""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dvae_core.data.base import Dataset
from dvae_core.data.stored_images import StoredImages
from dvae_core.errors import DataError


class GridDataset(Dataset):
    """Every combination of factors is there once.

    Args:
        images: one row a combination.
        device: where factors and images live.
        strides: rows between neighbouring values of each factor, (F,); when left out, the rows
            are in the order of `factors_at`.
    """

    def __init__(
        self,
        images: StoredImages,
        device: torch.device,
        strides: tuple[int, ...] | None = None,
    ) -> None:
        self.device = device
        self.image_shape = images.image_shape
        self._images = images
        if strides is None:
            strides = tuple(np.cumprod((1, *self.factor_sizes[:0:-1])).tolist()[::-1])
        self._strides = torch.tensor(strides, device=device)

    def _draw(self, factors: Tensor, generator: torch.Generator | None) -> Tensor:
        return self._images.at((factors * self._strides).sum(1))


class TableDataset(Dataset):
    """Factors are listed for each image: combinations may be missing, or have several images.

    Combinations are numbered in the order of their factors. Where one has several images, each
    draw picks one of them at random.

    Args:
        images: their rows are those of `factors`.
        factors: integers (images, F), F at least 1.
        device: where factors and images live.
    """

    def __init__(self, images: StoredImages, factors: NDArray, device: torch.device) -> None:
        self.device = device
        self.image_shape = images.image_shape
        self._images = images
        table = factors.astype(np.int64)
        order = np.lexsort(table.T[::-1])
        table = table[order]
        is_first = np.concatenate(([True], (table[1:] != table[:-1]).any(1)))
        starts = np.flatnonzero(is_first)
        counts = np.diff(starts, append=len(table))
        combinations = table[starts]
        self.is_noisy = bool(counts.max() > 1)
        self._rows = torch.from_numpy(order).to(device)  # rows of the images, by combination
        self._starts = torch.from_numpy(starts).to(device)  # (combinations,) into _rows
        self._counts = torch.from_numpy(counts).to(device)
        self._combinations = torch.from_numpy(combinations).to(device)  # (combinations, F)
        multipliers, keys = _distinct_keys(combinations)
        self._multipliers = torch.from_numpy(multipliers).to(device)
        self._sorted_keys, self._by_key = torch.from_numpy(keys).to(device).sort()
        self._by_value: dict[int, tuple[Tensor, Tensor]] = {}

    def __len__(self) -> int:
        return len(self._combinations)

    def factors_at(self, indices: Tensor) -> Tensor:
        return self._combinations[indices]

    def images_at(self, indices: Tensor, generator: torch.Generator | None = None) -> Tensor:
        starts = self._starts[indices]
        if not self.is_noisy:
            return self._images.at(self._rows[starts])
        check_generator(self.name, generator)
        # A combination has far fewer images than there are such numbers: the bias is nil.
        numbers = torch.randint(2**62, starts.shape, generator=generator, device=self.device)
        return self._images.at(self._rows[starts + numbers % self._counts[indices]])

    def sample_factors(
        self, count: int, generator: torch.Generator, fixed: Mapping[int, int] | None = None
    ) -> Tensor:
        candidates = self._matching(fixed or {})
        number = len(self) if candidates is None else len(candidates)
        if number == 0:
            raise DataError(f"{self.name} has no image of {self._described(dict(fixed or {}))}")
        picked = torch.randint(number, (count,), generator=generator, device=self.device)
        return self._combinations[picked if candidates is None else candidates[picked]]

    def check_factors(self, factors: Tensor) -> None:
        super().check_factors(factors)
        missing = (self._combinations[self.indices_of(factors)] != factors).any(1)
        if missing.any():
            first = factors[missing][0].tolist()
            raise DataError(
                f"{self.name} has no image of {self._described(dict(enumerate(first)))}: it holds "
                f"{len(self):,} of the possible combinations"
            )

    def _draw(self, factors: Tensor, generator: torch.Generator | None) -> Tensor:
        return self.images_at(self.indices_of(factors), generator)

    def indices_of(self, factors: Tensor) -> Tensor:
        keys = (factors * self._multipliers).sum(1)
        position = torch.searchsorted(self._sorted_keys, keys).clamp(max=len(self) - 1)
        return self._by_key[position]

    def _matching(self, fixed: Mapping[int, int]) -> Tensor | None:
        candidates: Tensor | None = None
        for factor, value in fixed.items():
            self.check_factor_value(factor, value)
            if candidates is None:
                candidates = self._with_value(factor, value)
            else:
                candidates = candidates[self._combinations[candidates, factor] == value]
        return candidates

    def _with_value(self, factor: int, value: int) -> Tensor:
        if factor not in self._by_value:  # metrics ask for the same factor thousands of times
            values, order = self._combinations[:, factor].sort(stable=True)
            numbers = torch.arange(self.factor_sizes[factor] + 1, device=self.device)
            self._by_value[factor] = order, torch.searchsorted(values, numbers)
        order, bounds = self._by_value[factor]
        return order[bounds[value] : bounds[value + 1]]

    def _described(self, values: Mapping[int, int]) -> str:
        return ", ".join(f"{self.factor_names[factor]} {value}" for factor, value in values.items())


class UnlabelledDataset(Dataset):
    """Images without factors, F = 0: its combinations are the images, one by one.

    Args:
        name: of the set.
        images: the images.
        count: number of them.
        device: where images live.
    """

    factor_names = ()
    factor_sizes = ()
    is_noisy = True

    def __init__(self, name: str, images: StoredImages, count: int, device: torch.device) -> None:
        self.name = name
        self.device = device
        self.image_shape = images.image_shape
        self._images = images
        self._count = count

    def __len__(self) -> int:
        return self._count

    def factors_at(self, indices: Tensor) -> Tensor:
        return torch.empty(len(indices), 0, dtype=torch.int64, device=self.device)

    def images_at(self, indices: Tensor, generator: torch.Generator | None = None) -> Tensor:
        return self._images.at(indices)

    def sample_factors(
        self, count: int, generator: torch.Generator, fixed: Mapping[int, int] | None = None
    ) -> Tensor:
        for factor, value in (fixed or {}).items():
            self.check_factor_value(factor, value)
        return torch.empty(count, 0, dtype=torch.int64, device=self.device)

    def _draw(self, factors: Tensor, generator: torch.Generator | None) -> Tensor:
        check_generator(self.name, generator)
        picked = torch.randint(
            self._count, (len(factors),), generator=generator, device=self.device
        )
        return self._images.at(picked)


def check_generator(name: str, generator: torch.Generator | None) -> None:
    """Raise `DataError` when a set that draws its images at random is given no generator."""
    if generator is None:
        raise DataError(f"{name} picks an image at random: give a generator")


def _distinct_keys(combinations: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    # The place in the full grid would be a key, but with many factors it does not fit 64 bits.
    # Sums of products with random odd numbers, modulo 2^64, are as good once they are distinct.
    random = np.random.default_rng(0)
    while True:
        multipliers = random.integers(2**62, size=combinations.shape[1:]) * 2 + 1
        keys: NDArray[np.int64] = (combinations * multipliers).sum(1)
        if len(np.unique(keys)) == len(keys):
            return multipliers, keys
