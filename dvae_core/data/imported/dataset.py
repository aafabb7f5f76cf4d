"""Planning, importing, loading and removing the user's own data sets.

An imported data set is one file, `imported/<name>.npz` in the data folder: `images` uint8 (images,
H, W, C) and, with factors, their indices `factors` (images, F), `factor_names` and `factor_sizes`
(F,). The file is not compressed, so images are memory-mapped. It can be imported again.
"""

import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import prod
from pathlib import Path

import numpy as np
import torch
from numpy.lib import format as npy_format
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from dvae_core.data import DATASET_NAMES, ORIGINAL_NAMES
from dvae_core.data.dataset import Dataset
from dvae_core.data.folder import check_space, data_folder
from dvae_core.data.imported.labels import Labels, called
from dvae_core.data.imported.options import SIDES, WHITE, Fit, ImportOptions
from dvae_core.data.imported.source import Damage, ImageSource, describe_damage, open_source
from dvae_core.data.imported.unpacked import unpacked
from dvae_core.data.imported.value_range import Depth
from dvae_core.data.stored import ByteImages, TableDataset, UnlabelledDataset
from dvae_core.data.untrusted.npz import NpzFile
from dvae_core.data.untrusted.reader import Reader
from dvae_core.errors import DataError, printable
from dvae_core.progress import Progress, no_progress
from dvae_core.system.files import partial_file

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}", re.ASCII)


_SHAPED: dict[Fit, str] = {
    "squash": "images that are not square are squashed, which changes their proportions (--fit "
    "crop or pad keeps them)",
    "crop": "images that are not square are cut to a square in the middle",
    "pad": "images that are not square get background at two sides",
}


class ImportedFrom(BaseModel):
    """How a data set was imported, kept with it.

    Attributes:
        fit: how images became square.
        background: red, green and blue under transparency and padding.
        ranges: black and white of pictures of each depth; {} for arrays.
        remarks: what the import changed, one sentence each.
        skipped: names of damaged pictures that were left out.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    fit: Fit = "squash"
    background: tuple[int, int, int] = WHITE
    ranges: dict[Depth, tuple[float, float]] = {}
    remarks: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()


@dataclass(frozen=True)
class ImportPlan:
    """The result that an import of a source would have.

    Attributes:
        source: the folder or file.
        kind: kind of source, in a few words.
        num_images: number of images.
        smallest: height and width of the smallest image.
        largest: height and width of the largest image.
        image_shape: (C, H, W) after the import.
        factor_names: (F,); empty without factors.
        factor_sizes: number of values of each factor, (F,).
        num_combinations: number of different combinations of factors.
        damaged: pictures that cannot be read, which an import must be told to skip.
        notes: remarks for the user, one sentence each.
        preview: a few images after the import, uint8 (images, H, W, C).
    """

    source: Path
    kind: str
    num_images: int
    smallest: tuple[int, int]
    largest: tuple[int, int]
    image_shape: tuple[int, int, int]
    factor_names: tuple[str, ...]
    factor_sizes: tuple[int, ...]
    num_combinations: int
    damaged: tuple[Damage, ...]
    notes: tuple[str, ...]
    preview: NDArray[np.uint8] = field(repr=False)


class ImportedDataset(TableDataset):
    """Imported images with factors."""

    def __init__(self, name: str, labels: Labels, images: ByteImages, device: torch.device) -> None:
        self.name = name
        self.factor_names = labels.names
        self.factor_sizes = labels.sizes
        super().__init__(images, labels.indices, device)


def plan_import(
    source: Path | str, options: ImportOptions | None = None, progress: Progress = no_progress
) -> ImportPlan:
    """Read a source and describe the result of an import, without writing anything.

    Args:
        source: a folder or a zip file of image files, see `folder_labels` for their factors; or a
            .npz, .npy, HDF5, MATLAB or IDX file with images (images, H, W), (images, H, W, C) or
            (images, C, H, W), optional factors (images, F) and optional `factor_names` (F,).
        options: how it is read; None for the defaults.
        progress: called with the number of read images.

    Raises:
        DataError: the source cannot be imported.
    """
    options = options or ImportOptions()
    source = Path(source)
    with _open(source, options, progress) as images:
        labels = images.labels
        has_factors = labels is not None and labels.sizes
        num_combinations = labels.num_combinations if labels and has_factors else images.count
        size = options.image_size
        return ImportPlan(
            source=source,
            kind=images.kind,
            num_images=images.count,
            smallest=images.smallest,
            largest=images.largest,
            image_shape=(images.channels, size, size),
            factor_names=labels.names if labels else (),
            factor_sizes=labels.sizes if labels else (),
            num_combinations=num_combinations,
            damaged=images.damaged,
            notes=tuple(_notes(images, num_combinations, options)),
            preview=images.preview(),
        )


def import_images(
    source: Path | str,
    name: str,
    options: ImportOptions | None = None,
    progress: Progress = no_progress,
) -> Path:
    """Import images as a data set for `load_dataset`.

    Args:
        source: as in `plan_import`.
        name: name of lower-case letters, digits, "-" and "_".
        options: as in `plan_import`; what they change is kept with the data set.
        progress: called with the number of images, first while they are checked.

    Returns:
        The file of the data set.

    Raises:
        DataError: the name is taken or not allowed, the source cannot be imported, pictures are
            damaged and `skip_damaged` is not set, or the disk is full. Nothing is imported.
    """
    options = options or ImportOptions()
    path = _path_of(name)
    if path.exists():
        raise DataError(f"{name!r} is already imported: remove it first, or use another name")

    def half(done: int, total: int) -> None:
        progress(done, 2 * total)

    with _open(Path(source), options, half) as images:
        if images.damaged and not options.skip_damaged:
            total = images.count + len(images.damaged)
            raise DataError(
                f"{describe_damage(images.damaged, total)}: repair them, or skip them with "
                f"--skip-damaged"
            )
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            check_space(path.parent, images.count * images.channels * options.image_size**2)
            _write(path, images, options, lambda done, total: progress(total + done, 2 * total))
        except OSError as error:
            raise DataError(f"{path} cannot be written: {error.strerror or error}") from None
    return path


@contextmanager
def _open(source: Path, options: ImportOptions, progress: Progress) -> Iterator[ImageSource]:
    with unpacked(source) as opened:
        top = opened if opened.is_dir() else opened.parent
        with Reader(top=top) as reader:
            yield open_source(reader, opened, options, progress)


def imported_names() -> tuple[str, ...]:
    """Names of the imported data sets, sorted."""
    names = sorted(path.stem for path in (data_folder() / "imported").glob("*.npz"))
    taken = DATASET_NAMES + ORIGINAL_NAMES
    return tuple(name for name in names if _NAME.fullmatch(name) and name not in taken)


def imported_at(name: str) -> int:
    """When a data set was imported, in nanoseconds, which tells it from an earlier one of its name;
    0 for other data sets."""
    if name in DATASET_NAMES + ORIGINAL_NAMES or not _NAME.fullmatch(name):
        return 0
    path = _path_of(name)
    return path.stat().st_mtime_ns if path.is_file() else 0


def remove_imported(name: str) -> None:
    """Delete an imported data set.

    Raises:
        DataError: there is no such data set, or its file cannot be deleted.
    """
    _check_is_imported(name)
    path = _path_of(name)
    try:
        path.unlink()
    except OSError as error:
        raise DataError(f"{path} cannot be deleted: {error.strerror or error}") from None


def load_imported(name: str, image_size: int, device: torch.device | str) -> Dataset:
    """An imported data set; arguments as in `load_dataset`.

    Raises:
        DataError: there is no such data set, its file is damaged, or its images are smaller.
    """
    device = torch.device(device)
    pixels, labels = _read(name)
    images = ByteImages(pixels, image_size, device)
    if labels is None:
        return UnlabelledDataset(name, images, len(pixels), device)
    return ImportedDataset(name, labels, images, device)


@dataclass(frozen=True)
class ImportedHeader:
    """The header of the file of an imported data set; see `ImportPlan` for the other attributes.

    Attributes:
        about: how it was imported.
    """

    path: Path
    num_images: int
    image_shape: tuple[int, int, int]
    factor_names: tuple[str, ...]
    factor_sizes: tuple[int, ...]
    about: ImportedFrom


def read_imported_header(name: str) -> ImportedHeader:
    """The header of an imported data set; reads neither images nor their factors.

    Raises:
        DataError: there is no such data set, or its file is damaged.
    """
    with _opened(name) as file:
        return _header(_path_of(name), file)


def _read(name: str) -> tuple[NDArray[np.uint8], Labels | None]:
    with _opened(name) as file:
        header = _header(_path_of(name), file)
        info = file.arrays["images"]
        pixels: NDArray[np.uint8] = np.memmap(
            header.path, np.uint8, "r", info.offset or 0, info.shape
        )
        if not header.factor_sizes:
            return pixels, None
        indices = file.read_whole("factors")
        _check(indices.dtype.kind == "i" and indices.shape[0] == len(pixels), "factors")
        _check(indices.shape[1:] == (len(header.factor_sizes),), "factors")
        _check(((indices >= 0) & (indices < header.factor_sizes)).all(), "factors")
        return pixels, Labels(header.factor_names, header.factor_sizes, indices, ())


def _header(path: Path, file: NpzFile) -> ImportedHeader:
    _check("images" in file.arrays, "images")
    info = file.arrays["images"]
    _check(info.dtype == "|u1" and info.offset is not None and not info.is_fortran, "images")
    _check(len(info.shape) == 4 and info.shape[1] == info.shape[2], "images")
    _check(info.shape[1] in SIDES and info.shape[3] in (1, 3), "images")
    num_images, height, width, channels = info.shape
    names: tuple[str, ...] = ()
    sizes: tuple[int, ...] = ()
    if "factors" in file.arrays:
        _check({"factor_names", "factor_sizes"} <= file.arrays.keys(), "factors")
        names = tuple(printable(text) for text in file.read_whole("factor_names").tolist())
        sizes = tuple(int(size) for size in file.read_whole("factor_sizes").tolist())
        _check(len(names) == len(sizes) and min(sizes) >= 1, "factor_sizes")
    about = ImportedFrom()  # earlier imports have none
    if "about" in file.arrays:
        _check(file.arrays["about"].dtype == "|u1", "about")
        about = ImportedFrom.model_validate_json(file.read_whole("about").tobytes())
    return ImportedHeader(path, num_images, (channels, height, width), names, sizes, about)


def _check(fits: bool | np.bool, what: str) -> None:
    if not fits:
        raise DataError(f"its {what} are invalid")


@contextmanager
def _opened(name: str) -> Iterator[NpzFile]:
    _check_is_imported(name)
    advice = f"remove {name!r} and import it again"
    try:
        names = ("images", "factors", "factor_names", "factor_sizes", "about")
        file = NpzFile(_path_of(name), names)
        try:
            yield file
        finally:
            file.close()
    except DataError as error:
        raise DataError(f"{_path_of(name)} is damaged ({error}): {advice}") from None
    except Exception:
        # A damaged file can cause any exception in the libraries that read it.
        raise DataError(f"{_path_of(name)} is damaged: {advice}") from None


def _write(path: Path, images: ImageSource, options: ImportOptions, progress: Progress) -> None:
    shape = (images.count, options.image_size, options.image_size, images.channels)
    labels = images.labels
    about = ImportedFrom(
        fit=options.fit,
        background=options.background,
        ranges=dict(images.ranges),
        remarks=(*images.remarks, *(labels.remarks if labels else ())),
        skipped=tuple(found.name for found in images.damaged),
    )
    with (
        partial_file(path) as file,
        zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive,
    ):
        with archive.open("images.npy", "w", force_zip64=True) as member:
            npy_format.write_array_header_1_0(
                member, {"descr": "|u1", "fortran_order": False, "shape": shape}
            )
            for block in images.images(progress):
                member.write(np.ascontiguousarray(block).data)
        with archive.open("about.npy", "w", force_zip64=True) as member:
            text = about.model_dump_json().encode()
            npy_format.write_array(member, np.frombuffer(text, np.uint8), allow_pickle=False)
        if labels is not None and labels.sizes:
            for name, array in (
                ("factors", labels.indices),
                ("factor_names", np.array(labels.names)),
                ("factor_sizes", np.array(labels.sizes)),
            ):
                with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                    npy_format.write_array(member, array, allow_pickle=False)


def _notes(images: ImageSource, num_combinations: int, options: ImportOptions) -> Iterator[str]:
    size = options.image_size
    if images.damaged:
        yield describe_damage(images.damaged, images.count + len(images.damaged)) + (
            "; they are skipped" if options.skip_damaged else ": --skip-damaged leaves them out"
        )
    yield from images.remarks
    smallest, largest = images.smallest, images.largest
    if smallest != largest:
        yield (
            f"images of {smallest[1]} x {smallest[0]} to {largest[1]} x {largest[0]} pixels are "
            f"scaled to {size} x {size}"
        )
    elif smallest != (size, size):
        text = f"images of {smallest[1]} x {smallest[0]} pixels are scaled to {size} x {size}"
        yield text
    if any(height != width for height, width in (smallest, largest)):
        yield _SHAPED[options.fit]
    labels = images.labels
    if labels is None:
        yield "without factors, models can be trained and explored, but most metrics are undefined"
        return
    for name in labels.left_out:
        yield f"{called(name)} has a single value and is left out"
    if not labels.sizes:
        yield "no factor has two values, so the data set has no factors"
        return
    yield from labels.remarks
    if num_combinations < prod(labels.sizes):
        yield (
            f"{num_combinations:,} of {prod(labels.sizes):,} possible combinations exist; scores "
            f"use each image once"
        )
    if num_combinations < images.count:
        yield (
            f"several images have the same factors ({images.count:,} images, "
            f"{num_combinations:,} combinations); each draw picks one of them at random"
        )


def _path_of(name: str) -> Path:
    if not _NAME.fullmatch(name):
        raise DataError(
            f"{printable(name)!r} cannot name a data set: use 1 to 64 of a-z, 0-9, _ and -, "
            f"starting with a letter or digit"
        )
    if name in DATASET_NAMES + ORIGINAL_NAMES:
        raise DataError(f"{name!r} is the name of a built-in data set: use another name")
    return data_folder() / "imported" / f"{name}.npz"


def _check_is_imported(name: str) -> None:
    if not _path_of(name).is_file():
        known = ", ".join(imported_names()) or "none so far"
        raise DataError(f"no imported data set is called {printable(name)!r}: there are {known}")
