"""What a person may ask of an import."""

from dataclasses import dataclass
from typing import Literal, get_args

from dvae_core.data import TRAINED_SIZES
from dvae_core.errors import DataError

SIDES = TRAINED_SIZES
"""Heights, and widths, of imported images in pixels."""

Fit = Literal["squash", "crop", "pad"]
FITS: dict[Fit, str] = {
    "squash": "Scale each side separately; this changes proportions.",
    "crop": "Cut the longer side, equally at both ends.",
    "pad": "Add background to the shorter side.",
}
WHITE = (255, 255, 255)
MAX_BINS = 1_000


@dataclass(frozen=True)
class ImportOptions:
    """How images and factors are read; the defaults read most sources right.

    Attributes:
        image_size: pixels of each side after the import, 32, 64 or 128.
        fit: how a picture that is not square becomes square, one of `FITS`.
        background: red, green and blue under transparency and around padded pictures, 0 to 255.
        value_range: values of black and white; None to judge them by all values of the source.
        images: name of the array of images; "" to find it.
        factors: name of the array of factors; "" to find it.
        bins: number of equal-width bins for factors that look continuous; 0 for none.
        keep_one_hot: keep one-hot columns as factors of two values each.
        skip_damaged: leave out damaged pictures.
        follow_links: read pictures that are links to files elsewhere.

    Raises:
        DataError: a value is out of range.
    """

    image_size: int = 64
    fit: Fit = "squash"
    background: tuple[int, int, int] = WHITE
    value_range: tuple[float, float] | None = None
    images: str = ""
    factors: str = ""
    bins: int = 0
    keep_one_hot: bool = False
    skip_damaged: bool = False
    follow_links: bool = False

    def __post_init__(self) -> None:
        if self.image_size not in SIDES:
            raise DataError(f"image_size is {self.image_size}: give 32, 64 or 128")
        if self.fit not in get_args(Fit):
            raise DataError(f"fit is {str(self.fit)[:40]!r}: give {', '.join(FITS)}")
        if len(self.background) != 3 or not all(0 <= value <= 255 for value in self.background):
            raise DataError(
                f"background is {self.background}: give red, green and blue from 0 to 255"
            )
        if self.value_range is not None and not self.value_range[0] < self.value_range[1]:
            raise DataError(
                f"the range is {self.value_range[0]:g} to {self.value_range[1]:g}: give the value "
                f"of black and then the greater value of white"
            )
        if self.bins and not 2 <= self.bins <= MAX_BINS:
            raise DataError(f"bins is {self.bins}: give 2 to {MAX_BINS:,}, or 0 for none")
