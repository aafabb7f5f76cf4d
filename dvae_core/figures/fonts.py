"""The fonts of drawings: one that every machine has, and others for characters that it lacks."""

import os
import sys
import unicodedata
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import groupby
from pathlib import Path

import reportlab
from PIL import ImageFont
from reportlab.pdfbase.ttfonts import TTFError, TTFontFile

BASE_FONT = Path(reportlab.__file__).parent / "fonts" / "Vera.ttf"
"""Latin letters. The fonts DejaVu Sans and Verdana have the same widths; most others are narrower,
so what is measured in this one has room in an SVG whatever font its reader has."""

REPLACEMENT = "?"

# Fonts with outlines that a PDF can embed, by what systems come with: letters of many scripts
# first, then Chinese, Japanese and Korean.
_WELL_KNOWN = (
    *("DejaVuSans.ttf", "NotoSans-Regular.ttf", "Arial Unicode.ttf", "arial.ttf", "segoeui.ttf"),
    *("NotoSansSC-Regular.ttf", "NotoSansJP-Regular.ttf", "NotoSansKR-Regular.ttf"),
    *("DroidSansFallbackFull.ttf", "wqy-microhei.ttc", "wqy-zenhei.ttc", "uming.ttc"),
    *("msyh.ttc", "simsun.ttc", "YuGothM.ttc", "meiryo.ttc", "msgothic.ttc", "malgun.ttf"),
    *("NotoSansThai-Regular.ttf", "seguisym.ttf", "Symbola.ttf"),
)


def text_runs(text: str) -> list[tuple[Path, str]]:
    """A text in parts, each with the font that draws it. Characters that no font draws are "?"."""
    placed = []
    for character in unicodedata.normalize("NFC", text):
        font = _font_of(character)
        placed.append((BASE_FONT, REPLACEMENT) if font is None else (font, character))
    return [
        (font, "".join(character for _, character in part))
        for font, part in groupby(placed, key=lambda each: each[0])
    ]


def undrawable(texts: Iterable[str]) -> str:
    """The characters of the texts that PNG, PDF and animations show as "?", each once: those that
    no font here has, and those of scripts whose letters join, combine or run from right to left. A
    reader of SVG chooses fonts and shapes letters by itself."""
    characters = unicodedata.normalize("NFC", "".join(texts))
    return "".join(dict.fromkeys(each for each in characters if _font_of(each) is None))


def text_width(text: str, size: float) -> float:
    """Width in pixels of a text in one line."""
    return sum(image_font(font, size).getlength(part) for font, part in text_runs(text))


@cache
def image_font(font: Path, size: float) -> ImageFont.FreeTypeFont:
    """A font file as Pillow draws with it, `size` in pixels."""
    return ImageFont.truetype(str(font), size, layout_engine=ImageFont.Layout.BASIC)


@cache
def _font_of(character: str) -> Path | None:
    if ord(character) in _characters(BASE_FONT):
        return BASE_FONT
    if _needs_shaping(character):
        return None
    fonts = (font for font in _found() if ord(character) in _characters(font))
    return next(fonts, None)


def _needs_shaping(character: str) -> bool:
    combines = unicodedata.category(character) in ("Mn", "Mc", "Me")
    return combines or unicodedata.bidirectional(character) in ("R", "AL")


@cache
def _characters(font: Path) -> frozenset[int]:
    try:
        return frozenset(TTFontFile(str(font)).charToGlyph)
    except (TTFError, OSError):  # such as one with PostScript outlines
        return frozenset()


@cache
def _found() -> tuple[Path, ...]:
    """The well-known fonts that this machine has."""
    by_name: dict[str, Path] = {}
    for folder in _folders():
        for place, _, names in os.walk(folder):
            by_name |= {name: Path(place, name) for name in names if name in _WELL_KNOWN}
    return tuple(by_name[name] for name in _WELL_KNOWN if name in by_name)


def _folders() -> Iterator[Path]:
    if sys.platform == "win32":
        yield Path(os.environ.get("WINDIR", "C:/Windows"), "Fonts")
    elif sys.platform == "darwin":
        yield from (Path("/System/Library/Fonts"), Path("/Library/Fonts"))
        yield Path.home() / "Library" / "Fonts"
    else:
        shared = os.environ.get("XDG_DATA_DIRS") or "/usr/local/share:/usr/share"
        yield from (Path(folder, "fonts") for folder in shared.split(":"))
        yield Path.home() / ".local" / "share" / "fonts"
