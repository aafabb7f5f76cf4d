"""`digits`: 1,797 handwritten digits that come with scikit-learn, so that no file is needed.

Source: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning
Repository (1998); its test part, as `sklearn.datasets.load_digits` holds it.
"""

import numpy as np
import torch
from torch.nn.functional import interpolate

from dvae_core.data.stored import ByteImages, TableDataset

_SIZE = 64
_WHITE = 16  # the counts of set pixels in 4x4 squares of the scan


class Digits(TableDataset):
    """Scans of 8x8 pixels, enlarged with smooth edges: float32 (B, 1, H, W).

    Factor: the digit 0 to 9. Whose hand wrote it is no factor: each draw picks one of about 180.

    Args:
        image_size: 64 or 32 pixels; the latter are averages of 2x2.
        device: where images are looked up.
    """

    name = "digits"
    factor_names = ("digit",)
    factor_sizes = (10,)
    num_images = 1797
    channels = 1

    def __init__(self, image_size: int = 64, device: torch.device | str = "cpu") -> None:
        from sklearn.datasets import load_digits  # here: it takes a second

        device = torch.device(device)
        scans = load_digits()
        small = torch.from_numpy(scans.images)[:, None] / _WHITE  # (images, 1, 8, 8)
        large = interpolate(small, _SIZE, mode="bicubic").clamp(0, 1)  # (images, 1, H, W)
        pixels = (large * 255).round().to(torch.uint8).permute(0, 2, 3, 1)  # (images, H, W, 1)
        images = ByteImages(pixels.numpy(), image_size, device)
        super().__init__(images, scans.target[:, np.newaxis], device)
