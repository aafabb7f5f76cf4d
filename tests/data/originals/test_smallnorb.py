import gzip
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from dvae_core.data import load_dataset
from dvae_core.data.originals.smallnorb import SmallNorb
from dvae_core.errors import DataError

SIZES = (2, 2, 3, 2)
PARTS = {
    "smallnorb-5x46789x9x18x6x2x96x96-training": (1, 3),
    "smallnorb-5x01235x9x18x6x2x96x96-testing": (0, 2),
}
MAGIC = {"uint8": 0x1E3D4C55, "int32": 0x1E3D4C54}


def matrix(array: NDArray) -> bytes:
    shape = (*array.shape, 1, 1)[: max(3, array.ndim)]
    header = np.array((MAGIC[array.dtype.name], array.ndim, *shape), "<i4")
    return header.tobytes() + array.tobytes()


def part(instances: tuple[int, ...], seed: int) -> dict[str, NDArray]:
    """The three matrices of one part, in an order that is not that of the factors."""
    source = np.random.default_rng(seed)
    table = np.stack(np.meshgrid(*map(range, SIZES), instances, indexing="ij"), -1).reshape(-1, 5)
    category, elevation, azimuth, lighting, instance = source.permutation(table).T
    # Smooth images, since shrinking noise leaves nothing to compare.
    images = np.ones((len(table), 2, 96, 96)) * source.integers(0, 256, (len(table), 2, 1, 1))
    return {
        "dat": images.astype(np.uint8),
        "cat": category.astype("<i4"),
        "info": np.stack((instance, elevation, 2 * azimuth, lighting), 1).astype("<i4"),
    }


TRAINING, TESTING = (part(instances, i) for i, instances in enumerate(PARTS.values()))


def write(folder: Path, packed: bool = True, **replaced: NDArray) -> None:
    for name, matrices in zip(PARTS, (TRAINING, TESTING), strict=True):
        for kind, array in {**matrices, **replaced}.items():
            content = matrix(array)
            if packed:
                (folder / f"{name}-{kind}.mat.gz").write_bytes(gzip.compress(content))
            else:
                (folder / f"{name}-{kind}.mat").write_bytes(content)


@pytest.fixture(autouse=True)
def _small_grid(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SmallNorb, "factor_sizes", SIZES)
    monkeypatch.setattr(SmallNorb, "instances", 4)


@pytest.mark.parametrize("packed", [True, False])
def test_images_of_all_instances_are_found_by_their_factors(
    packed: bool, data_folder: Path
) -> None:
    write(data_folder, packed)
    dataset = load_dataset("smallnorb")
    assert len(dataset) == 24
    wanted = torch.tensor([1, 0, 2, 1])
    images = dataset.images(wanted.repeat(200, 1), torch.Generator().manual_seed(0))
    expected = set()
    for matrices in (TRAINING, TESTING):
        info = matrices["info"]
        matches = (matrices["cat"] == 1) & (info[:, 1:] == (0, 4, 1)).all(1)
        expected |= set(matrices["dat"][matches, 0, 0, 0].tolist())
    assert set((images[:, 0, 30, 30] * 255).round().long().tolist()) == expected


def test_images_shrink_with_the_filter_of_disentanglement_lib(data_folder: Path) -> None:
    drawing = np.zeros((96, 96), np.uint8)
    drawing[20:70, 30:40] = 200
    images = np.tile(drawing, (len(TRAINING["dat"]), 2, 1, 1))
    write(data_folder, dat=images)
    image = load_dataset("smallnorb").sample_images(1, torch.Generator())[0, 0]
    expected = Image.fromarray(drawing).resize((64, 64), Image.Resampling.LANCZOS)
    np.testing.assert_allclose(image * 255, np.asarray(expected), atol=1e-4)


def test_a_missing_file_of_the_six_is_told(data_folder: Path) -> None:
    write(data_folder)
    (data_folder / "smallnorb-5x01235x9x18x6x2x96x96-testing-info.mat.gz").unlink()
    with pytest.raises(DataError, match="testing-info"):
        load_dataset("smallnorb")


def test_a_file_cut_off_is_refused_and_leaves_no_cache(data_folder: Path) -> None:
    write(data_folder)
    path = data_folder / "smallnorb-5x01235x9x18x6x2x96x96-testing-dat.mat.gz"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match="truncated"):
        load_dataset("smallnorb")
    assert list((data_folder / "cache").iterdir()) == []


@pytest.mark.parametrize(
    ("replaced", "message"),
    [
        ({"cat": TRAINING["info"]}, "but int32 of shape"),
        ({"dat": TRAINING["dat"][:, :1]}, "but uint8 of shape"),
        ({"info": TRAINING["info"] + 100}, "published combinations"),
        ({"info": TRAINING["info"]}, "published combinations"),
    ],
)
def test_other_matrices_are_refused(
    replaced: dict[str, NDArray], message: str, data_folder: Path
) -> None:
    write(data_folder, True, **replaced)
    with pytest.raises(DataError, match=message):
        load_dataset("smallnorb")


def test_a_file_of_another_kind_is_refused(data_folder: Path) -> None:
    write(data_folder)
    path = data_folder / "smallnorb-5x46789x9x18x6x2x96x96-training-cat.mat.gz"
    path.write_bytes(gzip.compress(b"MATLAB 5.0 MAT-file"))
    with pytest.raises(DataError, match="the NORB format"):
        load_dataset("smallnorb")
