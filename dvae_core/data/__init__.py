"""Data sets by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dvae_core.errors import DataError
from dvae_core.progress import Progress, no_progress

if TYPE_CHECKING:  # else whoever asks for a name waits for torch
    import torch

    from dvae_core.data.dataset import Dataset
    from dvae_core.data.listing import DatasetInfo

# Those that need no file.
DATASET_NAMES = ("circles", "circles_continuous", "sprites", "color_sprites", "rooms", "digits")
# Those that need the original's file.
ORIGINAL_NAMES = (
    "dsprites",
    "color_dsprites",
    "smallnorb",
    "cars3d",
    "shapes3d",
    "mpi3d_toy",
    "mpi3d_realistic",
    "mpi3d_real",
)

# Height and width in pixels that `load_dataset` makes.
IMAGE_SIZES = range(32, 129)


def dataset_names() -> tuple[str, ...]:
    """Every name that `load_dataset` knows, those of imported sets at the end."""
    from dvae_core.data.imported.dataset import imported_names

    return DATASET_NAMES + ORIGINAL_NAMES + imported_names()


def dataset_states() -> list[DatasetInfo]:
    """What each of `dataset_names` holds, and whether its file is there. Loads no images."""
    from dvae_core.data.listing import dataset_info

    return [dataset_info(name) for name in dataset_names()]


def load_dataset(
    name: str,
    image_size: int = 64,
    device: torch.device | str = "cpu",
    progress: Progress = no_progress,
) -> Dataset:
    """The data set of that name, its images made or looked up on `device`.

    Args:
        name: one of `dataset_names()`.
        image_size: height and width of the images in pixels, 32 or 64; any other from 32 to 128 is
            scaled from 64, as models have it that were made elsewhere.
        device: where factors and images live.
        progress: told of images stored, where the first use of an original file has to unpack it.

    Raises:
        DataError: no data set has that name, its file is missing or not what it should be, or it
            has no images of that size.
    """
    if image_size not in IMAGE_SIZES:
        raise DataError(
            f"images of {image_size} pixels were asked for, but {IMAGE_SIZES[0]} to "
            f"{IMAGE_SIZES[-1]} are made"
        )
    if image_size not in (32, 64):
        from dvae_core.data.dataset import ScaledDataset

        return ScaledDataset(load_dataset(name, 64, device, progress), image_size)
    match name:
        case "circles":
            from dvae_core.data.procedural.circles import Circles

            return Circles(image_size, device)
        case "circles_continuous":
            from dvae_core.data.procedural.circles import ContinuousCircles

            return ContinuousCircles(image_size, device)
        case "sprites":
            from dvae_core.data.procedural.sprites import Sprites

            return Sprites(image_size, device)
        case "color_sprites":
            from dvae_core.data.procedural.sprites import ColorSprites

            return ColorSprites(image_size, device)
        case "rooms":
            from dvae_core.data.procedural.rooms import Rooms

            return Rooms(image_size, device)
        case "digits":
            from dvae_core.data.procedural.digits import Digits

            return Digits(image_size, device)
    if name in ORIGINAL_NAMES:
        from dvae_core.data.listing import ORIGINALS

        return ORIGINALS[name](image_size, device, progress)
    from dvae_core.data.imported.dataset import imported_names, load_imported

    if name in imported_names():
        return load_imported(name, image_size, device)
    raise DataError(f"no data set is called {name[:60]!r}: there are {', '.join(dataset_names())}")
