"""`digits`: 1,797 handwritten digits that are included in scikit-learn.

Source: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning
Repository (1998); the test part, from `sklearn.datasets.load_digits`.
"""

import numpy as np
import torch
from torch.nn.functional import interpolate

from dvae_core.data.stored import ByteImages, TableDataset

_SIZE = 64
_WHITE = 16  # values count the set pixels in 4x4 squares of the scan


class Digits(TableDataset):
    """Scans of 8x8 pixels, enlarged by bicubic interpolation: float32 (B, 1, H, W).

    Factor: the digit 0 to 9. The handwriting is not a factor: each draw picks one of about 180
    scans. Images of 32 pixels are averages of 2x2 pixels. Arguments as in `load_dataset`.
    """

    name = "digits"
    factor_names = ("digit",)
    factor_sizes = (10,)
    num_images = 1797
    channels = 1

    def __init__(self, image_size: int = 64, device: torch.device | str = "cpu") -> None:
        from sklearn.datasets import load_digits  # slow to import

        device = torch.device(device)
        scans = load_digits()
        small = torch.from_numpy(scans.images)[:, None] / _WHITE  # (images, 1, 8, 8)
        large = interpolate(small, _SIZE, mode="bicubic").clamp(0, 1)  # (images, 1, H, W)
        pixels = (large * 255).round().to(torch.uint8).permute(0, 2, 3, 1)  # (images, H, W, 1)
        images = ByteImages(pixels.numpy(), image_size, device)
        super().__init__(images, scans.target[:, np.newaxis], device)
