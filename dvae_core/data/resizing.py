"""Changing the size of pictures."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def resized(
    pictures: NDArray[np.uint8], size: int, resampling: Image.Resampling
) -> NDArray[np.uint8]:
    """Pictures uint8 (B, H, W, C), C 1 or 3, as (B, size, size, C), each side scaled on its own."""
    if pictures.shape[1:3] == (size, size):
        return pictures
    shape = (*pictures.shape[:3], 3) if pictures.shape[3] == 3 else pictures.shape[:3]
    made = [
        np.asarray(Image.fromarray(picture).resize((size, size), resampling))
        for picture in np.ascontiguousarray(pictures).reshape(shape)
    ]
    return np.stack(made).reshape(len(pictures), size, size, pictures.shape[3])
