"""3D Shapes: one solid in a room (Burgess and Kim 2018).

Source: github.com/deepmind/3d-shapes.
"""

from collections.abc import Iterator
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dvae_core.data.originals.published import PublishedFiles, check_grid_order
from dvae_core.data.originals.published_grid import PublishedGrid
from dvae_core.data.untrusted.reader import Reader

# The published file packs slices of many images together, which are unpacked at once.
_READER_BYTES = 2**30


class Shapes3D(PublishedGrid):
    """The published images, float32 (B, 3, H, W), unpacked on first use into 5.9 GB on disk.

    Images of 32 pixels are averages of 2x2 pixels. Arguments as in `load_dataset`.

    Raises:
        DataError: the file is missing or not the published one.
    """

    name = "shapes3d"
    factor_names = ("floor hue", "wall hue", "object hue", "scale", "shape", "orientation")
    factor_sizes = (10, 10, 10, 8, 4, 15)
    files = PublishedFiles("shapes3d", (("3dshapes.h5",),))

    def typical_factors(self) -> tuple[int, ...]:
        return 1, 6, 0, 5, 0, 4  # as in rooms: the middle of all hues is one colour

    def _blocks(self, path: Path) -> Iterator[NDArray[np.uint8]]:
        with Reader(_READER_BYTES) as reader:
            file = reader.open_arrays(path, ("images", "labels"))
            file.require_published("images", (prod(self.factor_sizes), 64, 64, 3))
            file.require("labels")
            check_grid_order(path, file.read_whole("labels"), self.factor_sizes)
            yield from file.blocks("images")
