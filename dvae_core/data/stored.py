"""Data sets with stored images."""

from abc import ABC, abstractmethod
from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn.functional import avg_pool2d

from dvae_core.data.dataset import Dataset
from dvae_core.errors import DataError

_UPLOAD_BYTES = 64 * 2**20


class StoredImages(ABC):
    """Square images stored as uint8 and converted to float32 in [0, 1] batch by batch.

    Images in a mapped file are moved to a CUDA device if they fill at most half of its free memory;
    otherwise they are read from the file batch by batch.

    Attributes:
        image_shape: (C, H, W) of the result of `at`.

    Args:
        stored: uint8, images first.
        stored_shape: (C, H, H) of the stored images.
        image_size: H and W of the result, by averaging squares of stored pixels.
        device: device of the result.

    Raises:
        DataError: the stored size is not a multiple of `image_size`.
    """

    def __init__(
        self,
        stored: NDArray[np.uint8],
        stored_shape: tuple[int, int, int],
        image_size: int,
        device: torch.device,
    ) -> None:
        channels, stored_size, _ = stored_shape
        if stored_size % image_size:
            raise DataError(
                f"the images have {stored_size} x {stored_size} pixels, which cannot be averaged "
                f"to {image_size} x {image_size}: choose a size that divides {stored_size}"
            )
        self.image_shape = (channels, image_size, image_size)
        self._stored_shape = stored_shape
        self._device = device
        self._stored = _on_device_if_it_fits(stored, device)

    def at(self, rows: Tensor) -> Tensor:
        """Images float32 (B, C, H, W) at the rows int64 (B,)."""
        if isinstance(self._stored, Tensor):
            gathered = self._stored[rows]
        else:
            gathered = torch.from_numpy(self._stored[rows.cpu().numpy()]).to(self._device)
        images = self._unpack(gathered)  # (B, C, stored H, stored W)
        pooled = self._stored_shape[1] // self.image_shape[1]
        return images if pooled == 1 else avg_pool2d(images, pooled)

    @abstractmethod
    def _unpack(self, gathered: Tensor) -> Tensor:
        """Images float32 (B, C, H, W) in [0, 1] from stored uint8, images first."""


class ByteImages(StoredImages):
    """Images stored as uint8 (images, H, W, C); 255 is white."""

    def __init__(self, pixels: NDArray[np.uint8], image_size: int, device: torch.device) -> None:
        _, height, width, channels = pixels.shape
        super().__init__(pixels, (channels, height, width), image_size, device)

    def _unpack(self, gathered: Tensor) -> Tensor:
        images = gathered.permute(0, 3, 1, 2)  # (B, H, W, C) -> (B, C, H, W)
        return images.to(torch.float32, memory_format=torch.contiguous_format) / 255


class BitImages(StoredImages):
    """Binary images stored as bits, uint8 (images, H * W / 8), by numpy.packbits."""

    def __init__(
        self, bits: NDArray[np.uint8], size: int, image_size: int, device: torch.device
    ) -> None:
        super().__init__(bits, (1, size, size), image_size, device)
        self._shifts = torch.arange(7, -1, -1, dtype=torch.uint8, device=device)

    def _unpack(self, gathered: Tensor) -> Tensor:
        pixels = (gathered[:, :, None] >> self._shifts) & 1  # (B, H * W / 8, 8)
        return pixels.to(torch.float32).view(-1, *self._stored_shape)  # -> (B, 1, H, W)


def _on_device_if_it_fits(
    stored: NDArray[np.uint8], device: torch.device
) -> NDArray[np.uint8] | Tensor:
    if device.type != "cuda" or stored.nbytes > torch.cuda.mem_get_info(device)[0] // 2:
        return stored
    placed = torch.empty(stored.shape, dtype=torch.uint8, device=device)
    rows = max(_UPLOAD_BYTES * len(stored) // stored.nbytes, 1)
    for start in range(0, len(stored), rows):
        placed[start : start + rows] = torch.from_numpy(np.array(stored[start : start + rows]))
    return placed


def resized(
    pictures: NDArray[np.uint8], size: int, resampling: Image.Resampling
) -> NDArray[np.uint8]:
    """Scale uint8 (B, H, W, C), C 1 or 3, to (B, size, size, C), each side separately."""
    if pictures.shape[1:3] == (size, size):
        return pictures
    shape = (*pictures.shape[:3], 3) if pictures.shape[3] == 3 else pictures.shape[:3]
    made = [
        np.asarray(Image.fromarray(picture).resize((size, size), resampling))
        for picture in np.ascontiguousarray(pictures).reshape(shape)
    ]
    return np.stack(made).reshape(len(pictures), size, size, pictures.shape[3])


class GridDataset(Dataset):
    """A data set with exactly one image per combination of factors.

    Args:
        images: one row per combination.
        device: device of factors and images.
        strides: rows between neighbouring values of each factor, (F,); by default the rows have
            the order of `factors_at`.
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
    """A data set with the factors of each image: a combination may have no image or several ones.

    Combinations are sorted by their factors. A combination with several images gives a random one
    each time.

    Args:
        images: one row per row of `factors`.
        factors: integers (images, F), F at least 1.
        device: device of factors and images.
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

    @property
    def num_images(self) -> int:
        return len(self._rows)

    @property
    def is_grid(self) -> bool:
        # A single factor with another value for each image numbers the images.
        return super().is_grid and sum(size > 1 for size in self.factor_sizes) > 1

    def points_at(
        self, numbers: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        combinations = torch.searchsorted(self._starts, numbers, right=True) - 1
        return self._combinations[combinations], self._images.at(self._rows[numbers])

    def factors_at(self, indices: Tensor) -> Tensor:
        return self._combinations[indices]

    def images_at(self, indices: Tensor, generator: torch.Generator | None = None) -> Tensor:
        starts = self._starts[indices]
        if not self.is_noisy:
            return self._images.at(self._rows[starts])
        check_generator(self.name, generator)
        # A combination has far fewer than 2^62 images, so the bias of the modulus is negligible.
        numbers = torch.randint(2**62, starts.shape, generator=generator, device=self.device)
        return self._images.at(self._rows[starts + numbers % self._counts[indices]])

    def sample_factors(
        self, count: int, generator: torch.Generator, fixed: Mapping[int, int] | None = None
    ) -> Tensor:
        candidates = self._matching(fixed or {})
        number = len(self) if candidates is None else len(candidates)
        if number == 0:
            raise DataError(f"{self.name} has no image with {self._described(dict(fixed or {}))}")
        picked = torch.randint(number, (count,), generator=generator, device=self.device)
        return self._combinations[picked if candidates is None else candidates[picked]]

    def sample_points(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        # By image: drawn by combination, rare labels would be as frequent as common ones.
        numbers = torch.randint(self.num_images, (count,), generator=generator, device=self.device)
        return self.points_at(numbers)

    def check_factors(self, factors: Tensor) -> None:
        super().check_factors(factors)
        missing = (self._combinations[self.indices_of(factors)] != factors).any(1)
        if missing.any():
            first = factors[missing][0].tolist()
            raise DataError(
                f"{self.name} has no image with {self._described(dict(enumerate(first)))}: it has "
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
        if factor not in self._by_value:  # metrics fix the same factor thousands of times
            values, order = self._combinations[:, factor].sort(stable=True)
            numbers = torch.arange(self.factor_sizes[factor] + 1, device=self.device)
            self._by_value[factor] = order, torch.searchsorted(values, numbers)
        order, bounds = self._by_value[factor]
        return order[bounds[value] : bounds[value + 1]]

    def _described(self, values: Mapping[int, int]) -> str:
        return ", ".join(f"{self.factor_names[factor]} {value}" for factor, value in values.items())


class UnlabelledDataset(Dataset):
    """A data set of `count` images without factors, F = 0; each image is one combination."""

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
    """Raise `DataError` if a noisy data set gets no generator."""
    if generator is None:
        raise DataError(f"{name} picks an image at random: pass a generator")


def _distinct_keys(combinations: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    # An index into the full grid may exceed 64 bits. Sums of products with random odd numbers,
    # modulo 2^64, serve as keys if they are distinct.
    random = np.random.default_rng(0)
    while True:
        multipliers = random.integers(2**62, size=combinations.shape[1:]) * 2 + 1
        keys: NDArray[np.int64] = (combinations * multipliers).sum(1)
        if len(np.unique(keys)) == len(keys):
            return multipliers, keys
