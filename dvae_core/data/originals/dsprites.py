"""dSprites: a white square, ellipse or heart on black (Matthey et al. 2017).

Source: github.com/deepmind/dsprites-dataset.
"""

from collections.abc import Iterator
from math import prod
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dvae_core.data.folder import cached_array
from dvae_core.data.originals.published import PublishedFiles, check_grid_order
from dvae_core.data.stored import BitImages, GridDataset, check_generator
from dvae_core.data.untrusted.reader import Reader
from dvae_core.errors import DataError
from dvae_core.progress import Progress, no_progress

_SIZE = 64
_FILE = "dsprites_ndarray_co1sh3sc6or40x32y32_64x64"


class Dsprites(GridDataset):
    """The published images, float32 (B, 1, H, W), 0 or 1 at 64x64, averages of 2x2 pixels at 32x32.

    Factors: shape (0 square, 1 ellipse, 2 heart), scale, orientation, x and y; the published
    colour has a single value and is left out. Only the images and the classes of a .npz are read,
    because its metadata is a pickle. Images are stored as bits, 377 MB in all. Arguments as in
    `load_dataset`.

    Raises:
        DataError: the file is missing or not the published one.
    """

    name = "dsprites"
    factor_names = ("shape", "scale", "orientation", "x", "y")
    factor_sizes = (3, 6, 40, 32, 32)
    channels = 1
    files = PublishedFiles("dsprites", ((f"{_FILE}.hdf5", f"{_FILE}.npz"),))

    def __init__(
        self,
        image_size: int = 64,
        device: torch.device | str = "cpu",
        progress: Progress = no_progress,
    ) -> None:
        device = torch.device(device)
        paths = self.files.require()
        shape = (prod(self.factor_sizes), _SIZE * _SIZE // 8)
        bits = cached_array(
            self.files.family, paths, shape, lambda: self._packed(paths[0]), progress
        )
        super().__init__(BitImages(bits, _SIZE, image_size, device), device)

    def _packed(self, path: Path) -> Iterator[NDArray[np.uint8]]:
        classes_name = "latents_classes" if path.suffix == ".npz" else "latents/classes"
        with Reader() as reader:
            file = reader.open_arrays(path, ("imgs", classes_name))
            file.require_published("imgs", (prod(self.factor_sizes), _SIZE, _SIZE))
            file.require(classes_name)
            classes = file.read_whole(classes_name)
            check_grid_order(path, classes, (1, *self.factor_sizes))
            for block in file.blocks("imgs"):
                if block.max() > 1:
                    raise DataError(f"{path} has images with values above 1, unlike the published")
                yield np.packbits(block.reshape(len(block), -1), axis=1)  # (B, H, W) -> bits


class ColorDsprites(Dsprites):
    """`Dsprites` times a colour: float32 (B, 3, H, W).

    Each of red, green and blue is uniform in [0.5, 1), drawn again for every image: noise that no
    factor names. Hence a generator is required, and `DataError` is raised without one.

    Source: Locatello et al. (2019), `ColorDSprites` in google-research/disentanglement_lib.
    """

    name = "color_dsprites"
    channels = 3
    is_noisy = True
    noise = "the colour"

    def __init__(
        self,
        image_size: int = 64,
        device: torch.device | str = "cpu",
        progress: Progress = no_progress,
    ) -> None:
        super().__init__(image_size, device, progress)
        self.image_shape = (3, image_size, image_size)

    def _draw(self, factors: Tensor, generator: torch.Generator | None) -> Tensor:
        check_generator(self.name, generator)
        sprites = super()._draw(factors, generator)  # (B, 1, H, W)
        uniform = torch.rand(len(factors), 3, 1, 1, generator=generator, device=factors.device)
        return sprites * (0.5 + 0.5 * uniform)
