"""Operations of the child process on image files: PNG, JPEG and BMP."""

import warnings
from pathlib import Path

import numpy as np
from PIL import Image

from dvae_core.data.untrusted.array_info import raw_bytes
from dvae_core.data.untrusted.limits import MAX_IMAGE_PIXELS
from dvae_core.errors import DataError
from dvae_core.system.sandbox import Answer

_FORMATS = ("PNG", "JPEG", "BMP")
_GREY_MODES = frozenset(("1", "L", "LA", "La", "I;16", "I;16B", "I;16L", "I"))
_WIDE_MODES = frozenset(("I;16", "I;16B", "I;16L", "I"))

_TOO_LARGE = f"it has more than {MAX_IMAGE_PIXELS / 1e6:.0f} million pixels"


def picture_header(path: str) -> Answer:
    """Height, width, and whether the image is grey, from its header."""
    with _open(Path(path)) as image:
        is_grey = image.mode in _GREY_MODES
        return {"height": image.height, "width": image.width, "is_grey": is_grey}, b""


def read_picture(path: str, size: int, channels: int) -> Answer:
    """The image as uint8 (size, size, channels) without transparency, each side scaled separately;
    `channels` is 1 (grey) or 3 (RGB)."""
    with _open(Path(path)) as image:
        if image.mode in _WIDE_MODES:  # 16-bit PNG
            wide = np.asarray(image)
            image = Image.fromarray((wide >> 8).clip(0, 255).astype(np.uint8))
        image = image.convert("L" if channels == 1 else "RGB")
        if image.size != (size, size):
            # Averages when it shrinks, without the overshoot of sharper filters at edges.
            image = image.resize((size, size), Image.Resampling.BILINEAR)
        return {}, raw_bytes(np.asarray(image))


def _open(path: Path) -> Image.Image:
    try:
        with warnings.catch_warnings():
            # Pillow warns above its own limit; ours is lower and raises.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(path, formats=_FORMATS)
    except Image.DecompressionBombError:
        raise DataError(_TOO_LARGE) from None
    if image.width * image.height > MAX_IMAGE_PIXELS:
        image.close()
        raise DataError(_TOO_LARGE)
    return image
