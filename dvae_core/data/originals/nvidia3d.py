"""Isaac3D and Falcor3D: renderings of a robot arm and of a living room (Nie et al. 2020).

Source: NVIDIA's archives of 128x128 pixels; layout, sizes and order of factors as in
kylehkhsu/latent_quantization.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dvae_core.data.originals.published import PublishedFiles, grid_order
from dvae_core.data.originals.published_grid import SIZE, PublishedGrid
from dvae_core.data.untrusted.reader import Reader

_PUBLISHED_SIZE = 128
_BLOCK = 256  # pictures read at a time


class _Nvidia3D(PublishedGrid):
    """The published images of 128 pixels, scaled to 64, float32 (B, 3, H, W).

    Images are in the order of their labels, whatever their order in the archive. Images of 32
    pixels are averages of 2x2 pixels. Arguments as in `load_dataset`.

    Raises:
        DataError: the archive is missing or not the published one.
    """

    folder: str
    labels: str

    def _blocks(self, path: Path) -> Iterator[NDArray[np.uint8]]:
        with Reader() as reader:
            labels = reader.open_zip(path, f"{self.folder}/{self.labels}")
            order = grid_order(path, labels, self.factor_sizes)
            for start in range(0, len(order), _BLOCK):
                numbers = order[start : start + _BLOCK]
                names = [f"{self.folder}/images/{number:06}.png" for number in numbers]
                yield reader.zipped_pictures(path, names, _PUBLISHED_SIZE, SIZE)


class Isaac3D(_Nvidia3D):
    """A robot arm that moves an object, 737,280 images."""

    name = "isaac3d"
    factor_names = (
        "object shape",
        "robot x",
        "robot y",
        "camera height",
        "object scale",
        "lighting intensity",
        "lighting direction",
        "object colour",
        "wall colour",
    )
    factor_sizes = (3, 8, 5, 4, 4, 4, 6, 4, 4)
    files = PublishedFiles("isaac3d", (("Isaac3D_down128.zip",),))
    folder = "Isaac3D_down128"
    labels = "labels.npy"


class Falcor3D(_Nvidia3D):
    """A living room under changing light and from changing places, 233,280 images."""

    name = "falcor3d"
    factor_names = (
        "lighting intensity",
        "lighting x",
        "lighting y",
        "lighting z",
        "camera x",
        "camera y",
        "camera z",
    )
    factor_sizes = (5, 6, 6, 6, 6, 6, 6)
    files = PublishedFiles("falcor3d", (("Falcor3D_down128.zip",),))
    folder = "Falcor3D_down128"
    labels = "train-rec.labels"
