"""Uploaded start images, kept so that a link restores them on this machine."""

import hashlib
import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from dvae_core.data.folder import data_folder
from dvae_core.errors import DataError
from dvae_core.system.files import write_atomically
from ui.images import to_png

MAX_KEPT = 200


def keep_upload(pixels: NDArray[np.uint8]) -> str:
    """Keep an image, uint8 (H, W, C), in the data folder; the oldest beyond 200 are deleted.

    Returns:
        Its name, which its pixels decide.

    Raises:
        OSError: it cannot be written.
    """
    content = to_png(pixels)
    name = hashlib.sha256(content).hexdigest()[:16]
    folder = data_folder() / "uploads"
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / f"{name}.png", content)
    kept = sorted(folder.glob("*.png"), key=lambda path: path.stat().st_mtime)
    for path in kept[:-MAX_KEPT]:
        path.unlink(missing_ok=True)
    return name


def read_upload(name: str, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """A kept image, uint8 (H, W, C).

    Args:
        name: from `keep_upload`.
        shape: (C, H, W) that the model takes.

    Raises:
        DataError: it is not kept here, or has another shape.
    """
    path = data_folder() / "uploads" / f"{name}.png"
    try:
        pixels = np.array(Image.open(io.BytesIO(path.read_bytes())))
    except (OSError, UnidentifiedImageError):
        raise DataError("this machine does not have the uploaded image: upload it again") from None
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    channels, height, width = shape
    if pixels.shape != (height, width, channels):
        raise DataError(
            f"the uploaded image is {'x'.join(map(str, pixels.shape))}, but this model takes "
            f"{height}x{width}x{channels}: upload it again"
        )
    return pixels
