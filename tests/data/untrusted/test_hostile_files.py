"""Whatever is done to a file, a `DataError` of one line is all that comes of it."""

import gzip
import io
import tarfile
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io
from PIL import Image

from benchmarks.hostile.damage import mutated
from dvae_core.data.imported.options import ImportOptions
from dvae_core.data.imported.source import open_source
from dvae_core.data.originals.smallnorb import NorbMatrix
from dvae_core.data.untrusted.reader import Reader
from dvae_core.errors import DataError
from dvae_core.progress import no_progress

COUNT = 1_000
IMAGES = np.arange(10 * 12 * 12, dtype=np.uint8).reshape(10, 12, 12)
FACTORS = np.indices((2, 5)).reshape(2, -1).T
NAMES = ("across", "down")


@pytest.fixture(scope="module")
def reader() -> Iterator[Reader]:
    with Reader() as opened:
        yield opened


def survives(read: Callable[[], object]) -> bool:
    """Whether a file can be read; anything but a `DataError` of one line goes through."""
    complaint = None
    try:
        read()
    except DataError as error:
        complaint = str(error)
    assert complaint is None or len(complaint.splitlines()) == 1
    return complaint is None


def read_all(reader: Reader, path: Path) -> None:
    for _ in open_source(reader, path, ImportOptions(32), no_progress).images(no_progress):
        pass


def try_mutations(path: Path, originals: Sequence[bytes], read: Callable[[], object]) -> None:
    for content in originals:
        path.write_bytes(content)
        assert survives(read), "the originals can be read"
    for content in mutated(originals, COUNT):
        path.write_bytes(content)
        survives(read)


def npz(compressed: bool) -> bytes:
    file = io.BytesIO()
    save = np.savez_compressed if compressed else np.savez
    save(file, images=IMAGES, factors=FACTORS, factor_names=np.array(NAMES))
    return file.getvalue()


def hdf5(**packing: object) -> bytes:
    file = io.BytesIO()
    with h5py.File(file, "w") as h5:
        h5.create_dataset("images", data=IMAGES, **packing)
        h5["factors"] = FACTORS
        h5["factor_names"] = list(NAMES)
    return file.getvalue()


def picture(kind: str) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.stack((IMAGES[0],) * 3, axis=-1)).save(file, kind)
    return file.getvalue()


def mesh() -> bytes:
    file = io.BytesIO()
    pixels = np.arange(4 * 4 * 3 * 3 * 2, dtype=np.uint8).reshape(4, 4, 3, 3, 2)
    scipy.io.savemat(file, {"im": pixels}, do_compression=True)
    return file.getvalue()


def tar(content: bytes) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        member = tarfile.TarInfo("data/cars/car_001_mesh.mat")
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return file.getvalue()


def norb() -> bytes:
    header = np.array([0x1E3D4C55, 4, 5, 2, 8, 8], "<i4").tobytes()
    return header + bytes(5 * 2 * 8 * 8)


def test_mutated_npz(reader: Reader, tmp_path: Path) -> None:
    path = tmp_path / "set.npz"
    try_mutations(path, (npz(False), npz(True)), lambda: read_all(reader, path))


def test_mutated_hdf5(reader: Reader, tmp_path: Path) -> None:
    path = tmp_path / "set.h5"
    originals = (hdf5(), hdf5(compression="gzip", chunks=(3, 12, 12)))
    try_mutations(path, originals, lambda: read_all(reader, path))


def test_mutated_pictures(reader: Reader, tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    originals = [picture(kind) for kind in ("PNG", "JPEG", "BMP")]
    try_mutations(path, originals, lambda: read_all(reader, tmp_path))


def test_mutated_archives(reader: Reader, tmp_path: Path) -> None:
    path = tmp_path / "archive.tar.gz"

    def read() -> None:
        for _ in reader.meshes(path):
            pass

    archive, half = tar(mesh()), COUNT // 2
    path.write_bytes(gzip.compress(archive))
    assert survives(read), "the original can be read"
    outside = mutated((gzip.compress(archive),), half)
    inside = (gzip.compress(content, 1) for content in mutated((archive,), half))
    in_mesh = (gzip.compress(tar(content), 1) for content in mutated((mesh(),), half))
    for content in chain(outside, inside, in_mesh):
        path.write_bytes(content)
        survives(read)


def test_mutated_matrices(tmp_path: Path) -> None:
    path = tmp_path / "matrix.mat.gz"

    def read() -> None:
        with NorbMatrix(path) as matrix:
            for _ in matrix.blocks(2):
                pass

    try_mutations(path, (gzip.compress(norb()),), read)
    path = path.with_suffix("")
    try_mutations(path, (norb(),), read)
