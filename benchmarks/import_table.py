"""Write the table of docs/data.md that says what becomes of each kind of source.

    python -m benchmarks.import_table

Each row makes a small source of its kind and plans its import.
"""

import io
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.io import savemat

from benchmarks.tables import REPOSITORY, markdown, replace_table
from dvae_core.data.imported.dataset import plan_import
from dvae_core.data.imported.labels import called
from dvae_core.data.imported.options import ImportOptions
from dvae_core.errors import DataError

DOCUMENT = REPOSITORY / "docs" / "data.md"
SIDE = 64
RAMP: NDArray[np.float64] = np.linspace(0, 1, 30 * SIDE * SIDE).reshape(30, SIDE, SIDE)
BYTES = (RAMP * 255).astype(np.uint8)
KINDS = np.arange(30) % 3
ROUNDING = np.linspace(0, 1e-7, 30)
_OBVIOUS = ("without factors", "several images have the same factors", "images of ")


@dataclass(frozen=True)
class Case:
    """A kind of source: what it is, its name, and how to write it."""

    what: str
    name: str
    write: Callable[[Path], object]


def save(image: Image.Image, **options: object) -> Callable[[Path], None]:
    """Write a folder with this picture and an ordinary one beside it."""

    def write(folder: Path) -> None:
        folder.mkdir()
        suffix = str(options.pop("suffix", "png"))
        image.save(folder / f"0.{suffix}", **options)  # type: ignore[arg-type]

    return write


def arrays(**content: NDArray) -> Callable[[Path], None]:
    """Write a .npz of these arrays."""
    return lambda path: np.savez(path, allow_pickle=True, **content)


def turned() -> Callable[[Path], None]:
    """A picture with an EXIF orientation."""
    exif = Image.Exif()
    exif[274] = 6
    return save(Image.fromarray(BYTES[20]), suffix="jpg", exif=exif)


def cut_off(folder: Path) -> None:
    """A whole picture, and one that is truncated."""
    folder.mkdir()
    Image.fromarray(BYTES[20]).save(folder / "whole.png")
    (folder / "holiday.png").write_bytes((folder / "whole.png").read_bytes()[:-40])


def classes(path: Path) -> None:
    """A zip of class folders."""
    buffer = io.BytesIO()
    Image.fromarray(BYTES[20]).save(buffer, "PNG")
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("disc/0.png", "disc/1.png", "square/0.png"):
            archive.writestr(name, buffer.getvalue())


def table(folder: Path) -> None:
    """Pictures with labels.csv beside them."""
    folder.mkdir()
    for name in ("a.png", "b.png"):
        Image.fromarray(BYTES[20]).save(folder / name)
    (folder / "labels.csv").write_text("file,shape\na.png,disc\nb.png,square\n")


def matlab73(path: Path) -> None:
    """MATLAB 7.3: HDF5 behind a block of 512 bytes."""
    with h5py.File(path, "w", userblock_size=512) as file:
        file["images"] = BYTES
    path.write_bytes(b"MATLAB 7.3 MAT-file".ljust(512) + path.read_bytes()[512:])


def linked(folder: Path) -> None:
    """A picture that is a link, as in a snapshot of a hub."""
    folder.mkdir()
    Image.fromarray(BYTES[20]).save(folder.parent / "blob", "PNG")
    (folder / "0.png").symlink_to(folder.parent / "blob")


RGBA = Image.fromarray(np.dstack([BYTES[20], BYTES[20], BYTES[20], BYTES[15] // 2]))
TWELVE = Image.fromarray((RAMP[29] * 4095).astype(np.uint16))

CASES = (
    Case("photo that the camera turned", "photos", turned()),
    Case("transparent parts", "cutouts", save(RGBA)),
    Case("12 bits in 16", "scans", save(TWELVE, suffix="tif")),
    Case("WebP", "web", save(Image.fromarray(BYTES[20]), suffix="webp")),
    Case("CMYK", "prints", save(Image.fromarray(BYTES[20]).convert("CMYK"), suffix="tif")),
    Case(
        "animation",
        "loops",
        save(
            Image.fromarray(BYTES[20]),
            suffix="gif",
            save_all=True,
            append_images=[Image.fromarray(BYTES[29])],
        ),
    ),
    Case("not square", "faces", save(Image.fromarray(BYTES[20][:50]))),
    Case("truncated picture", "mixed", cut_off),
    Case("links to pictures", "snapshot", linked),
    Case("zip of class folders", "shapes.zip", classes),
    Case("labels.csv beside pictures", "labelled", table),
    Case("values from 0 to 1", "set.npz", arrays(images=RAMP.astype(np.float32))),
    Case("values a little above 1", "set.npz", arrays(images=RAMP * 1.003)),
    Case("values from -1 to 1", "set.npz", arrays(images=RAMP * 2 - 1)),
    Case("values from 0 to 5", "set.npz", arrays(images=RAMP * 5)),
    Case("10 bits in 16", "set.npz", arrays(images=(RAMP * 1023).astype(np.uint16))),
    Case("names of dSprites", "set.npz", arrays(imgs=BYTES, latents_classes=KINDS)),
    Case("labels", "set.npz", arrays(images=BYTES, labels=KINDS)),
    Case("one-hot columns", "set.npz", arrays(images=BYTES, factors=np.eye(3)[KINDS])),
    Case("rounded numbers", "set.npz", arrays(images=BYTES, factors=KINDS / 3 + ROUNDING)),
    Case("continuous factor", "set.npz", arrays(images=BYTES, factors=RAMP[:, 0, 0])),
    Case("texts as objects", "set.npz", arrays(images=BYTES, factors=KINDS.astype(object))),
    Case("array of another name", "set.npz", arrays(faces=BYTES)),
    Case("single array", "set.npy", lambda path: np.save(path, BYTES)),
    Case("MATLAB 5", "set.mat", lambda path: savemat(path, {"images": np.moveaxis(BYTES, 0, -1)})),
    Case("MATLAB 7.3", "set.mat", matlab73),
    Case("pickle, such as CIFAR", "data_batch_1", lambda path: path.write_bytes(b"\x80\x04")),
)


def outcome(case: Case, folder: Path) -> str:
    """What becomes of a source, in the words of the plan or of the refusal."""
    source = folder / case.name
    case.write(source)
    try:
        plan = plan_import(source, ImportOptions(SIDE))
    except DataError as error:
        return "refused: " + str(error).replace(f"{folder}/", "")
    factors = zip(plan.factor_names, plan.factor_sizes, strict=True)
    told = [f"{called(name)}: {size} values" for name, size in factors]
    told += [note for note in plan.notes if not note.startswith(_OBVIOUS)]
    return "; ".join(told) or "read as it is"


def import_table() -> str:
    """One row per kind of source, as Markdown."""
    rows = [["source", "what becomes of it"]]
    for case in CASES:
        with tempfile.TemporaryDirectory() as folder:
            rows.append([case.what, outcome(case, Path(folder)).replace("|", "\\|")])
    return markdown(rows)


def main() -> None:
    replace_table(DOCUMENT, "imports", import_table())


if __name__ == "__main__":
    main()
