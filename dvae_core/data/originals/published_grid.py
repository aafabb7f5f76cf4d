"""Published colour images of a full grid of factors, unpacked once."""

from abc import abstractmethod
from collections.abc import Iterator
from math import prod
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from dvae_core.data.folder import cached_array
from dvae_core.data.originals.published import PublishedFiles
from dvae_core.data.stored import ByteImages, GridDataset
from dvae_core.progress import Progress, no_progress

SIZE = 64  # pixels of the images on disk


class PublishedGrid(GridDataset):
    """Images float32 (B, 3, H, W) of one published file. Arguments as in `load_dataset`.

    Raises:
        DataError: the file is missing or not the published one.
    """

    channels = 3
    files: PublishedFiles

    def __init__(
        self,
        image_size: int = SIZE,
        device: torch.device | str = "cpu",
        progress: Progress = no_progress,
    ) -> None:
        device = torch.device(device)
        paths = self.files.require()
        shape = (prod(self.factor_sizes), SIZE, SIZE, 3)
        pixels = cached_array(self.name, paths, shape, lambda: self._blocks(paths[0]), progress)
        super().__init__(ByteImages(pixels, image_size, device), device)

    @abstractmethod
    def _blocks(self, path: Path) -> Iterator[NDArray[np.uint8]]:
        """The images of the file in the order of the grid, uint8 (b, 64, 64, 3) each."""
