"""Traversals as one picture with a labelled row per latent, as in the literature."""

import math
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

_GAP = 2  # pixels between images
_LABEL_WIDTH = 150  # or more, as the labels need
_MARGIN = 8
_FONT_SIZE = 14
_INK, _PAPER = (15, 21, 22), (255, 255, 255)


def traversal_sheet(
    frames: Iterable[NDArray[np.uint8]],
    labels: Sequence[str],
    heads: Sequence[tuple[str, NDArray[np.uint8]]] = (),
    scale: int = 1,
) -> NDArray[np.uint8]:
    """Labelled rows of images as one picture on a white background.

    Args:
        frames: the images of each row, uint8 (count, H, W, C).
        labels: one per row.
        heads: captioned images of the same size for a row above, such as the original.
        scale: integer magnification of the images.

    Returns:
        uint8 (height, width, 3).
    """
    rows = list(frames)
    count = max(len(row) for row in rows)
    height, width = (side * scale for side in rows[0].shape[1:3])
    head_height = height + _FONT_SIZE + 4 * _GAP if heads else 0
    font = ImageFont.load_default(_FONT_SIZE)
    needed = max(font.getlength(label) for label in labels)
    label_width = max(_LABEL_WIDTH, math.ceil(needed) + 2 * _MARGIN)
    size = (
        label_width + count * (width + _GAP),
        head_height + len(rows) * (height + _GAP) + _GAP,
    )
    sheet = Image.new("RGB", size, _PAPER)
    draw = ImageDraw.Draw(sheet)
    for i, (caption, image) in enumerate(heads):
        left = label_width + i * max(width + _GAP, 110)
        sheet.paste(_enlarged(image, scale), (left, _GAP))
        draw.text((left, height + 2 * _GAP), caption, _INK, font)
    for index, (row, label) in enumerate(zip(rows, labels, strict=True)):
        top = head_height + _GAP + index * (height + _GAP)
        draw.text((_MARGIN, top + height // 2), label, _INK, font, anchor="lm")
        for column, image in enumerate(row):
            place = (label_width + column * (width + _GAP), top)
            sheet.paste(_enlarged(image, scale), place)
    return np.asarray(sheet)


def _enlarged(pixels: NDArray[np.uint8], scale: int) -> Image.Image:
    image = Image.fromarray(pixels.squeeze(-1) if pixels.shape[-1] == 1 else pixels).convert("RGB")
    return image.resize((image.width * scale, image.height * scale), Image.Resampling.NEAREST)
