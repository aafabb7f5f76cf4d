from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from dvae_core.data import load_dataset
from dvae_core.data.originals.mpi3d import Mpi3D, Mpi3DRealComplex, Mpi3DRealistic, Mpi3DToy
from dvae_core.errors import DataError

SIZES = (3, 3, 2, 2, 2, 3, 2)
FIRST_SIZES = (2, 2, 2, 2, 2, 3, 2)
IMAGES = np.random.default_rng(0).integers(0, 256, (432, 64, 64, 3), np.uint8)


@pytest.fixture(autouse=True)
def _small_grid(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Mpi3D, "factor_sizes", SIZES)
    monkeypatch.setattr(Mpi3DRealComplex, "factor_sizes", FIRST_SIZES)
    for rendering in (Mpi3DToy, Mpi3DRealistic):
        monkeypatch.setattr(rendering, "first_release_sizes", FIRST_SIZES)


def check_images(name: str, sizes: tuple[int, ...]) -> None:
    dataset = load_dataset(name)
    assert dataset.factor_sizes == sizes
    factors = np.indices(sizes).reshape(7, -1).T
    images = dataset.images(torch.from_numpy(factors))
    expected = torch.from_numpy(IMAGES[: len(factors)].transpose(0, 3, 1, 2)).float() / 255
    torch.testing.assert_close(images, expected)


@pytest.mark.parametrize("name", ["mpi3d_toy", "mpi3d_realistic", "mpi3d_real"])
def test_images_are_read_where_they_lie_in_the_file(name: str, data_folder: Path) -> None:
    np.savez(data_folder / f"{name}.npz", images=IMAGES)
    check_images(name, SIZES)
    assert not (data_folder / "cache").exists()


@pytest.mark.parametrize("file", ["real3d_complicated_shapes_ordered", "mpi3d_real_complex"])
def test_everyday_objects_have_four_colours_and_shapes(file: str, data_folder: Path) -> None:
    np.savez(data_folder / f"{file}.npz", images=IMAGES[:192])
    check_images("mpi3d_real_complex", FIRST_SIZES)


def test_a_file_packed_again_is_unpacked_once(data_folder: Path) -> None:
    np.savez_compressed(data_folder / "mpi3d_real.npz", images=IMAGES)
    check_images("mpi3d_real", SIZES)
    assert len(list((data_folder / "cache").iterdir())) == 1


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("mpi3d_toy", "sim_toy_64x_ordered_without_heldout_factors.npz"),
        ("mpi3d_toy", "mpi3d_toy.npz"),
        ("mpi3d_realistic", "mpi3d_realistic.npz"),
    ],
)
def test_the_first_release_is_known_by_its_size(name: str, file: str, data_folder: Path) -> None:
    np.savez(data_folder / file, images=IMAGES[:192])
    check_images(name, FIRST_SIZES)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_a_file_cut_off_is_refused(save: Callable[..., None], data_folder: Path) -> None:
    path = data_folder / "mpi3d_real.npz"
    save(path, images=IMAGES)
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(DataError, match="damaged"):
        load_dataset("mpi3d_real")


def test_another_number_of_images_is_refused(data_folder: Path) -> None:
    np.savez(data_folder / "mpi3d_real.npz", images=IMAGES[:192])
    with pytest.raises(DataError, match=r"shape .192, 64, 64, 3., but uint8 of shape .432,"):
        load_dataset("mpi3d_real")
