"""MPI3D: a robot arm with an object, in four data sets (Gondal et al. 2019).

Source: github.com/rr-learning/disentanglement_dataset.
"""

from math import prod

import numpy as np
import torch
from numpy.typing import NDArray

from dvae_core.data.folder import cached_array
from dvae_core.data.originals.published import PublishedFiles
from dvae_core.data.stored import ByteImages, GridDataset
from dvae_core.data.untrusted.reader import Reader
from dvae_core.progress import Progress, no_progress


class Mpi3D(GridDataset):
    """The published images, float32 (B, 3, H, W), memory-mapped in the published file.

    A compressed file is unpacked on first use. Images of 32 pixels are averages of 2x2 pixels.
    Arguments as in `load_dataset`.

    Raises:
        DataError: the file is missing or not the published one.
    """

    factor_names = (
        "object colour",
        "object shape",
        "object size",
        "camera height",
        "background colour",
        "horizontal axis",
        "vertical axis",
    )
    factor_sizes: tuple[int, ...] = (6, 6, 2, 3, 3, 40, 40)
    channels = 3
    files: PublishedFiles
    first_release_sizes: tuple[int, ...] | None = None

    def __init__(
        self,
        image_size: int = 64,
        device: torch.device | str = "cpu",
        progress: Progress = no_progress,
    ) -> None:
        device = torch.device(device)
        with Reader() as reader:
            file = reader.open_arrays(self.files.require()[0], ("images",))
            images = file.require("images")
            first = self.first_release_sizes
            if first is not None and images.shape[0] == prod(first):
                self.factor_sizes = first
            file.require_published("images", (prod(self.factor_sizes), 64, 64, 3))
            if images.offset is not None and not images.is_fortran:
                pixels: NDArray[np.uint8] = np.memmap(
                    file.path, np.uint8, "r", images.offset, images.shape
                )
            else:
                pixels = cached_array(
                    self.name, (file.path,), images.shape, lambda: file.blocks("images"), progress
                )
        super().__init__(ByteImages(pixels, image_size, device), device)


FIRST_RELEASE_SIZES = (4, 4, 2, 3, 3, 40, 40)


class Mpi3DToy(Mpi3D):
    """The simple rendering, in either release.

    The first release, which Friede et al. (2023) use, has 4 colours and 4 shapes.
    """

    name = "mpi3d_toy"
    first_release_sizes = FIRST_RELEASE_SIZES
    first_release_file = "sim_toy_64x_ordered_without_heldout_factors.npz"
    files = PublishedFiles("mpi3d_toy", (("mpi3d_toy.npz", first_release_file),))


class Mpi3DRealistic(Mpi3D):
    """The realistic rendering, in either release."""

    name = "mpi3d_realistic"
    first_release_sizes = FIRST_RELEASE_SIZES
    files = PublishedFiles("mpi3d_realistic", (("mpi3d_realistic.npz",),))


class Mpi3DReal(Mpi3D):
    """The photographs."""

    name = "mpi3d_real"
    files = PublishedFiles("mpi3d_real", (("mpi3d_real.npz",),))


class Mpi3DRealComplex(Mpi3D):
    """The photographs of everyday objects: a cup, a tennis ball, a croissant and a beer cup."""

    name = "mpi3d_real_complex"
    factor_sizes = FIRST_RELEASE_SIZES
    files = PublishedFiles(
        "mpi3d_real_complex",
        (("real3d_complicated_shapes_ordered.npz", "mpi3d_real_complex.npz"),),
    )
