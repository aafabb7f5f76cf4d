"""Descriptions of all data sets, and whether they can be loaded."""

from dataclasses import dataclass
from math import prod
from typing import Literal

from dvae_core.data import DATASET_NAMES, largest_side, load_dataset
from dvae_core.data.imported.dataset import read_imported_header
from dvae_core.data.originals.cars3d import Cars3D
from dvae_core.data.originals.dsprites import ColorDsprites, Dsprites
from dvae_core.data.originals.mpi3d import (
    Mpi3D,
    Mpi3DReal,
    Mpi3DRealComplex,
    Mpi3DRealistic,
    Mpi3DToy,
)
from dvae_core.data.originals.nvidia3d import Falcor3D, Isaac3D
from dvae_core.data.originals.shapes3d import Shapes3D
from dvae_core.data.originals.smallnorb import SmallNorb
from dvae_core.data.procedural.digits import Digits
from dvae_core.errors import DataError


@dataclass(frozen=True)
class DatasetInfo:
    """The description of a data set.

    Attributes:
        name: name for `load_dataset`.
        origin: where its images come from.
        state: whether it can be loaded; only imported data sets can be `damaged`.
        detail: path of its file, how to get it, or what is wrong with it.
        factor_names: (F,), empty without factors.
        factor_sizes: number of values of each factor, (F,).
        num_images: number of different images, without noise.
        image_shape: (C, H, W) at the largest size.
    """

    name: str
    origin: Literal["drawn", "included", "original", "imported"]
    state: Literal["ready", "file missing", "damaged"]
    detail: str
    factor_names: tuple[str, ...]
    factor_sizes: tuple[int, ...]
    num_images: int
    image_shape: tuple[int, int, int]


def dataset_info(name: str) -> DatasetInfo:
    """The description of a data set in `dataset_names()`; loads no images."""
    factors: tuple[tuple[str, ...], tuple[int, ...]]
    if name == Digits.name:
        shape = (Digits.channels, 64, 64)
        named = (Digits.factor_names, Digits.factor_sizes, Digits.num_images, shape)
        return DatasetInfo(name, "included", "ready", "comes with scikit-learn", *named)
    if name in DATASET_NAMES:
        drawn = load_dataset(name, largest_side(name))
        factors = (drawn.factor_names, drawn.factor_sizes)
        detail = "drawn when needed; no file"
        return DatasetInfo(name, "drawn", "ready", detail, *factors, len(drawn), drawn.image_shape)
    if name in ORIGINALS:
        return _original(name)
    try:
        file = read_imported_header(name)
    except DataError as error:
        return DatasetInfo(name, "imported", "damaged", str(error), (), (), 0, (0, 0, 0))
    factors, size = (file.factor_names, file.factor_sizes), (file.num_images, file.image_shape)
    return DatasetInfo(name, "imported", "ready", str(file.path), *factors, *size)


def training_image_shape(name: str, image_size: int) -> tuple[int, int, int]:
    """(C, H, W) of the images that a training at `image_size` pixels reads; loads no images.

    Raises:
        DataError: the data set is unknown or damaged, or its images are smaller. Enlarged images
            have no details for a model to learn.
    """
    largest = largest_side(name)
    info = dataset_info(name)
    if image_size > largest:
        raise DataError(
            f"{name} has images of {largest} x {largest} pixels, and a training at {image_size} "
            f"would enlarge them: use image_size {largest}"
            + (f", or import it again with {image_size}" if info.origin == "imported" else "")
        )
    return info.image_shape[0], image_size, image_size


def _original(name: str) -> DatasetInfo:
    original = ORIGINALS[name]
    found = original.files.find()
    is_ready = len(found) == len(original.files.alternatives)
    sizes = original.factor_sizes
    if is_ready and found[0].name == Mpi3DToy.first_release_file:
        sizes = Mpi3DToy.first_release_sizes
    instances = SmallNorb.instances if original is SmallNorb else 1
    return DatasetInfo(
        name,
        "original",
        "ready" if is_ready else "file missing",
        str(found[0]) if is_ready else original.files.how_to_get(),
        original.factor_names,
        sizes,
        prod(sizes) * instances,
        (original.channels, 64, 64),
    )


Original = Dsprites | SmallNorb | Cars3D | Shapes3D | Mpi3D | Isaac3D | Falcor3D

ORIGINALS: dict[str, type[Original]] = {
    original.name: original
    for original in (
        Dsprites,
        ColorDsprites,
        SmallNorb,
        Cars3D,
        Shapes3D,
        Mpi3DToy,
        Mpi3DRealistic,
        Mpi3DReal,
        Mpi3DRealComplex,
        Isaac3D,
        Falcor3D,
    )
}
