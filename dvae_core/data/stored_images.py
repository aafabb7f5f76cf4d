"""Images held as bytes or bits in memory, in a mapped file or on the GPU, looked up by row."""

from abc import ABC, abstractmethod

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import avg_pool2d

from dvae_core.errors import DataError

_UPLOAD_BYTES = 64 * 2**20


class StoredImages(ABC):
    """Square images that are float32 in [0, 1] only while they are looked at.

    What lies in a mapped file is moved to a CUDA device when it fills at most half of the memory
    free there, and read from the file batch by batch otherwise.

    Attributes:
        image_shape: (C, H, W) of what `at` returns.

    Args:
        stored: uint8, images first.
        stored_shape: (C, H, H) of the stored images.
        image_size: H and W of the images returned, averaged over squares of the stored ones.
        device: of the images returned.

    Raises:
        DataError: images of that size cannot be averaged from the stored ones.
    """

    def __init__(
        self,
        stored: NDArray[np.uint8],
        stored_shape: tuple[int, int, int],
        image_size: int,
        device: torch.device,
    ) -> None:
        channels, stored_size, _ = stored_shape
        if stored_size % image_size:
            raise DataError(
                f"the images have {stored_size} x {stored_size} pixels, from which none of "
                f"{image_size} x {image_size} can be made by averaging"
            )
        self.image_shape = (channels, image_size, image_size)
        self._stored_shape = stored_shape
        self._device = device
        self._stored = _on_device_if_it_fits(stored, device)

    def at(self, rows: Tensor) -> Tensor:
        """Images float32 (B, C, H, W) of rows int64 (B,)."""
        if isinstance(self._stored, Tensor):
            gathered = self._stored[rows]
        else:
            gathered = torch.from_numpy(self._stored[rows.cpu().numpy()]).to(self._device)
        images = self._unpack(gathered)  # (B, C, stored H, stored W)
        pooled = self._stored_shape[1] // self.image_shape[1]
        return images if pooled == 1 else avg_pool2d(images, pooled)

    @abstractmethod
    def _unpack(self, gathered: Tensor) -> Tensor:
        """Float32 (B, C, H, W) in [0, 1] of stored uint8, images first."""


class ByteImages(StoredImages):
    """Images held as uint8 (images, H, W, C), 255 being white."""

    def __init__(self, pixels: NDArray[np.uint8], image_size: int, device: torch.device) -> None:
        _, height, width, channels = pixels.shape
        super().__init__(pixels, (channels, height, width), image_size, device)

    def _unpack(self, gathered: Tensor) -> Tensor:
        images = gathered.permute(0, 3, 1, 2)  # (B, H, W, C) -> (B, C, H, W)
        return images.to(torch.float32, memory_format=torch.contiguous_format) / 255


class BitImages(StoredImages):
    """Black and white images held as bits, uint8 (images, H * W / 8) as numpy.packbits gives."""

    def __init__(
        self, bits: NDArray[np.uint8], size: int, image_size: int, device: torch.device
    ) -> None:
        super().__init__(bits, (1, size, size), image_size, device)
        self._shifts = torch.arange(7, -1, -1, dtype=torch.uint8, device=device)

    def _unpack(self, gathered: Tensor) -> Tensor:
        pixels = (gathered[:, :, None] >> self._shifts) & 1  # (B, H * W / 8, 8)
        return pixels.to(torch.float32).view(-1, *self._stored_shape)  # -> (B, 1, H, W)


def _on_device_if_it_fits(
    stored: NDArray[np.uint8], device: torch.device
) -> NDArray[np.uint8] | Tensor:
    if device.type != "cuda" or stored.nbytes > torch.cuda.mem_get_info(device)[0] // 2:
        return stored
    placed = torch.empty(stored.shape, dtype=torch.uint8, device=device)
    rows = max(_UPLOAD_BYTES * len(stored) // stored.nbytes, 1)
    for start in range(0, len(stored), rows):
        placed[start : start + rows] = torch.from_numpy(np.array(stored[start : start + rows]))
    return placed
