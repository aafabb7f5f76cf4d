"""Operations of the child process on a .zip of numbered pictures and their labels, which stays open
between requests."""

import zipfile
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from dvae_core.data.untrusted.array_info import raw_bytes
from dvae_core.data.untrusted.limits import MAX_IMAGES, MAX_WHOLE_BYTES
from dvae_core.errors import DataError, printable
from dvae_core.system.sandbox import Answer

_MAX_PICTURE_BYTES = 2**20  # of a packed picture
_MAX_PICTURES = 4096  # of a request

_archive: zipfile.ZipFile | None = None


def open_zip(path: str, labels: str) -> Answer:
    """Open an archive, close the previous one, and read the array of its member `labels`, which is
    of numbers in the .npy format whatever its name."""
    global _archive
    previous, _archive = _archive, None
    if previous is not None:
        previous.close()
    archive = zipfile.ZipFile(Path(path))
    if len(archive.infolist()) > MAX_IMAGES:
        raise DataError(f"it has more than {MAX_IMAGES:,} members")
    content = _read(archive, labels, MAX_WHOLE_BYTES)
    array = np.load(BytesIO(content), allow_pickle=False)
    if array.dtype.kind not in "iuf" or array.ndim != 2:
        raise DataError(f"{printable(labels)} is {array.dtype} {array.shape}, not rows of numbers")
    _archive = archive
    numbers = np.ascontiguousarray(array, dtype=np.float64)
    return {"shape": numbers.shape}, raw_bytes(numbers)


def read_pictures(names: list[str], published: int, size: int) -> Answer:
    """The pictures of some members, uint8 (len(names), size, size, 3).

    Args:
        names: of the members.
        published: height and width that they have.
        size: height and width to scale them to, bicubic.
    """
    if _archive is None:
        raise DataError("the reader was restarted: open the file again")
    if len(names) > _MAX_PICTURES:
        raise DataError(f"{len(names):,} pictures are asked for, but a request has {_MAX_PICTURES}")
    pixels = np.empty((len(names), size, size, 3), np.uint8)
    for row, name in enumerate(names):
        content = _read(_archive, name, _MAX_PICTURE_BYTES)
        with Image.open(BytesIO(content), formats=("PNG",)) as picture:
            if picture.size != (published, published):
                raise DataError(
                    f"{printable(name)} has {picture.width} x {picture.height} pixels, but the "
                    f"published pictures have {published} x {published}"
                )
            scaled = picture.convert("RGB").resize((size, size), Image.Resampling.BICUBIC)
            pixels[row] = np.asarray(scaled)
    return {}, raw_bytes(pixels)


def _read(archive: zipfile.ZipFile, name: str, most: int) -> bytes:
    shown = printable(name)
    try:
        member = archive.getinfo(name)
    except KeyError:
        raise DataError(f"it has no {shown}: it is not the published archive") from None
    if member.file_size > most:
        raise DataError(f"{shown} has {member.file_size:,} bytes, but at most {most:,} are read")
    with archive.open(member) as file:
        content = file.read(most + 1)
    if len(content) != member.file_size:
        raise DataError(f"{shown} has another length than the archive says")
    return content
