import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dvae_core.data import load_dataset
from dvae_core.data.originals.nvidia3d import Falcor3D, Isaac3D
from dvae_core.errors import DataError

SIZES = {"isaac3d": (2, 1, 1, 1, 2, 1, 1, 1, 3), "falcor3d": (3, 1, 2, 1, 1, 1, 2)}
LAYOUT = {
    "isaac3d": ("Isaac3D_down128", "labels.npy"),
    "falcor3d": ("Falcor3D_down128", "train-rec.labels"),
}
COUNT = 12
each = pytest.mark.parametrize("name", SIZES)


@pytest.fixture(autouse=True)
def _small_grid(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Isaac3D, "factor_sizes", SIZES["isaac3d"])
    monkeypatch.setattr(Falcor3D, "factor_sizes", SIZES["falcor3d"])


def picture(number: int, side: int = 128) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (side, side), (10 * number, 5, 200 - number)).save(file, "PNG")
    return file.getvalue()


def labels(name: str) -> np.ndarray:
    """Of each image, floats as published: values from 0 to 1, in an order of its own."""
    sizes = SIZES[name]
    grid = np.indices(sizes).reshape(len(sizes), -1).T
    return np.random.default_rng(0).permutation(grid / np.maximum(np.array(sizes) - 1, 1))


def members(name: str) -> dict[str, bytes]:
    folder, file = LAYOUT[name]
    array = io.BytesIO()
    np.save(array, labels(name))
    pictures = {f"{folder}/images/{i:06}.png": picture(i) for i in range(COUNT)}
    return {f"{folder}/{file}": array.getvalue(), **pictures}


def write(folder: Path, name: str, contents: dict[str, bytes]) -> Path:
    path = folder / f"{LAYOUT[name][0]}.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, content in contents.items():
            archive.writestr(member, content)
    return path


@each
def test_every_picture_is_found_by_its_factors(name: str, data_folder: Path) -> None:
    write(data_folder, name, members(name))
    dataset = load_dataset(name)
    assert dataset.factor_sizes == SIZES[name]
    steps = np.maximum(np.array(SIZES[name]) - 1, 1)
    factors = torch.from_numpy((labels(name) * steps).round().astype(np.int64))
    images = (dataset.images(factors) * 255).round().long()
    assert images.shape == (COUNT, 3, 64, 64)
    assert images[:, 0, 30, 30].tolist() == [10 * number for number in range(COUNT)]
    assert images[:, 2, 3, 60].tolist() == [200 - number for number in range(COUNT)]


def broken(name: str, change: str) -> dict[str, bytes]:
    contents, (folder, file) = members(name), LAYOUT[name]
    if change == "a missing picture":
        del contents[f"{folder}/images/000003.png"]
    elif change == "a small picture":
        contents[f"{folder}/images/000003.png"] = picture(3, side=64)
    elif change == "no labels":
        del contents[f"{folder}/{file}"]
    elif change == "no picture":
        contents[f"{folder}/images/000003.png"] = b"GIF89a"
    else:
        array = io.BytesIO()
        rows = labels(name)
        np.save(array, {"twice": rows[[0, *range(COUNT - 1)]], "few": rows[:-1]}[change])
        contents[f"{folder}/{file}"] = array.getvalue()
    return contents


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("a missing picture", "has no Isaac3D_down128/images/000003.png"),
        ("a small picture", "64 x 64 pixels, but the published pictures have 128 x 128"),
        ("no labels", "has no Isaac3D_down128/labels.npy"),
        ("no picture", "cannot be read"),
        ("twice", "a combination of factors twice"),
        ("few", "labels of shape .11, 9."),
    ],
)
def test_another_archive_is_refused(change: str, message: str, data_folder: Path) -> None:
    write(data_folder, "isaac3d", broken("isaac3d", change))
    with pytest.raises(DataError, match=message) as refusal:
        load_dataset("isaac3d")
    assert "\n" not in str(refusal.value)


def test_an_archive_cut_off_is_refused(data_folder: Path) -> None:
    path = write(data_folder, "falcor3d", members("falcor3d"))
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(DataError, match="cannot be read"):
        load_dataset("falcor3d")
