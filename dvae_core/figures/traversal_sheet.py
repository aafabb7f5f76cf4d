"""Traversals as one sheet with a labelled row per latent, as in the literature."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dvae_core.figures.drawing import Drawing, Picture, Text
from dvae_core.figures.fonts import text_width

_GAP = 2  # pixels between images
_LABEL_WIDTH = 150  # or more, as the labels need
_WIDEST_LABEL = 230  # beyond which they are broken
_MARGIN = 8
_SIZE, _SMALL = 12, 10  # of fonts, in pixels
_LINE = 15  # from one base line to the next
_HEAD_WIDTH = 96  # so that captions of small images have room


@dataclass(frozen=True)
class SheetRow:
    """A row of a sheet.

    Attributes:
        frames: its images, uint8 (P, H, W, C).
        label: what it is called.
        details: further lines, in grey.
    """

    frames: NDArray[np.uint8]
    label: str
    details: tuple[str, ...] = ()


def draw_sheet(
    rows: Sequence[SheetRow],
    heads: Sequence[tuple[str, NDArray[np.uint8]]] = (),
    columns: tuple[str, Sequence[str]] | None = None,
    caption: Sequence[str] = (),
    scale: int = 1,
    title: str = "",
) -> Drawing:
    """Labelled rows of images.

    Args:
        rows: from top to bottom; long labels are broken into lines.
        heads: captioned images (H, W, C) for a row above, such as the original.
        columns: what the columns are, and a short text above each; None for none.
        caption: paragraphs below the rows.
        scale: integer magnification of the images.
        title: of the document.
    """
    count = max(len(row.frames) for row in rows)
    height, width = (side * scale for side in rows[0].frames.shape[1:3])
    labels = [
        [
            *((line, False) for line in broken(row.label, _SIZE, _WIDEST_LABEL)),
            *((line, True) for part in row.details for line in broken(part, _SMALL, _WIDEST_LABEL)),
        ]
        for row in rows
    ]
    measured = [
        text_width(line, _SMALL if small else _SIZE) for row in labels for line, small in row
    ]
    left = max(_LABEL_WIDTH, math.ceil(max(measured)) + 2 * _MARGIN)
    total = left + count * (width + _GAP)
    texts: list[Text] = []
    pictures: list[Picture] = []
    top: float = _GAP
    for i, (name, image) in enumerate(heads):
        x = left + i * max(width + _GAP, _HEAD_WIDTH)
        pictures.append(Picture(x, top, image, scale))
        texts.append(Text(x, top + height + _LINE, name, _SMALL))
        total = max(total, x + _HEAD_WIDTH)
    if heads:
        top += height + _LINE + 4 * _GAP
    if columns is not None:
        what, names = columns
        texts.append(Text(_MARGIN, top + _SMALL, what, _SMALL, muted=True))
        for place, name in _with_room(names, width + _GAP):
            middle = left + place * (width + _GAP) + width / 2
            texts.append(Text(middle, top + _SMALL, name, _SMALL, muted=True, centred=True))
        top += _LINE
    for row, lines in zip(rows, labels, strict=True):
        each = max(height, _LINE * len(lines))
        base = top + (each - _LINE * len(lines)) / 2 + _SIZE
        for line, small in lines:
            texts.append(Text(_MARGIN, base, line, _SMALL if small else _SIZE, muted=small))
            base += _LINE
        for column, image in enumerate(row.frames):
            place = left + column * (width + _GAP)
            pictures.append(Picture(place, top + (each - height) // 2, image, scale))
        top += each + _GAP
    for paragraph in caption:
        for line in broken(paragraph, _SMALL, total - 2 * _MARGIN):
            top += _LINE
            texts.append(Text(_MARGIN, top, line, _SMALL, muted=True))
    if caption:
        top += _MARGIN
    return Drawing(total, top, texts, pictures, title)


def draw_images(rows: Sequence[NDArray[np.uint8]], scale: int = 1, title: str = "") -> Drawing:
    """Rows of images (P, H, W, C) without any text, for those who write their own."""
    height, width = (side * scale for side in rows[0].shape[1:3])
    pictures = [
        Picture(column * (width + _GAP), row * (height + _GAP), image, scale)
        for row, images in enumerate(rows)
        for column, image in enumerate(images)
    ]
    count = max(map(len, rows))
    total = count * (width + _GAP) - _GAP, len(rows) * (height + _GAP) - _GAP
    return Drawing(*total, (), pictures, title)


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

    Raises:
        ConfigError: the picture would have more than 64 million pixels.
    """
    rows = [SheetRow(row, label) for row, label in zip(frames, labels, strict=True)]
    return np.asarray(draw_sheet(rows, heads, scale=scale).to_image())


def broken(text: str, size: float, width: float) -> list[str]:
    """A text as lines that are at most `width` pixels wide, broken at spaces where there are
    some. Joined with spaces, lines that end between words give the text again."""
    lines = [""]
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}" if lines[-1] else word
        if text_width(longer, size) <= width:
            lines[-1] = longer
            continue
        if lines[-1]:
            lines.append("")
        for character in word:
            if lines[-1] and text_width(lines[-1] + character, size) > width:
                lines.append("")
            lines[-1] += character
    return lines


def _with_room(names: Sequence[str], width: float) -> list[tuple[int, str]]:
    """Every name, or every second and so on, so that they stand apart."""
    widest = max((text_width(name, _SMALL) for name in names), default=0) + 4
    return list(enumerate(names))[:: max(1, -int(-widest // width))]
