"""The values of black and white in images of numbers, from the range of all of them."""

from dataclasses import dataclass
from math import isfinite
from typing import Literal

from dvae_core.errors import DataError

Depth = Literal["wide", "narrow"]
"""Whether the values of pictures have more than 8 bits."""

TOLERANCE = 0.01
"""Share of the range by which values may leave it: rounding, or the overshoot of a filter."""

DEPTHS = (8, 10, 12, 14, 16)
"""Bits that cameras and microscopes use of 16."""

DARK = 0.1
"""A set whose brightest value is below this share of white comes out nearly black."""

WHOLE = 0.9
"""Real numbers below this share of 255 may have another white."""


@dataclass(frozen=True)
class ValueRange:
    """Black and white of images.

    Attributes:
        black: value that becomes 0.
        white: value that becomes 255.
        remark: what was decided, in a sentence; "" for 0 to 255.
    """

    black: float
    white: float
    remark: str = ""

    @property
    def ends(self) -> tuple[float, float]:
        """Black and white."""
        return self.black, self.white


def find_range(
    least: float,
    greatest: float,
    is_integer: bool,
    asked: tuple[float, float] | None,
    *,
    may_be_binary: bool = True,
    is_set: bool = True,
) -> ValueRange:
    """The range of images whose values go from `least` to `greatest`.

    0 to 1 and 0 to 255 are recognised, with a tolerance of 1 %, and for integers the bits in use.

    Args:
        least: smallest value.
        greatest: largest value.
        is_integer: whether the values are integers.
        asked: black and white, if a person has given them.
        may_be_binary: whether integers of 0 and 1 mean black and white.
        is_set: whether the values are those of a whole set, which must not be dark or constant.

    Raises:
        DataError: no usual range fits and none was given, or the images would come out nearly
            black, or all values are the same.
    """
    found = f"{least:g} to {greatest:g}"
    if not isfinite(least) or not isfinite(greatest):
        raise DataError("images has numbers that are not finite: remove NaN and infinity")
    if asked is not None:
        return ValueRange(*asked, _clipping(least, greatest, *asked) or _mapping(*asked))
    if least == greatest and is_set:
        raise DataError(
            f"all values of the images are {least:g}: check the source, or give the range with "
            f"--range if constant images are meant"
        )
    black, white = 0.0, _usual_white(greatest, is_integer, may_be_binary)
    if white is None or least < -TOLERANCE * white:
        advice = "-1 1" if least >= -1 - TOLERANCE and greatest <= 1 + TOLERANCE else ""
        raise DataError(
            f"images has values from {found}, which is no usual range: give the values of black "
            f"and white with --range {advice or f'{least:g} {greatest:g}'}"
        )
    if greatest < DARK * white and is_set:
        raise DataError(
            f"images has values from {found}, which come out nearly black where white is "
            f"{white:g}: give the values of black and white with --range 0 {greatest:g}, or "
            f"--range 0 {white:g} to keep them dark"
        )
    remark = _clipping(least, greatest, black, white) or _bits(white)
    if not remark and not is_integer and white == 255 and greatest < WHOLE * white:
        remark = f"0 is black and 255 is white, and the brightest value is {greatest:g}"
    return ValueRange(black, white, remark)


def _usual_white(greatest: float, is_integer: bool, may_be_binary: bool) -> float | None:
    if not is_integer:
        if greatest <= 1 + TOLERANCE:
            return 1.0
        return 255.0 if greatest <= 255 * (1 + TOLERANCE) else None
    if greatest <= 1 and may_be_binary:
        return 1.0
    return next((float(2**bits - 1) for bits in DEPTHS if greatest <= 2**bits - 1), None)


def _clipping(least: float, greatest: float, black: float, white: float) -> str:
    if least >= black and greatest <= white:
        return ""
    return (
        f"values from {least:g} to {greatest:g} are clipped to {black:g} for black and "
        f"{white:g} for white"
    )


def _mapping(black: float, white: float) -> str:
    return f"{black:g} is black and {white:g} is white"


def _bits(white: float) -> str:
    if white in (1.0, 255.0):
        return ""
    bits = next(bits for bits in DEPTHS if white == 2**bits - 1)
    return f"{bits} of 16 bits are in use: {white:,.0f} is white"
