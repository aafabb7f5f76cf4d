"""Operations of the child process on image files: PNG, JPEG, BMP, TIFF, WebP and GIF.

The import and the start picker read pictures here, so both get the same pixels.
"""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from dvae_core.data.untrusted.array_info import raw_bytes
from dvae_core.data.untrusted.limits import MAX_IMAGE_PIXELS
from dvae_core.errors import DataError
from dvae_core.system.sandbox import Answer

_FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP", "GIF")
_GREY_MODES = frozenset(("1", "L", "LA", "La", "I;16", "I;16B", "I;16L", "I;16N", "I", "F"))
_WIDE_MODES = frozenset(("I;16", "I;16B", "I;16L", "I;16N", "I", "F"))
_ALPHA_MODES = frozenset(("RGBA", "RGBa", "LA", "La", "PA"))
_SEVERAL = (b"\x02", b"\x04", b"\x06")  # PNG types of several channels: RGB, grey and alpha, RGBA
_ORIENTATION = 274  # EXIF tag
_UPRIGHT = 1

_TOO_LARGE = f"it has more than {MAX_IMAGE_PIXELS / 1e6:.0f} million pixels"


@dataclass
class _Picture:
    """A decoded picture.

    Attributes:
        pixels: upright and opaque, of 8 bits, L or RGB; None for a wide one.
        wide: numbers of more than 8 bits, (H, W) or (H, W, 3); None for others.
        unit: the step of `wide` in units of the file; 256 if the lower bits are lost.
        is_grey: whether it is grey.
        changes: keys of what was changed.
    """

    is_grey: bool
    pixels: Image.Image | None = None
    wide: NDArray | None = None
    unit: int = 1
    changes: list[str] = field(default_factory=list)


def check_picture(path: str, background: list[int]) -> Answer:
    """Decode a picture and describe it: height, width, whether it is grey, the range of its
    values, whether it has more than 8 bits, and keys of what reading it changes."""
    picture = _decoded(Path(path), tuple(background))
    if picture.wide is not None:
        height, width = picture.wide.shape[:2]
        finite = bool(np.isfinite(picture.wide).all())
        least = float(picture.wide.min()) * picture.unit
        greatest = float(picture.wide.max()) * picture.unit + picture.unit - 1
        is_integer = picture.wide.dtype.kind != "f"
    else:
        assert picture.pixels is not None
        width, height = picture.pixels.size
        extrema = np.array(picture.pixels.getextrema()).reshape(-1, 2)
        least, greatest = float(extrema[:, 0].min()), float(extrema[:, 1].max())
        finite = is_integer = True
    if not finite:
        raise DataError("it has numbers that are not finite")
    return {
        "height": height,
        "width": width,
        "is_grey": picture.is_grey,
        "is_wide": picture.wide is not None,
        "is_integer": is_integer,
        "least": least,
        "greatest": greatest,
        "changes": picture.changes,
    }, b""


def read_picture(
    path: str,
    size: list[int],
    channels: int,
    fit: str,
    background: list[int],
    wide_range: list[float],
    narrow_range: list[float],
) -> Answer:
    """The picture as uint8 (height, width, channels).

    Args:
        path: file.
        size: [height, width].
        channels: 1 (grey) or 3 (RGB).
        fit: "squash" scales each side separately, "crop" cuts the longer one, "pad" adds ground.
        background: red, green and blue under transparency and around padded pictures.
        wide_range: the values of black and white of a picture of more than 8 bits.
        narrow_range: the same of all others.
    """
    picture = _decoded(Path(path), tuple(background))
    if picture.wide is not None:
        black, white = wide_range[0] / picture.unit, (wide_range[1] + 1) / picture.unit - 1
        if picture.unit == 1:
            black, white = wide_range
        image = Image.fromarray(_to_bytes(picture.wide, black, white))
    else:
        assert picture.pixels is not None
        image = picture.pixels
        if narrow_range != [0, 255]:
            image = Image.fromarray(_to_bytes(np.asarray(image, np.float32), *narrow_range))
    image = image.convert("L" if channels == 1 else "RGB")
    return {}, raw_bytes(np.asarray(fitted(image, (size[0], size[1]), fit, tuple(background))))


def fitted(
    image: Image.Image, size: tuple[int, int], fit: str, background: tuple[int, ...]
) -> Image.Image:
    """An L or RGB image in `size` (height, width); see `read_picture`."""
    target = (size[1], size[0])
    if image.size == target:
        return image
    # Averages when it shrinks, without the overshoot of sharper filters at edges.
    method = Image.Resampling.BILINEAR
    if fit == "crop":
        return ImageOps.fit(image, target, method)
    if fit == "pad":
        return ImageOps.pad(image, target, method, color=ground(image.mode, background))
    return image.resize(target, method)


def ground(mode: str, background: tuple[int, ...]) -> int | tuple[int, ...]:
    """The background colour as a pixel of an L or RGB image."""
    one_pixel = Image.new("RGB", (1, 1), background).convert(mode)
    pixel = one_pixel.getpixel((0, 0))
    return tuple(pixel) if isinstance(pixel, tuple) else int(pixel or 0)


def _decoded(path: Path, background: tuple[int, ...]) -> _Picture:
    with _open(path) as file:
        picture = _Picture(is_grey=file.mode in _GREY_MODES)
        if getattr(file, "is_animated", False):
            picture.changes.append("animated")
        if file.getexif().get(_ORIENTATION, _UPRIGHT) not in (_UPRIGHT, 0):
            picture.changes.append("turned")
        image = ImageOps.exif_transpose(file)
        if image.mode in _WIDE_MODES:
            picture.wide = np.asarray(image)
            return picture
        if image.mode == "CMYK":
            picture.changes.append("cmyk")
        opaque = _on_ground(image, background, picture.changes)
        if opaque is None:
            picture.pixels = image.convert("L" if picture.is_grey else "RGB")
        else:
            picture.is_grey = picture.is_grey and len(set(background)) == 1
            picture.pixels = opaque.convert("L" if picture.is_grey else "RGB")
    if _has_16_bit_colour(path):
        # Pillow keeps the upper 8 of the 16 bits.
        picture.wide, picture.pixels, picture.unit = np.asarray(picture.pixels), None, 256
        picture.changes.append("upper_bits")
    return picture


def _on_ground(
    image: Image.Image, background: tuple[int, ...], changes: list[str]
) -> Image.Image | None:
    """The image on a ground of one colour; None if it is opaque."""
    if image.mode not in _ALPHA_MODES and "transparency" not in image.info:
        return None
    rgba = image.convert("RGBA")
    extrema = rgba.getchannel("A").getextrema()
    if extrema[0] == 255:
        return None
    changes.append("transparent")
    below = Image.new("RGBA", rgba.size, (*background, 255))
    below.alpha_composite(rgba)
    return below


def _has_16_bit_colour(path: Path) -> bool:
    """Whether the file is a PNG with colours of 16 bits, by its header."""
    with open(path, "rb") as file:
        start = file.read(26)
    return start[1:4] == b"PNG" and start[24:25] == b"\x10" and start[25:26] in _SEVERAL


def _to_bytes(numbers: NDArray, black: float, white: float) -> NDArray[np.uint8]:
    # Double precision takes too much memory, and only large integers need it.
    is_large = numbers.dtype.itemsize > 2 and numbers.dtype.kind != "f"
    scaled: NDArray = numbers.astype(np.float64 if is_large else np.float32)
    scaled -= black
    scaled *= 255 / (white - black)
    return np.rint(scaled, out=scaled).clip(0, 255).astype(np.uint8)


def _open(path: Path) -> Image.Image:
    # Pillow warns above its own limit of pixels, which is higher than ours, and of palettes that it
    # converts well; the process that reads files ignores warnings.
    try:
        image = Image.open(path, formats=_FORMATS)
    except Image.DecompressionBombError:
        raise DataError(_TOO_LARGE) from None
    if image.width * image.height > MAX_IMAGE_PIXELS:
        image.close()
        raise DataError(_TOO_LARGE)
    return image
