"""A drawing of texts and pictures, described once and written as PNG, SVG or PDF."""

import base64
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from reportlab.lib.utils import ImageReader
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas

from dvae_core.errors import ConfigError
from dvae_core.figures.fonts import image_font, text_runs, text_width
from dvae_core.figures.style import INK

PAPER = "#ffffff"
MUTED = "#5b6365"  # 6:1 on white
MAX_PIXELS = 2**26
"""Limit on a PNG, and on all frames of an animation together."""
_POINTS = 0.75  # of a PDF, in a pixel of 1/96 inch
# The first three have the widths that the layout was measured with.
_FAMILIES = "'Bitstream Vera Sans', 'DejaVu Sans', Verdana, sans-serif"


@dataclass(frozen=True)
class Text:
    """A line of text.

    Attributes:
        x: left end of the line, or its middle, in pixels from the left.
        y: base line, in pixels from the top.
        text: as it stands; never markup.
        size: of the font, in pixels.
        muted: grey instead of black.
        centred: whether `x` is the middle.
    """

    x: float
    y: float
    text: str
    size: float = 12
    muted: bool = False
    centred: bool = False

    @property
    def color(self) -> str:
        """Of the letters, in hexadecimal digits."""
        return MUTED if self.muted else INK

    @property
    def left(self) -> float:
        """Left end in pixels."""
        return self.x - self.centred * text_width(self.text, self.size) / 2


@dataclass(frozen=True)
class Picture:
    """An image with sharp pixels.

    Attributes:
        x: left edge in pixels.
        y: upper edge in pixels.
        pixels: uint8 (H, W, C), of 1 or 3 channels.
        scale: side of each of its pixels in the drawing.
    """

    x: float
    y: float
    pixels: NDArray[np.uint8]
    scale: int = 1

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in the drawing, in pixels."""
        height, width = self.pixels.shape[:2]
        return width * self.scale, height * self.scale

    @property
    def image(self) -> Image.Image:
        """At its own resolution."""
        grey = self.pixels.shape[-1] == 1
        return Image.fromarray(self.pixels.squeeze(-1) if grey else self.pixels)


@dataclass(frozen=True)
class Drawing:
    """Texts and pictures on white paper.

    Attributes:
        width: in pixels.
        height: in pixels.
        texts: lines of text.
        pictures: images, which do not overlap texts.
        title: of the document.
    """

    width: float
    height: float
    texts: Sequence[Text]
    pictures: Sequence[Picture]
    title: str = ""

    def to_image(self) -> Image.Image:
        """As an RGB image.

        Raises:
            ConfigError: it would have too many pixels.
        """
        size = math.ceil(self.width), math.ceil(self.height)
        check_pixels(size, 1)
        sheet = Image.new("RGB", size, PAPER)
        for picture in self.pictures:
            large = picture.image.resize(picture.size, Image.Resampling.NEAREST)
            sheet.paste(large, (round(picture.x), round(picture.y)))
        draw = ImageDraw.Draw(sheet)
        for text in self.texts:
            x = text.left
            for font, part in text_runs(text.text):
                drawn_with = image_font(font, text.size)
                draw.text((round(x), round(text.y)), part, text.color, drawn_with, anchor="ls")
                x += drawn_with.getlength(part)
        return sheet

    def to_png(self) -> bytes:
        """As a PNG; errors as in `to_image`."""
        return png(self.to_image())

    def to_svg(self) -> bytes:
        """As an SVG whose texts are text, and whose pictures are PNG at their own resolution."""
        size = {"width": f"{self.width:g}", "height": f"{self.height:g}"}
        svg = ElementTree.Element(
            "svg",
            {
                "xmlns": "http://www.w3.org/2000/svg",
                "viewBox": f"0 0 {self.width:g} {self.height:g}",
                **size,
                "font-family": _FAMILIES,
            },
        )
        ElementTree.SubElement(svg, "title").text = self.title
        ElementTree.SubElement(svg, "rect", {**size, "fill": PAPER})
        for picture in self.pictures:
            width, height = picture.size
            ElementTree.SubElement(
                svg,
                "image",
                {
                    "x": f"{picture.x:g}",
                    "y": f"{picture.y:g}",
                    "width": str(width),
                    "height": str(height),
                    "preserveAspectRatio": "none",
                    "style": "image-rendering:pixelated",
                    "href": "data:image/png;base64,"
                    + base64.b64encode(png(picture.image)).decode(),
                },
            )
        for text in self.texts:
            line = ElementTree.SubElement(
                svg,
                "text",
                {
                    "x": f"{text.x:g}",
                    "y": f"{text.y:g}",
                    "font-size": f"{text.size:g}",
                    "fill": text.color,
                },
            )
            if text.centred:
                line.set("text-anchor", "middle")
            line.text = text.text
        ElementTree.indent(svg, "")
        return ElementTree.tostring(svg, encoding="utf-8", xml_declaration=True) + b"\n"

    def to_pdf(self) -> bytes:
        """As a PDF of one page, with its fonts, whose texts can be selected and whose pictures keep
        their own resolution."""
        content = io.BytesIO()
        size = self.width * _POINTS, self.height * _POINTS
        # Without the time, equal drawings are equal files.
        canvas = Canvas(content, size, pageCompression=1, invariant=1)
        canvas.setTitle(self.title)
        canvas.setAuthor("")
        canvas.setCreator("dVAE Explorer")
        canvas.scale(_POINTS, _POINTS)
        for picture in self.pictures:
            width, height = picture.size
            bottom = self.height - picture.y - height
            canvas.drawImage(ImageReader(picture.image), picture.x, bottom, width, height)
        for text in self.texts:
            line = canvas.beginText(text.left, self.height - text.y)
            line.setFillColor(text.color)
            for font, part in text_runs(text.text):
                name = str(font)
                if name not in pdfmetrics.getRegisteredFontNames():
                    pdfmetrics.registerFont(TTFont(name, name))
                line.setFont(name, text.size)
                line.textOut(part)
            canvas.drawText(line)
        canvas.save()
        return content.getvalue()


def png(image: Image.Image) -> bytes:
    """An image as a PNG."""
    content = io.BytesIO()
    image.save(content, "PNG")
    return content.getvalue()


def check_pixels(size: tuple[int, int], frames: int) -> None:
    """Raise `ConfigError` if frames of this width and height have too many pixels."""
    total = size[0] * size[1] * frames
    if total > MAX_PIXELS:
        raise ConfigError(
            f"{frames:,} x {size[0]:,} x {size[1]:,} pixels are {total / 2**20:,.0f} million, but "
            f"at most {MAX_PIXELS // 2**20} are drawn: choose fewer latents, fewer images or a "
            f"smaller scale"
        )
