import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
import scipy.io
import torch
from numpy.typing import NDArray

from dvae_core.data import load_dataset
from dvae_core.data.originals.cars3d import Cars3D
from dvae_core.errors import DataError

ELEVATIONS, AZIMUTHS, TYPES = 2, 3, 3
ARCHIVE = "nips2015-analogy-data.tar.gz"


def car(index: int) -> NDArray[np.uint8]:
    """Pictures (H, W, C, azimuth, elevation), each of one colour of its own."""
    numbers = 50 * index + np.arange(3 * AZIMUTHS * ELEVATIONS).reshape(3, AZIMUTHS, ELEVATIONS)
    return np.broadcast_to(numbers, (128, 128, *numbers.shape)).astype(np.uint8)


def mesh(pixels: NDArray) -> bytes:
    file = io.BytesIO()
    scipy.io.savemat(file, {"im": pixels, "mask": pixels[:, :, 0] > 0}, do_compression=True)
    return file.getvalue()


def members() -> dict[str, bytes]:
    cars = {f"data/cars/car_00{i}_mesh.mat": mesh(car(i)) for i in (2, 0, 1)}
    return {
        "data/cars/list.txt": b"car_000_mesh\n",
        **cars,
        "data/sprites/sprites.mat": b"something else",
    }


def write(folder: Path, contents: dict[str, bytes]) -> None:
    with tarfile.open(folder / ARCHIVE, "w:gz", compresslevel=6) as archive:
        for name, content in contents.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


@pytest.fixture(autouse=True)
def _small_grid(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Cars3D, "factor_sizes", (ELEVATIONS, AZIMUTHS, TYPES))


def test_every_picture_is_found_by_its_factors(data_folder: Path) -> None:
    write(data_folder, members())
    dataset = load_dataset("cars3d")
    factors = dataset.factors_at(torch.arange(len(dataset)))
    colours = (dataset.images(factors) * 255).round().long()[:, :, 10, 20]  # (B, C)
    elevation, azimuth, kind = factors.unbind(1)
    red = 50 * kind + AZIMUTHS * 0 + azimuth * ELEVATIONS + elevation
    step = AZIMUTHS * ELEVATIONS
    assert torch.equal(colours, torch.stack((red, red + step, red + 2 * step), 1))


def test_pictures_are_shrunk_to_64_pixels(data_folder: Path) -> None:
    write(data_folder, members())
    assert load_dataset("cars3d").sample_images(2, torch.Generator()).shape == (2, 3, 64, 64)


def test_a_missing_car_is_told(data_folder: Path) -> None:
    contents = members()
    del contents["data/cars/car_001_mesh.mat"]
    write(data_folder, contents)
    with pytest.raises(DataError, match="has 2 cars, but 3"):
        load_dataset("cars3d")


def test_a_car_of_another_shape_is_refused(data_folder: Path) -> None:
    contents = members()
    contents["data/cars/car_001_mesh.mat"] = mesh(car(1)[..., :1])
    write(data_folder, contents)
    with pytest.raises(DataError, match=r"car_001_mesh.mat of shape .128, 128, 3, 3, 1."):
        load_dataset("cars3d")


def test_a_link_in_place_of_a_car_is_refused(data_folder: Path) -> None:
    write(data_folder, members())
    with tarfile.open(data_folder / ARCHIVE, "w:gz") as archive:
        member = tarfile.TarInfo("data/cars/car_000_mesh.mat")
        member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(member)
    with pytest.raises(DataError, match="link"):
        load_dataset("cars3d")


def test_an_archive_that_unpacks_to_too_much_is_refused(data_folder: Path) -> None:
    write(data_folder, {"data/sprites/zeros": bytes(300 * 2**20), **members()})
    with pytest.raises(DataError, match="unpacks to more"):
        load_dataset("cars3d")


def test_an_archive_cut_off_leaves_no_cache(data_folder: Path) -> None:
    write(data_folder, members())
    path = data_folder / ARCHIVE
    path.write_bytes(path.read_bytes()[:-5000])
    with pytest.raises(DataError):
        load_dataset("cars3d")
    assert list((data_folder / "cache").iterdir()) == []
