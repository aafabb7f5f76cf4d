"""Traversals as one picture: a row a latent with its KL, as the literature shows them."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

_GAP = 2  # pixels between images
_LABEL_WIDTH = 150
_FONT_SIZE = 14
_INK, _PAPER = (28, 37, 38), (255, 255, 255)


def traversal_sheet(
    frames: NDArray[np.uint8],
    labels: Sequence[str],
    heads: Sequence[tuple[str, NDArray[np.uint8]]] = (),
    scale: int = 1,
) -> NDArray[np.uint8]:
    """Rows of images with a label before each, as one picture on white.

    Args:
        frames: uint8 (rows, count, H, W, C).
        labels: one a row.
        heads: captioned images of the same size for a row above, such as the original.
        scale: every pixel of an image becomes that many, wide and high.

    Returns:
        uint8 (height, width, 3).
    """
    rows, count, height, width, _ = frames.shape
    height, width = height * scale, width * scale
    head_height = height + _FONT_SIZE + 4 * _GAP if heads else 0
    size = (
        _LABEL_WIDTH + count * (width + _GAP),
        head_height + rows * (height + _GAP) + _GAP,
    )
    sheet = Image.new("RGB", size, _PAPER)
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(_FONT_SIZE)
    for i, (caption, image) in enumerate(heads):
        left = _LABEL_WIDTH + i * max(width + _GAP, 110)
        sheet.paste(_enlarged(image, scale), (left, _GAP))
        draw.text((left, height + 2 * _GAP), caption, _INK, font)
    for row in range(rows):
        top = head_height + _GAP + row * (height + _GAP)
        draw.text((8, top + height // 2), labels[row], _INK, font, anchor="lm")
        for column in range(count):
            place = (_LABEL_WIDTH + column * (width + _GAP), top)
            sheet.paste(_enlarged(frames[row, column], scale), place)
    return np.asarray(sheet)


def _enlarged(pixels: NDArray[np.uint8], scale: int) -> Image.Image:
    image = Image.fromarray(pixels.squeeze(-1) if pixels.shape[-1] == 1 else pixels).convert("RGB")
    return image.resize((image.width * scale, image.height * scale), Image.Resampling.NEAREST)
