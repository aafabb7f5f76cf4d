"""Cars3D: renderings of 183 cars from all sides (Reed et al. 2015).

Source: the authors' archive of analogies; sizes and order of factors as in
google-research/disentanglement_lib.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from dvae_core.data.folder import cached_array
from dvae_core.data.originals.published import PublishedFiles
from dvae_core.data.stored import ByteImages, GridDataset, resized
from dvae_core.data.untrusted.reader import Reader
from dvae_core.errors import DataError
from dvae_core.progress import Progress, no_progress

_PUBLISHED_SIZE = 128
_SIZE = 64
_RESAMPLING = Image.Resampling.LANCZOS  # disentanglement_lib's


class Cars3D(GridDataset):
    """The published images of 128 pixels, scaled to 64: float32 (B, 3, H, W).

    Object types are sorted by file name, so they are the same on every machine. Images of 32 pixels
    are averages of 2x2 pixels. Arguments as in `load_dataset`.

    Raises:
        DataError: the archive is missing or not the published one.
    """

    name = "cars3d"
    factor_names = ("elevation", "azimuth", "object type")
    factor_sizes = (4, 24, 183)
    channels = 3
    files = PublishedFiles("cars3d", (("nips2015-analogy-data.tar.gz",),))

    def __init__(
        self,
        image_size: int = 64,
        device: torch.device | str = "cpu",
        progress: Progress = no_progress,
    ) -> None:
        device = torch.device(device)
        paths = self.files.require()
        elevations, azimuths, types = self.factor_sizes
        shape = (types * azimuths * elevations, _SIZE, _SIZE, 3)
        pixels = cached_array(self.name, paths, shape, lambda: self._blocks(paths[0]), progress)
        strides = (1, elevations, azimuths * elevations)
        super().__init__(ByteImages(pixels, image_size, device), device, strides)

    def _blocks(self, path: Path) -> Iterator[NDArray[np.uint8]]:
        elevations, azimuths, types = self.factor_sizes
        expected = (_PUBLISHED_SIZE, _PUBLISHED_SIZE, 3, azimuths, elevations)
        cars: dict[str, NDArray[np.uint8]] = {}  # 216 MB in all; the archive has them in any order
        with Reader() as reader:
            for name, mesh in reader.meshes(path):
                if mesh.shape != expected:
                    raise DataError(
                        f"{path} has {name} of shape {mesh.shape}, but {expected} is published"
                    )
                if name in cars or len(cars) == types:
                    raise DataError(f"{path} has {name} twice, or more than {types} cars")
                # (H, W, C, azimuth, elevation) -> (azimuth * elevation, H, W, C)
                pictures = mesh.transpose(3, 4, 0, 1, 2).reshape(-1, *mesh.shape[:3])
                cars[name] = resized(pictures, _SIZE, _RESAMPLING)
        if len(cars) != types:
            raise DataError(f"{path} has {len(cars)} cars, but {types} are published")
        for name in sorted(cars):
            yield cars[name]
