"""Data sets by name."""

import torch

from dvae_core.data.base import Dataset
from dvae_core.errors import DataError

DATASET_NAMES = ("circles", "sprites", "color_sprites")


def load_dataset(name: str, image_size: int = 64, device: torch.device | str = "cpu") -> Dataset:
    """The data set of that name, its images made or looked up on `device`.

    Args:
        name: one of `DATASET_NAMES`.
        image_size: height and width of the images in pixels, 32 or 64.
        device: where factors and images live.

    Raises:
        DataError: no data set has that name.
    """
    match name:
        case "circles":
            from dvae_core.data.circles import Circles

            return Circles(image_size, device)
        case "sprites":
            from dvae_core.data.sprites import Sprites

            return Sprites(image_size, device)
        case "color_sprites":
            from dvae_core.data.sprites import ColorSprites

            return ColorSprites(image_size, device)
    raise DataError(f"no data set is called {name[:60]!r}: there are {', '.join(DATASET_NAMES)}")
