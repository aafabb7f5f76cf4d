"""The sources of an import: a folder of image files, or arrays in one file."""

import os
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dvae_core.data.imported.folder_labels import TABLES, folder_labels
from dvae_core.data.imported.labels import Labels, labels_from
from dvae_core.data.imported.options import ImportOptions
from dvae_core.data.imported.value_range import Depth, ValueRange, find_range
from dvae_core.data.untrusted.limits import MAX_IMAGES
from dvae_core.data.untrusted.pictures import fitted
from dvae_core.data.untrusted.reader import ArrayFile, PictureForm, PictureInfo, Reader
from dvae_core.errors import DataError, printable
from dvae_core.progress import Progress

PREVIEW_IMAGES = 16
PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".gif")
IMAGE_NAMES = ("images", "imgs", "image", "x", "X", "x_train", "X_train", "data", "arr_0")
"""Names under which files keep images."""

FACTOR_NAMES = (
    "factors",
    "labels",
    "label",
    "latents_classes",
    "y",
    "y_train",
    "targets",
    "target",
    "classes",
    "latents_values",
)
"""Names under which files keep factors; the first that exists is read."""

_NAMES_OF_FACTORS = ("factor_names", "label_names", "latents_names")
_LEAST_SIDE = 4  # a smaller axis holds channels, not pixels
_BATCH = 64  # images scaled at a time
_NO_DAMAGE_SHOWN = 5
_CHANGES = {
    "turned": "turned upright, as the camera noted",
    "transparent": "laid on the background where transparent",
    "cmyk": "converted from CMYK to RGB",
    "animated": "read by the first frame only",
    "upper_bits": "read by the upper 8 of the 16 bits of each colour",
}


@dataclass(frozen=True)
class Damage:
    """A picture that cannot be read: its name in the source, and the reason."""

    name: str
    reason: str


class ImageSource(ABC):
    """Images of any size, available as square uint8 images.

    Attributes:
        kind: kind of source, in a few words.
        count: number of images.
        smallest: height and width of the smallest image.
        largest: height and width of the largest image.
        channels: 1 for grey, 3 for red, green and blue.
        labels: factors of each image, or None.
        damaged: pictures that cannot be read; they are not among the images.
        ranges: black and white of pictures of each depth; {} for arrays.
        remarks: remarks for the user, one sentence each.
    """

    kind: str
    count: int
    smallest: tuple[int, int]
    largest: tuple[int, int]
    channels: int
    labels: Labels | None
    damaged: tuple[Damage, ...] = ()
    ranges: Mapping[Depth, tuple[float, float]] = MappingProxyType({})
    remarks: tuple[str, ...]

    @abstractmethod
    def preview(self) -> NDArray[np.uint8]:
        """A few of the images, uint8 (images, size, size, C)."""

    @abstractmethod
    def images(self, progress: Progress) -> Iterator[NDArray[np.uint8]]:
        """All images in order, uint8 (B, size, size, C); 255 is white.

        Raises:
            DataError: an image is damaged.
        """


def open_source(
    reader: Reader, path: Path, options: ImportOptions, progress: Progress
) -> ImageSource:
    """Open a folder, or arrays in a file, and read all of it once to judge it as a whole.

    Args:
        reader: reader of the files; the source depends on it.
        path: the source.
        options: what was asked.
        progress: called with the number of read images.

    Raises:
        DataError: the source cannot be imported.
    """
    if path.is_dir():
        return _Folder(reader, path, options, progress)
    return _Arrays(reader, path, options, progress)


class _Folder(ImageSource):
    kind = "folder of images"

    def __init__(
        self, reader: Reader, path: Path, options: ImportOptions, progress: Progress
    ) -> None:
        self._reader = reader
        found, num_others = _pictures_in(path, options.follow_links)
        self._pictures: list[Path] = []
        infos: list[PictureInfo] = []
        damaged: list[Damage] = []
        for done, picture in enumerate(found):
            progress(done, len(found))
            try:
                infos.append(reader.check_picture(picture, options.background))
                self._pictures.append(picture)
            except DataError as error:
                name = picture.relative_to(path).as_posix()
                reason = str(error).partition(" cannot be read: ")[2] or str(error)
                damaged.append(Damage(printable(name, 200), reason))
        progress(len(found), len(found))
        self.damaged = tuple(damaged)
        if not infos:
            raise DataError(
                f"none of {len(found):,} pictures can be read; {damaged[0].name}: "
                f"{damaged[0].reason}"
            )
        self.count = len(infos)
        self.labels = folder_labels(path, self._pictures, options)
        heights, widths = [info.height for info in infos], [info.width for info in infos]
        self.smallest, self.largest = (min(heights), min(widths)), (max(heights), max(widths))
        greys = sum(info.is_grey for info in infos)
        self.channels = 1 if greys == self.count else 3
        wide = [info for info in infos if info.is_wide]
        ranges = _ranges(infos, options)
        self.ranges = {depth: found.ends for depth, found in ranges.items()}
        size = (options.image_size, options.image_size)
        self._form = _form(size, self.channels, options, ranges)
        remarks = [f"{num_others:,} other files are ignored"] if num_others else []
        if self.channels == 3 and greys:
            remarks.append(f"{_images_are(greys, 'grey ')} converted to RGB")
        counts = Counter(change for info in infos for change in info.changes)
        remarks += [
            f"{_images_are(counts[key])} {text}" for key, text in _CHANGES.items() if counts[key]
        ]
        if wide and (remark := ranges["wide"].remark):
            remarks.append(f"{_images_are(len(wide))} of more than 8 bits; {remark}")
        if len(wide) < self.count and (remark := ranges["narrow"].remark):
            remarks.append(remark)
        self.remarks = tuple(remarks)

    def preview(self) -> NDArray[np.uint8]:
        chosen = np.unique(np.linspace(0, self.count - 1, PREVIEW_IMAGES).astype(int))
        return self._read([self._pictures[i] for i in chosen])

    def images(self, progress: Progress) -> Iterator[NDArray[np.uint8]]:
        for start in range(0, self.count, _BATCH):
            progress(start, self.count)
            yield self._read(self._pictures[start : start + _BATCH])
        progress(self.count, self.count)

    def _read(self, pictures: list[Path]) -> NDArray[np.uint8]:
        return np.stack([self._reader.read_picture(picture, self._form) for picture in pictures])


def read_one(
    reader: Reader,
    path: Path,
    size: tuple[int, int],
    channels: int,
    options: ImportOptions | None = None,
    given: Mapping[Depth, tuple[float, float]] | None = None,
) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    """One picture, uint8 (height, width, channels), as in a set of this picture alone, and what
    was changed.

    Args:
        reader: reader of the file.
        path: the file.
        size: (height, width).
        channels: 1 for grey, 3 for RGB.
        options: what was asked; the size in it is not used.
        given: black and white of pictures of each depth, as those of a set; by default those of
            this picture.

    Raises:
        DataError: it cannot be read.
    """
    options = options or ImportOptions()
    info = reader.check_picture(path, options.background)
    # A single picture may well be dark or of one colour.
    ranges = _ranges([info], options, is_set=False)
    if given:
        ranges = {depth: ValueRange(*ends) for depth, ends in given.items()}
    form = _form(size, channels, options, ranges)
    changes = [f"it is {_CHANGES[key]}" for key in info.changes]
    if remark := ranges[_depth(info)].remark:
        changes.append(remark)
    if (info.height, info.width) != size:
        how = {"squash": "scaled", "crop": "cut and scaled", "pad": "scaled with background"}
        if info.height * size[1] != info.width * size[0]:
            how["squash"] = "squashed"
        changes.append(
            f"{info.width} x {info.height} pixels are {how[options.fit]} to {size[1]} x {size[0]}"
        )
    if channels == 1 and not info.is_grey:
        changes.append("colours become grey")
    return reader.read_picture(path, form), tuple(changes)


def _form(
    size: tuple[int, int], channels: int, options: ImportOptions, ranges: dict[Depth, ValueRange]
) -> PictureForm:
    return PictureForm(
        size=size,
        channels=channels,
        fit=options.fit,
        background=options.background,
        wide_range=ranges["wide"].ends,
        narrow_range=ranges["narrow"].ends,
    )


def _ranges(
    infos: list[PictureInfo], options: ImportOptions, *, is_set: bool = True
) -> dict[Depth, ValueRange]:
    """The ranges of the pictures of each depth, as a whole."""
    ranges: dict[Depth, ValueRange] = {"wide": ValueRange(0, 65535), "narrow": ValueRange(0, 255)}
    depths = set(map(_depth, infos))
    # Of two kinds, either may be dark or of one value.
    is_set = is_set and len(depths) == 1
    for depth in depths:
        found = [info for info in infos if _depth(info) == depth]
        # A range that was asked for is that of the wide pictures where there are any.
        is_asked = depth == "wide" or "wide" not in depths
        ranges[depth] = find_range(
            min(info.least for info in found),
            max(info.greatest for info in found),
            all(info.is_integer for info in found),
            options.value_range if is_asked else None,
            may_be_binary=depth == "wide",
            is_set=is_set,
        )
    return ranges


def _depth(info: PictureInfo) -> Depth:
    return "wide" if info.is_wide else "narrow"


class _Arrays(ImageSource):
    def __init__(
        self, reader: Reader, path: Path, options: ImportOptions, progress: Progress
    ) -> None:
        images = (options.images,) if options.images else IMAGE_NAMES
        factors = (options.factors,) if options.factors else FACTOR_NAMES
        self._file = reader.open_arrays(path, (*images, *factors, *_NAMES_OF_FACTORS))
        self._options = options
        self._name = _chosen(self._file, images)
        info = self._file.require(self._name)
        if np.dtype(info.dtype).kind not in "biuf":
            raise DataError(f"{self._name} has the type {info.dtype}: give numbers")
        if info.is_fortran:
            raise DataError(
                f"{self._name} is stored in Fortran order: save it again with "
                f"numpy.ascontiguousarray"
            )
        self.kind = "arrays in one file"
        self.count = info.shape[0]
        if self.count > MAX_IMAGES:
            raise DataError(f"there are {self.count:,} images: give at most {MAX_IMAGES:,}")
        self._channels_first, self.smallest, self.channels = _layout(info.shape)
        self._transposed = self._file.is_column_major
        if self._transposed:
            self.smallest = self.smallest[::-1]
        self.largest = self.smallest
        found = next((name for name in factors if name in self._file.arrays), "")
        if options.factors and not found:
            self._file.require(options.factors)
        self.labels = _labels(self._file, found, self.count, options)
        # The meaning of a value depends on all of them.
        limits = self._file.limits(self._name, progress)
        dtype = np.dtype(info.dtype)
        self._range = find_range(*limits, dtype.kind != "f", options.value_range)
        remarks = [] if dtype == np.uint8 else [f"{dtype} becomes uint8"]
        if self._range.remark:
            remarks.append(self._range.remark)
        if not options.images and self._name != IMAGE_NAMES[0]:
            remarks.append(f"the array {self._name} is read as the images")
        if found and not options.factors and found != FACTOR_NAMES[0]:
            remarks.append(f"the array {found} is read as the factors")
        if self._transposed:
            remarks.append("height and width are exchanged, since MATLAB stores columns first")
        self.remarks = tuple(remarks)

    def preview(self) -> NDArray[np.uint8]:
        start, stop = next(self._file.bounds(self._name))
        block = self._file.read(self._name, start, stop)
        chosen = np.unique(np.linspace(0, stop - start - 1, PREVIEW_IMAGES).astype(int))
        return self._convert(block[chosen])

    def images(self, progress: Progress) -> Iterator[NDArray[np.uint8]]:
        done = 0
        for block in self._file.blocks(self._name):
            for start in range(0, len(block), _BATCH):
                yield self._convert(block[start : start + _BATCH])
            done += len(block)
            progress(done, self.count)

    def _convert(self, block: NDArray) -> NDArray[np.uint8]:
        if block.ndim == 3:
            block = block[..., np.newaxis]  # (B, H, W) -> (B, H, W, 1)
        elif self._channels_first:
            block = block.transpose(0, 2, 3, 1)  # (B, C, H, W) -> (B, H, W, C)
        if self._transposed:
            block = block.swapaxes(1, 2)  # (B, W, H, C) -> (B, H, W, C)
        black, white = self._range.ends
        if block.dtype != np.uint8 or (black, white) != (0, 255):
            # Large integers differ by less than single precision tells.
            numbers: NDArray[Any] = block.astype(
                np.float64 if block.dtype.itemsize > 2 else np.float32
            )
            block = np.rint((numbers - black) * (255 / (white - black)))
            block = block.clip(0, 255)
        return self._fitted(block.astype(np.uint8))

    def _fitted(self, pictures: NDArray[np.uint8]) -> NDArray[np.uint8]:
        options = self._options
        size = (options.image_size, options.image_size)
        if pictures.shape[1:3] == size:
            return np.ascontiguousarray(pictures)
        shape = pictures.shape[:3] if pictures.shape[3] == 1 else pictures.shape
        made = [
            np.asarray(fitted(Image.fromarray(picture), size, options.fit, options.background))
            for picture in np.ascontiguousarray(pictures).reshape(shape)
        ]
        return np.stack(made).reshape(len(pictures), *size, pictures.shape[3])


def _images_are(count: int, kind: str = "") -> str:
    return f"1 {kind}image is" if count == 1 else f"{count:,} {kind}images are"


def describe_damage(damaged: tuple[Damage, ...], total: int) -> str:
    """Names and reasons of the first damaged pictures."""
    shown = "; ".join(f"{found.name}: {found.reason}" for found in damaged[:_NO_DAMAGE_SHOWN])
    more = len(damaged) - _NO_DAMAGE_SHOWN
    others = f"; and {more:,} more" if more > 0 else ""
    return f"{len(damaged):,} of {total:,} pictures cannot be read ({shown}{others})"


def _pictures_in(folder: Path, follow_links: bool) -> tuple[list[Path], int]:
    # The sorted image files below a folder, and the number of other files.
    pictures: list[Path] = []
    num_others = 0
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            path = Path(place, name)
            if name.startswith(".") or path.suffix.lower() not in PICTURE_SUFFIXES:
                num_others += not (Path(place) == folder and name in TABLES)
            elif path.is_symlink() and not follow_links:
                raise DataError(
                    f"{printable(path.relative_to(folder), 200)} is a link: give --follow-links "
                    f"if the files that links name may be read"
                )
            else:
                pictures.append(path)
        if len(pictures) > MAX_IMAGES:
            raise DataError(f"{folder} has too many image files: give at most {MAX_IMAGES:,}")
    if not pictures:
        raise DataError(
            f"{printable(folder, 200)} has no image files ({', '.join(PICTURE_SUFFIXES)})"
        )
    return pictures, num_others


def _chosen(file: ArrayFile, names: tuple[str, ...]) -> str:
    """The one of the arrays of these names, or the first of several called images."""
    found = [name for name in names if name in file.arrays]
    if not found:
        raise DataError(
            f"{file.shown} has no array called {names[0]}, only "
            f"{', '.join(file.contents) or 'nothing'}: say which one holds the images with "
            f"--images NAME"
        )
    if len(found) > 1 and IMAGE_NAMES[0] not in found:
        raise DataError(
            f"{file.shown} has {' and '.join(found)}: say which one holds the images with "
            f"--images NAME"
        )
    return found[0]


def _layout(shape: tuple[int, ...]) -> tuple[bool, tuple[int, int], int]:
    # Returns whether channels come first, (H, W), and C.
    match shape:
        case (_, height, width) if min(height, width) >= _LEAST_SIDE:
            return False, (height, width), 1
        case (_, height, width, (1 | 3) as channels):
            return False, (height, width), channels
        case (_, (1 | 3) as channels, height, width):
            return True, (height, width), channels
    raise DataError(
        f"images has the shape {shape}: give (images, height, width), or with 1 or 3 channels "
        f"(images, height, width, channels) or (images, channels, height, width)"
    )


def _labels(file: ArrayFile, name: str, count: int, options: ImportOptions) -> Labels | None:
    if not name:
        return None
    names = None
    given = next((found for found in _NAMES_OF_FACTORS if found in file.arrays), "")
    if given:
        texts = file.read_whole(given)
        if texts.ndim != 1 or texts.dtype.kind not in "US":
            raise DataError(f"{given} is not a list of texts: give one for each factor")
        names = [
            text.decode("utf-8", "replace") if isinstance(text, bytes) else text
            for text in texts.tolist()
        ]
    columns = file.read_whole(name)
    if file.is_column_major and columns.ndim == 2 and columns.shape[0] != count:
        columns = columns.T
    return labels_from(columns, names, count, options)
