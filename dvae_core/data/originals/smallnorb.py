"""SmallNORB: toys photographed from all sides (LeCun et al. 2004).

Source: the authors' six files; sizes and order of factors as in
google-research/disentanglement_lib.
"""

import gzip
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from dvae_core.data.folder import cached_array
from dvae_core.data.originals.published import PublishedFiles
from dvae_core.data.stored import ByteImages, TableDataset, resized
from dvae_core.errors import DataError
from dvae_core.progress import Progress, no_progress

_PUBLISHED_SIZE = 96
_SIZE = 64
_RESAMPLING = Image.Resampling.LANCZOS  # disentanglement_lib's
_CAMERAS = 2
_BLOCK = 100  # images read at a time
_TRAINING = "smallnorb-5x46789x9x18x6x2x96x96-training"
_TESTING = "smallnorb-5x01235x9x18x6x2x96x96-testing"


class SmallNorb(TableDataset):
    """The published images of the first camera, scaled from 96 to 64 pixels: float32 (B, 1, H, W).

    Combines the training and the testing part. The toy, one of ten per category, is not a factor:
    each image shows a random one. Images of 32 pixels are averages of 2x2 pixels. Arguments as in
    `load_dataset`.

    Raises:
        DataError: a file is missing or not the published one.
    """

    name = "smallnorb"
    factor_names = ("category", "elevation", "azimuth", "lighting")
    factor_sizes = (5, 9, 18, 6)
    instances = 10
    channels = 1
    files = PublishedFiles(
        "smallnorb",
        tuple(
            (f"{part}-{content}.mat.gz", f"{part}-{content}.mat")
            for part in (_TRAINING, _TESTING)
            for content in ("dat", "cat", "info")
        ),
    )

    def __init__(
        self,
        image_size: int = 64,
        device: torch.device | str = "cpu",
        progress: Progress = no_progress,
    ) -> None:
        device = torch.device(device)
        paths = self.files.require()
        pictures, categories, details = paths[0::3], paths[1::3], paths[2::3]
        factors = self._read_factors(categories, details)
        shape = (len(factors), _SIZE, _SIZE, 1)
        pixels = cached_array(
            self.name, pictures, shape, lambda: _blocks(pictures, shape[0]), progress
        )
        super().__init__(ByteImages(pixels, image_size, device), factors, device)

    def _read_factors(self, categories: Sequence[Path], details: Sequence[Path]) -> NDArray:
        category = np.concatenate([self._read_whole(path, ()) for path in categories])
        # instance, elevation, azimuth (counted in steps of 2), lighting
        detail = np.concatenate([self._read_whole(path, (4,)) for path in details])
        if len(category) != len(detail):
            raise DataError(
                f"{categories[0].parent} has SmallNORB files of {len(category):,} categories but "
                f"{len(detail):,} other factors: download the published files"
            )
        table = np.column_stack(
            (category, detail[:, 0], detail[:, 1], detail[:, 2] // 2, detail[:, 3])
        )
        sizes = (self.factor_sizes[0], self.instances, *self.factor_sizes[1:])
        in_range = ((table >= 0) & (table < sizes)).all()
        if not in_range or len(np.unique(table, axis=0)) != len(table) or len(table) != prod(sizes):
            raise DataError(
                f"{categories[0].parent} has SmallNORB files of {len(table):,} images, not one of "
                f"each of the {prod(sizes):,} published combinations"
            )
        return table[:, [0, 2, 3, 4]]

    def _read_whole(self, path: Path, row_shape: tuple[int, ...]) -> NDArray:
        most = prod(self.factor_sizes) * self.instances
        with NorbMatrix(path) as matrix:
            if matrix.dtype != "<i4" or matrix.shape[1:] != row_shape or matrix.shape[0] > most:
                raise DataError(
                    f"{path} has a matrix {matrix.dtype} of shape {matrix.shape}, but int32 of "
                    f"shape {(most // 2, *row_shape)} is published"
                )
            return np.concatenate(list(matrix.blocks(most)))


def _blocks(paths: Sequence[Path], count: int) -> Iterator[NDArray[np.uint8]]:
    for path in paths:
        with NorbMatrix(path) as matrix:
            expected = (count // len(paths), _CAMERAS, _PUBLISHED_SIZE, _PUBLISHED_SIZE)
            if matrix.dtype != "u1" or matrix.shape != expected:
                raise DataError(
                    f"{path} has a matrix {matrix.dtype} of shape {matrix.shape}, but uint8 of "
                    f"shape {expected} is published"
                )
            for block in matrix.blocks(_BLOCK):
                pictures = block[:, 0, :, :, np.newaxis]  # (B, cameras, H, W) -> (B, H, W, 1)
                yield resized(pictures, _SIZE, _RESAMPLING)


_KINDS: dict[int, np.dtype] = {0x1E3D4C55: np.dtype("u1"), 0x1E3D4C54: np.dtype("<i4")}
_MAX_AXES = 8
_MAX_ENTRY_NUMBERS = 2**20  # along the first axis; SmallNORB has 2 x 96 x 96


class NorbMatrix:
    """A reader of a matrix file, which may be compressed with gzip. Use it in a `with` statement.

    The header has little-endian integers of 32 bits: a number for the type of entries, the number
    of axes, then at least three sizes. The last axis varies fastest.

    Attributes:
        shape: size of each axis.
        dtype: type of the entries.

    Raises:
        DataError: the file is damaged, truncated or not such a matrix.

    Source: the description of the file format by the authors of SmallNORB.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        opener: Callable[[Path, str], Any] = gzip.open if path.suffix == ".gz" else open
        self._file: IO[bytes] = opener(path, "rb")
        try:
            kind, axes = self._integers(2)
            if kind not in _KINDS or not 1 <= axes <= _MAX_AXES:
                raise DataError(f"{path} is not a matrix of bytes or integers in the NORB format")
            self.dtype = _KINDS[kind]
            self.shape = tuple(self._integers(max(3, axes))[:axes])
            if min(self.shape) < 1 or prod(self.shape[1:]) > _MAX_ENTRY_NUMBERS:
                raise DataError(f"{path} is damaged: its header has the shape {self.shape}")
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> "NorbMatrix":
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def blocks(self, rows: int) -> Iterator[NDArray]:
        """The whole matrix in blocks of at most `rows` entries of its first axis."""
        for start in range(0, self.shape[0], rows):
            shape = (min(rows, self.shape[0] - start), *self.shape[1:])
            data = self._read(prod(shape) * self.dtype.itemsize)
            yield np.frombuffer(data, self.dtype).reshape(shape)
        with _errors_of(self._path):
            if self._file.read(1):  # also checks gzip's sum
                raise DataError(f"{self._path} is damaged: it continues after the matrix")

    def _integers(self, count: int) -> list[int]:
        return np.frombuffer(self._read(4 * count), "<i4").tolist()

    def _read(self, count: int) -> bytes:
        with _errors_of(self._path):
            data = self._file.read(count)
        if len(data) != count:
            raise DataError(f"{self._path} is truncated")
        return data


@contextmanager
def _errors_of(path: Path) -> Iterator[None]:
    try:
        yield
    except EOFError:
        raise DataError(f"{path} is truncated") from None
    except (OSError, zlib.error):
        raise DataError(f"{path} is damaged or not a gzip file") from None
