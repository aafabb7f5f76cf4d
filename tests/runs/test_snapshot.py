from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from dvae_core.errors import RunError
from dvae_core.runs.snapshot import Snapshot, read_snapshot, write_snapshot

SHAPE = (3, 4, 5)  # (C, H, W)


def floats(values: object) -> NDArray[np.float32]:
    return np.array(values, dtype=np.float32)


@pytest.fixture
def snapshot() -> Snapshot:
    generator = np.random.default_rng(0)

    def pictures(count: int) -> np.ndarray:
        return generator.integers(0, 256, (count, 4, 5, 3), dtype=np.uint8)

    return Snapshot(
        step=200,
        images=pictures(2),
        reconstructions=pictures(2),
        latents=(2, 0),
        values=(floats([-1, 0, 1]), floats([-1, 1])),  # latents of unlike grids
        traversals=(pictures(3), pictures(2)),
        kl=floats([0.5, 0.0, 1.5]),
        information=floats([[0.1, 0.2], [0, 0], [0.9, 0.3]]),
        factor_entropy=floats([1.0, 2.0]),
        factor_names=("x", "größe"),
    )


def read(path: Path) -> Snapshot:
    return read_snapshot(path, 200, 3, SHAPE)


def assert_same(first: Snapshot, second: Snapshot) -> None:
    for name, value in vars(first).items():
        np.testing.assert_equal(vars(second)[name], value)


def test_a_snapshot_comes_back_as_it_was_written(tmp_path: Path, snapshot: Snapshot) -> None:
    write_snapshot(tmp_path / "s", snapshot)
    assert_same(read(tmp_path / "s"), snapshot)


def test_a_data_set_without_factors_has_no_columns(tmp_path: Path, snapshot: Snapshot) -> None:
    bare = replace(
        snapshot,
        information=np.zeros((3, 0), np.float32),
        factor_entropy=np.zeros(0, np.float32),
        factor_names=(),
    )
    write_snapshot(tmp_path / "s", bare)
    assert_same(read(tmp_path / "s"), bare)


def test_equal_snapshots_are_equal_files(tmp_path: Path, snapshot: Snapshot) -> None:
    write_snapshot(tmp_path / "a", snapshot)
    write_snapshot(tmp_path / "b", replace(snapshot))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("images", np.zeros((2, 4, 5, 1), np.uint8), r"images is uint8 \(2, 4, 5, 1\)"),
        ("reconstructions", np.zeros((1, 4, 5, 3), np.uint8), r"reconstructions is uint8 \(1, "),
        ("traversal/1", np.zeros((3, 4, 5, 3), np.uint8), "traversal/1 is"),
        ("kl", np.zeros(4, np.float32), r"kl is float32 \(4,\), not float32 \(3,\)"),
        ("kl", np.zeros(3, np.float64), "kl has type F64"),
        ("kl", floats([0, np.nan, 0]), "kl holds numbers that are not finite"),
        ("information", np.zeros((3, 1), np.float32), "information is"),
        ("latents", np.array([0, 3]), r"latents are \[0, 3\], but the run has 3"),
        ("latents", np.array([0, -1]), "latents are"),
        ("latents", np.array([0, 1, 2]), "values/2"),
        ("images", np.zeros((), np.uint8), "damaged or of another run"),
        ("images", None, "images"),
    ],
)
def test_a_file_that_does_not_fit_the_run_is_refused(
    tmp_path: Path, snapshot: Snapshot, name: str, array: np.ndarray | None, message: str
) -> None:
    path = tmp_path / "s"
    write_snapshot(path, snapshot)
    arrays = load_file(path) | {name: array}
    plain = {key: value for key, value in arrays.items() if value is not None}
    save_file(plain, path, {"factor_names": '["x", "y"]'})
    with pytest.raises(RunError, match=message) as caught:
        read(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("names", [None, "", "{", "[1, 2]", '"xy"', '["x"]', "[" * 100_000])
def test_factor_names_that_are_none_are_refused(
    tmp_path: Path, snapshot: Snapshot, names: str | None
) -> None:
    path = tmp_path / "s"
    write_snapshot(path, snapshot)
    save_file(load_file(path), path, None if names is None else {"factor_names": names})
    with pytest.raises(RunError, match="damaged or of another run"):
        read(path)


@pytest.mark.parametrize("content", [b"", b"x" * 100, b"\xff" * 8 + b"{}"])
def test_a_file_of_another_kind_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "s").write_bytes(content)
    with pytest.raises(RunError, match="damaged or of another run"):
        read(tmp_path / "s")


def test_a_truncated_file_is_refused(tmp_path: Path, snapshot: Snapshot) -> None:
    path = tmp_path / "s"
    write_snapshot(path, snapshot)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(RunError, match="damaged or of another run"):
        read(path)


def test_a_file_too_large_to_be_one_is_not_opened(tmp_path: Path) -> None:
    with open(tmp_path / "s", "wb") as file:
        file.truncate(2**40)
    with pytest.raises(RunError, match="more than 16 MB"):
        read(tmp_path / "s")


def test_a_missing_snapshot_is_said(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="is missing"):
        read(tmp_path / "s")
