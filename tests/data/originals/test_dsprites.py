import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from dvae_core.data import load_dataset
from dvae_core.data.originals.dsprites import ColorDsprites, Dsprites
from dvae_core.errors import DataError

SIZES = (3, 2, 4, 2, 3)  # a small grid in the layout of the published one
NAME = "dsprites_ndarray_co1sh3sc6or40x32y32_64x64"
CLASSES = np.indices((1, *SIZES)).reshape(6, -1).T
IMAGES = np.random.default_rng(0).integers(0, 2, (len(CLASSES), 64, 64), np.uint8)


class Trap:
    """Marks its unpickling."""

    def __reduce__(self) -> tuple[Callable, tuple]:
        return pytest.fail, ("the metadata was unpickled",)


@pytest.fixture(autouse=True)
def _small_grid(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Dsprites, "factor_sizes", SIZES)


def write_npz(folder: Path, images: NDArray = IMAGES, classes: NDArray = CLASSES) -> Path:
    path = folder / f"{NAME}.npz"
    np.savez_compressed(
        path, imgs=images, latents_classes=classes, latents_values=classes.astype(float)
    )
    with zipfile.ZipFile(path, "a") as archive, archive.open("metadata.npy", "w") as member:
        header = {"descr": "|O", "fortran_order": False, "shape": ()}
        np.lib.format.write_array_header_1_0(member, header)
        member.write(pickle.dumps(Trap()))
    return path


def write_hdf5(folder: Path, images: NDArray = IMAGES, classes: NDArray = CLASSES) -> Path:
    path = folder / f"{NAME}.hdf5"
    with h5py.File(path, "w") as file:
        file.create_dataset("imgs", data=images, compression="gzip")
        file["latents/classes"] = classes
        file["latents/values"] = classes.astype(float)
    return path


@pytest.mark.parametrize("write", [write_npz, write_hdf5])
def test_every_image_is_found_by_its_factors(
    write: Callable[[Path], Path], data_folder: Path
) -> None:
    write(data_folder)
    dataset = load_dataset("dsprites")
    images = dataset.images(torch.from_numpy(CLASSES[:, 1:]))
    assert torch.equal(images, torch.from_numpy(IMAGES).float()[:, None])


def test_a_file_in_a_folder_of_its_own_is_found(data_folder: Path) -> None:
    (data_folder / "dsprites").mkdir()
    write_npz(data_folder / "dsprites")
    assert len(load_dataset("dsprites")) == len(IMAGES)


def test_images_take_a_bit_for_each_pixel(data_folder: Path) -> None:
    write_npz(data_folder)
    load_dataset("dsprites")
    (cache,) = (data_folder / "cache").iterdir()
    header_bytes = 128
    assert cache.stat().st_size == IMAGES.size // 8 + header_bytes


def test_progress_tells_of_images(data_folder: Path) -> None:
    write_npz(data_folder)
    told: list[tuple[int, int]] = []
    load_dataset("dsprites", progress=lambda *step: told.append(step))
    assert told[-1] == (len(IMAGES), len(IMAGES))


def test_small_images_are_averages(data_folder: Path) -> None:
    write_npz(data_folder)
    small = load_dataset("dsprites", 32).images_at(torch.tensor([5]))
    expected = IMAGES[5].reshape(32, 2, 32, 2).mean((1, 3))
    np.testing.assert_allclose(small[0, 0], expected)


def test_colours_are_drawn_for_each_image(data_folder: Path) -> None:
    write_npz(data_folder)
    dataset = load_dataset("color_dsprites")
    images = dataset.images_at(torch.tensor([7, 7]), torch.Generator().manual_seed(0))
    colours = images.amax((2, 3))  # (B, C, H, W) -> (B, C)
    assert colours.min() >= 0.5
    assert not torch.equal(colours[0], colours[1])
    white = torch.from_numpy(IMAGES[7]).float()
    assert torch.equal(images, colours[:, :, None, None] * white)


def test_colours_need_a_generator(data_folder: Path) -> None:
    write_npz(data_folder)
    with pytest.raises(DataError, match="pass a generator"):
        ColorDsprites().images_at(torch.tensor([7]))


def test_a_missing_file_is_told_with_how_to_get_it(data_folder: Path) -> None:
    with pytest.raises(DataError, match="dvae_core download dsprites"):
        load_dataset("dsprites")


@pytest.mark.parametrize(
    ("images", "classes", "message"),
    [
        (IMAGES[:-1], CLASSES, "imgs of type"),
        (IMAGES.astype(float), CLASSES, "imgs of type <f8"),
        (IMAGES * 255, CLASSES, "values above 1"),
        (IMAGES, CLASSES[::-1], "another order"),
        (IMAGES, CLASSES[:, 1:], "labels of shape"),
    ],
)
def test_another_file_of_that_name_is_refused(
    images: NDArray, classes: NDArray, message: str, data_folder: Path
) -> None:
    write_npz(data_folder, images, classes)
    with pytest.raises(DataError, match=message):
        load_dataset("dsprites")
    assert list((data_folder / "cache").iterdir()) == []
