import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from dvae_core.data import DATASET_NAMES, ORIGINAL_NAMES, dataset_names, dataset_states
from dvae_core.data.imported.dataset import import_images
from dvae_core.data.imported.options import ImportOptions
from dvae_core.data.listing import ORIGINALS, dataset_info
from dvae_core.data.originals.mpi3d import Mpi3DToy


def test_every_original_set_is_listed_under_its_name() -> None:
    assert tuple(ORIGINALS) == ORIGINAL_NAMES


def test_every_set_is_described(data_folder: Path) -> None:
    states = dataset_states()
    assert tuple(info.name for info in states) == dataset_names()
    for info in states:
        assert len(info.factor_names) == len(info.factor_sizes)
        if info.name in DATASET_NAMES:
            assert info.state == "ready"
        else:
            assert info.state == "file missing"
            assert f"dvae_core download {ORIGINALS[info.name].files.family}" in info.detail


# Counts of images as the sets' authors publish them.
@pytest.mark.parametrize(
    ("name", "images"),
    [
        ("digits", 1_797),
        ("dsprites", 737_280),
        ("smallnorb", 48_600),
        ("cars3d", 17_568),
        ("shapes3d", 480_000),
        ("mpi3d_toy", 1_036_800),
        ("mpi3d_real", 1_036_800),
        ("mpi3d_real_complex", 460_800),
        ("isaac3d", 737_280),
        ("falcor3d", 233_280),
    ],
)
def test_sets_have_as_many_images_as_published(name: str, images: int, data_folder: Path) -> None:
    assert dataset_info(name).num_images == images


def test_a_file_put_there_makes_a_set_ready(data_folder: Path) -> None:
    (data_folder / "3dshapes.h5").touch()
    info = dataset_info("shapes3d")
    assert (info.state, info.detail) == ("ready", str(data_folder / "3dshapes.h5"))


def test_the_first_release_of_mpi3d_is_described_by_its_file(data_folder: Path) -> None:
    (data_folder / Mpi3DToy.first_release_file).touch()
    assert dataset_info("mpi3d_toy").num_images == 460_800


def test_an_imported_set_is_described(data_folder: Path, tmp_path: Path) -> None:
    source = tmp_path / "source.npz"
    np.savez(
        source,
        images=np.eye(8)[None].repeat(6, 0),
        factors=[0, 1, 2, 0, 1, 2],
        factor_names=["turn"],
    )
    path = import_images(source, "mine", ImportOptions(32))
    info = dataset_info("mine")
    assert (info.origin, info.state, info.detail) == ("imported", "ready", str(path))
    assert (info.factor_names, info.factor_sizes, info.num_images) == (("turn",), (3,), 6)
    assert info.image_shape == (1, 32, 32)


def test_a_damaged_set_is_told_apart(data_folder: Path) -> None:
    (data_folder / "imported").mkdir()
    (data_folder / "imported" / "mine.npz").write_bytes(b"PK nothing")
    info = dataset_info("mine")
    assert info.state == "damaged"
    assert "import it again" in info.detail


def test_other_files_among_the_imported_are_left_out(data_folder: Path) -> None:
    (data_folder / "imported").mkdir()
    for name in ("Not allowed.npz", "circles.npz", "mine.npz.part"):
        (data_folder / "imported" / name).touch()
    assert dataset_names() == DATASET_NAMES + ORIGINAL_NAMES


def test_importing_the_package_loads_no_heavy_library() -> None:
    heavy = {"torch", "h5py", "scipy", "sklearn", "PIL"}
    script = f"import sys, dvae_core.data; print(sorted({heavy} & sys.modules.keys()))"
    output = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    assert output.stdout.decode().strip() == "[]"
