from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from dvae_core.data import load_dataset
from dvae_core.data.originals.shapes3d import Shapes3D
from dvae_core.errors import DataError

SIZES = (2, 3, 2, 2, 2, 3)
FACTORS = np.indices(SIZES).reshape(6, -1).T
# Hues in [0, 1), scales in [0.75, 1.25], shapes 0 to 3, degrees in [-30, 30].
LABELS = FACTORS * [0.1, 0.1, 0.1, 0.25, 1, 30] + [0, 0, 0, 0.75, 0, -30]
IMAGES = np.random.default_rng(0).integers(0, 256, (len(FACTORS), 64, 64, 3), np.uint8)


@pytest.fixture(autouse=True)
def _small_grid(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Shapes3D, "factor_sizes", SIZES)


def write(folder: Path, images: NDArray = IMAGES, labels: NDArray = LABELS) -> None:
    with h5py.File(folder / "3dshapes.h5", "w") as file:
        file.create_dataset("images", data=images, compression="gzip", chunks=(20, 16, 16, 1))
        file["labels"] = labels


def test_every_image_is_found_by_its_factors(data_folder: Path) -> None:
    write(data_folder)
    images = load_dataset("shapes3d").images(torch.from_numpy(FACTORS))
    expected = torch.from_numpy(IMAGES.transpose(0, 3, 1, 2)).float() / 255
    torch.testing.assert_close(images, expected)


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (IMAGES[:-1], LABELS[:-1], "images of type"),
        (IMAGES[..., :1], LABELS, "images of type"),
        (IMAGES, np.roll(LABELS, 1, axis=0), "another order"),
        (IMAGES, np.full_like(LABELS, np.nan), "values of its factors"),
    ],
)
def test_another_file_of_that_name_is_refused(
    images: NDArray, labels: NDArray, message: str, data_folder: Path
) -> None:
    write(data_folder, images, labels)
    with pytest.raises(DataError, match=message):
        load_dataset("shapes3d")


def test_a_file_cut_off_is_refused_and_leaves_no_cache(data_folder: Path) -> None:
    write(data_folder)
    path = data_folder / "3dshapes.h5"
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(DataError, match="damaged"):
        load_dataset("shapes3d")
    assert list((data_folder / "cache").iterdir()) == []
