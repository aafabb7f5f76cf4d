"""Loading data sets by name."""

from __future__ import annotations

from pkgutil import resolve_name
from typing import TYPE_CHECKING

from dvae_core.errors import DataError
from dvae_core.progress import Progress, no_progress

if TYPE_CHECKING:  # torch is slow to import, and each reader of a file starts with this module
    import torch

    from dvae_core.config import ImageSize
    from dvae_core.data.dataset import Dataset
    from dvae_core.data.listing import DatasetInfo

# Data sets that need no file, with the module and class below `procedural`.
_PROCEDURAL = {
    "circles": "circles:Circles",
    "circles_continuous": "circles:ContinuousCircles",
    "sprites": "sprites:Sprites",
    "sprites_continuous": "sprites:ContinuousSprites",
    "color_sprites": "sprites:ColorSprites",
    "rooms": "rooms:Rooms",
    "digits": "digits:Digits",
}
DATASET_NAMES = tuple(_PROCEDURAL)
# Those that draw more than 64 x 64 pixels.
_DRAWN_AT_128 = ("circles", "circles_continuous")
# Data sets that need the published file.
ORIGINAL_NAMES = (
    "dsprites",
    "color_dsprites",
    "smallnorb",
    "cars3d",
    "shapes3d",
    "mpi3d_toy",
    "mpi3d_realistic",
    "mpi3d_real",
    "mpi3d_real_complex",
    "isaac3d",
    "falcor3d",
)

# Heights, and widths, in pixels at which data sets are stored or drawn, and runs of ours train.
TRAINED_SIZES = (32, 64, 128)
# Heights and widths in pixels that `load_dataset` supports.
IMAGE_SIZES = range(32, 257)


def dataset_names() -> tuple[str, ...]:
    """All names that `load_dataset` accepts, imported data sets last."""
    from dvae_core.data.imported.dataset import imported_names

    return DATASET_NAMES + ORIGINAL_NAMES + imported_names()


def dataset_states() -> list[DatasetInfo]:
    """Factors, size and file state of each data set in `dataset_names`; loads no images."""
    from dvae_core.data.listing import dataset_info

    return [dataset_info(name) for name in dataset_names()]


def load_dataset(
    name: str,
    image_size: ImageSize = 64,
    device: torch.device | str = "cpu",
    progress: Progress = no_progress,
) -> Dataset:
    """The data set with this name.

    Args:
        name: one of `dataset_names()`.
        image_size: height and width of the images in pixels, 32 to 256. Sizes other than 32, 64 and
            128, and those larger than the data set has, are scaled from its largest; if height and
            width differ, the images are stretched.
        device: device of factors and images.
        progress: called with the number of unpacked images when a published file is first used.

    Raises:
        DataError: the name is unknown, the file is missing or invalid, or the size is out of range.
    """
    height, width = (image_size, image_size) if isinstance(image_size, int) else image_size
    for side in (height, width):
        if side not in IMAGE_SIZES:
            raise DataError(
                f"image_size is {side}: give a number from {IMAGE_SIZES[0]} to {IMAGE_SIZES[-1]}"
            )
    image_size = height
    largest = largest_side(name)
    if height != width or image_size not in TRAINED_SIZES or image_size > largest:
        from dvae_core.data.dataset import ScaledDataset

        return ScaledDataset(load_dataset(name, largest, device, progress), (height, width))
    if name in _PROCEDURAL:
        procedural = resolve_name(f"dvae_core.data.procedural.{_PROCEDURAL[name]}")
        drawn: Dataset = procedural(image_size, device)
        return drawn
    if name in ORIGINAL_NAMES:
        from dvae_core.data.listing import ORIGINALS

        return ORIGINALS[name](image_size, device, progress)
    from dvae_core.data.imported.dataset import load_imported

    return load_imported(name, image_size, device)


def largest_side(name: str) -> int:
    """The largest height and width in pixels at which a data set has images: 32, 64 or 128.

    Raises:
        DataError: the name is unknown, or the file of an imported data set is damaged.
    """
    if name in DATASET_NAMES or name in ORIGINAL_NAMES:
        return 128 if name in _DRAWN_AT_128 else 64
    from dvae_core.data.imported.dataset import imported_names, read_imported_header

    if name in imported_names():
        return read_imported_header(name).image_shape[1]
    raise DataError(f"no data set is called {name[:60]!r}: there are {', '.join(dataset_names())}")
