"""The sources of an import: a folder of image files, or arrays in one file."""

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dvae_core.data.imported.folder_labels import TABLE, folder_labels
from dvae_core.data.imported.labels import Labels, labels_from
from dvae_core.data.stored import resized
from dvae_core.data.untrusted.limits import MAX_IMAGES
from dvae_core.data.untrusted.reader import ArrayFile, Reader
from dvae_core.errors import DataError, printable
from dvae_core.progress import Progress

PREVIEW_IMAGES = 16
PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp")
_LEAST_SIDE = 4  # a smaller axis holds channels, not pixels
_BATCH = 64  # images scaled at a time
_ROUNDING = 1e-6  # rounding error by which white may exceed 1


class ImageSource(ABC):
    """Images of any size, available as square uint8 images.

    Attributes:
        kind: kind of source, in a few words.
        count: number of images.
        smallest: height and width of the smallest image.
        largest: height and width of the largest image.
        channels: 1 for grey, 3 for red, green and blue.
        labels: factors of each image, or None.
        remarks: remarks for the user, one sentence each.
    """

    kind: str
    count: int
    smallest: tuple[int, int]
    largest: tuple[int, int]
    channels: int
    labels: Labels | None
    remarks: tuple[str, ...]

    @abstractmethod
    def preview(self, size: int) -> NDArray[np.uint8]:
        """A few of the images, uint8 (images, size, size, C)."""

    @abstractmethod
    def images(self, size: int, progress: Progress) -> Iterator[NDArray[np.uint8]]:
        """All images in order, uint8 (B, size, size, C); 255 is white.

        Raises:
            DataError: an image is damaged, or has values out of range.
        """


def open_source(reader: Reader, path: Path, progress: Progress) -> ImageSource:
    """Open a folder, a .npz or an HDF5 file and check its headers.

    Args:
        reader: reader of the files; the source depends on it.
        path: the source.
        progress: called with the number of checked files of a folder.

    Raises:
        DataError: the source cannot be imported.
    """
    return _Folder(reader, path, progress) if path.is_dir() else _Arrays(reader, path)


class _Folder(ImageSource):
    kind = "folder of images"

    def __init__(self, reader: Reader, path: Path, progress: Progress) -> None:
        self._reader = reader
        self._pictures, num_others = _pictures_in(path)
        self.count = len(self._pictures)
        self.labels = folder_labels(path, self._pictures)
        heights, widths, greys = [], [], []
        for done, picture in enumerate(self._pictures):
            progress(done, self.count)
            height, width, is_grey = reader.picture_header(picture)
            heights.append(height)
            widths.append(width)
            greys.append(is_grey)
        progress(self.count, self.count)
        self.smallest, self.largest = (min(heights), min(widths)), (max(heights), max(widths))
        self.channels = 1 if all(greys) else 3
        self.remarks = (f"{num_others:,} other files are ignored",) if num_others else ()
        if self.channels == 3 and any(greys):
            self.remarks += (f"{sum(greys):,} grey images are converted to RGB",)

    def preview(self, size: int) -> NDArray[np.uint8]:
        chosen = np.unique(np.linspace(0, self.count - 1, PREVIEW_IMAGES).astype(int))
        return self._read([self._pictures[i] for i in chosen], size)

    def images(self, size: int, progress: Progress) -> Iterator[NDArray[np.uint8]]:
        for start in range(0, self.count, _BATCH):
            progress(start, self.count)
            yield self._read(self._pictures[start : start + _BATCH], size)
        progress(self.count, self.count)

    def _read(self, pictures: list[Path], size: int) -> NDArray[np.uint8]:
        read = [self._reader.read_picture(picture, size, self.channels) for picture in pictures]
        return np.stack(read)


class _Arrays(ImageSource):
    def __init__(self, reader: Reader, path: Path) -> None:
        self._file = reader.open_arrays(path, ("images", "factors", "factor_names"))
        info = self._file.require("images")
        if np.dtype(info.dtype).kind not in "biuf":
            raise DataError(f"images has the type {info.dtype}: give numbers")
        if info.is_fortran:
            raise DataError(
                "images is stored in Fortran order: save it again with numpy.ascontiguousarray"
            )
        self.kind = "arrays in one file"
        self.count = info.shape[0]
        if self.count > MAX_IMAGES:
            raise DataError(f"there are {self.count:,} images: give at most {MAX_IMAGES:,}")
        self._channels_first, self.smallest, self.channels = _layout(info.shape)
        self.largest = self.smallest
        self.labels = _labels(self._file, self.count)
        self.remarks = () if info.dtype == "|u1" else (f"{np.dtype(info.dtype)} becomes uint8",)

    def preview(self, size: int) -> NDArray[np.uint8]:
        start, stop = next(self._file.bounds("images"))
        block = self._file.read("images", start, stop)
        chosen = np.unique(np.linspace(start, stop - 1, PREVIEW_IMAGES).astype(int))
        # The rest of the array may be brighter; only the import reads all of it.
        white = _white(block.dtype, float(block.min()), float(block.max()))
        return self._convert(block[chosen], white, size)

    def images(self, size: int, progress: Progress) -> Iterator[NDArray[np.uint8]]:
        # The value of white depends on the whole array, so it is read twice.
        limits = self._file.limits("images", lambda done, total: progress(done // 2, total))
        white = _white(np.dtype(self._file.arrays["images"].dtype), *limits)
        done = 0
        for block in self._file.blocks("images"):
            for start in range(0, len(block), _BATCH):
                yield self._convert(block[start : start + _BATCH], white, size)
            done += len(block)
            progress((self.count + done) // 2, self.count)

    def _convert(self, block: NDArray, white: float, size: int) -> NDArray[np.uint8]:
        if block.ndim == 3:
            block = block[..., np.newaxis]  # (B, H, W) -> (B, H, W, 1)
        elif self._channels_first:
            block = block.transpose(0, 2, 3, 1)  # (B, C, H, W) -> (B, H, W, C)
        if block.dtype != np.uint8 or white != 255:
            block = np.rint(block.astype(np.float32) * (255 / white)).clip(0, 255)
        return resized(block.astype(np.uint8), size, Image.Resampling.BILINEAR)


def _pictures_in(folder: Path) -> tuple[list[Path], int]:
    # The sorted image files below a folder, and the number of other files.
    pictures: list[Path] = []
    num_others = 0
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            path = Path(place, name)
            if name.startswith(".") or path.suffix.lower() not in PICTURE_SUFFIXES:
                num_others += path != folder / TABLE
            elif path.is_symlink():
                raise DataError(f"{printable(path, 200)} is a link: replace it by the image file")
            else:
                pictures.append(path)
        if len(pictures) > MAX_IMAGES:
            raise DataError(f"{folder} has too many image files: give at most {MAX_IMAGES:,}")
    if not pictures:
        raise DataError(
            f"{printable(folder, 200)} has no image files ({', '.join(PICTURE_SUFFIXES)})"
        )
    return pictures, num_others


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


def _labels(file: ArrayFile, count: int) -> Labels | None:
    if "factors" not in file.arrays:
        return None
    names = None
    if "factor_names" in file.arrays:
        texts = file.read_whole("factor_names")
        if texts.ndim != 1 or texts.dtype.kind not in "US":
            raise DataError("factor_names is not a list of texts: give one for each factor")
        names = [
            text.decode("utf-8", "replace") if isinstance(text, bytes) else text
            for text in texts.tolist()
        ]
    return labels_from(file.read_whole("factors"), names, count)


def _white(dtype: np.dtype, least: float, greatest: float) -> float:
    # The value of white, from the range of the values.
    if least < 0:
        raise DataError(
            f"images has values from {least:g} to {greatest:g}: give values from 0 to 1 or from 0 "
            f"to 255"
        )
    if greatest <= 1 + _ROUNDING:
        return 1
    if greatest <= 255:
        return 255
    if dtype.kind in "iu" and greatest <= 65535:
        return 65535
    raise DataError(
        f"images has values up to {greatest:g}: give values from 0 to 1 or from 0 to 255"
    )
