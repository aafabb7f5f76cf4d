import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from dvae_core.analysis import code_files as module
from dvae_core.analysis.code_files import code_file, export_codes, posterior_source
from dvae_core.analysis.encoded import encode_set, read_encoded_set
from dvae_core.analysis.image_table import image_table
from dvae_core.config import FAMILIES, FamilyName, RunConfig
from dvae_core.data import load_dataset
from dvae_core.errors import ConfigError, EvaluationError
from dvae_core.models.latents import CategoricalLatents, CategoricalPosterior
from dvae_core.runs.run import Run
from tests.selection.planted import changed

DATASET = load_dataset("circles", 32)


@pytest.fixture(autouse=True)
def data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVAE_DATA", str(tmp_path / "data"))


@torch.inference_mode()
def probabilities(run: Run, numbers: np.ndarray) -> np.ndarray:
    """What the encoder gives for the images of these numbers."""
    images = DATASET.images_at(torch.from_numpy(numbers))
    posterior = run.load_model().encode(images)
    assert isinstance(posterior, CategoricalPosterior)
    return posterior.probabilities().numpy()


def test_the_arrays_are_what_the_encoder_gives(tiny_run: Run, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    path = tmp_path / "codes.npz"
    export_codes(tiny_run, path, 150, progress=lambda *far: told.append(far))
    with np.load(path) as file:
        arrays = dict(file)
    assert arrays["posteriors"].shape == (150, 2, 5)
    expected = probabilities(tiny_run, arrays["numbers"])
    np.testing.assert_allclose(arrays["posteriors"], expected, rtol=1e-4, atol=1e-6)
    again = (arrays["posteriors"] * arrays["category_values"]).sum(-1)
    np.testing.assert_allclose(again, arrays["codes"], atol=1e-5)
    np.testing.assert_array_equal(arrays["posteriors"].argmax(-1), arrays["categories"])
    np.testing.assert_array_equal(
        arrays["factors"], DATASET.factors_at(torch.from_numpy(arrays["numbers"]))
    )
    assert told[0] == (0, 300)
    assert told[-1] == (300, 300)
    assert told == sorted(told)
    about = str(arrays["README"])
    for name in arrays.keys() - {"README"}:
        assert f"\n{name} " in about
    assert "150 of 1,024 images of the data set circles" in about
    assert "the run tiny" in about


def test_the_file_is_an_encoded_set_too(tiny_run: Run, tmp_path: Path) -> None:
    encoded = export_codes(tiny_run, tmp_path / "codes.npz", 100)
    read = read_encoded_set(tmp_path / "codes.npz", encoded.origin)
    for name, column in image_table(encoded).items():
        np.testing.assert_array_equal(image_table(read)[name], column)


@pytest.mark.parametrize("latents", [name for name in FAMILIES if FAMILIES[name].has_categories])
def test_the_codes_of_each_family_with_categories_are_its_posteriors_times_its_values(
    latents: FamilyName,
    tiny_config: RunConfig,
    trained_once: Callable[[RunConfig], Path],
    tmp_path: Path,
) -> None:
    run = Run(trained_once(changed(tiny_config, latents=latents)))
    export_codes(run, tmp_path / "codes.npz", 100)
    with np.load(tmp_path / "codes.npz") as file:
        expected = (file["posteriors"] * file["category_values"]).sum(-1)
        np.testing.assert_allclose(file["codes"], expected, atol=1e-5)
        np.testing.assert_array_equal(file["posteriors"].argmax(-1), file["categories"])
        latents_of_run = run.load_model().latents
        assert isinstance(latents_of_run, CategoricalLatents)
        values = latents_of_run.category_values.detach()
        np.testing.assert_allclose(file["category_values"], values, atol=1e-6)
    export_codes(run, tmp_path / "codes.csv", 100)
    with (tmp_path / "codes.csv").open() as file:
        assert "posterior 1.4" in next(csv.reader(file))


def test_a_gaussian_posterior_is_its_mean_and_deviation(
    tiny_config: RunConfig, trained_once: Callable[[RunConfig], Path], tmp_path: Path
) -> None:
    run = Run(trained_once(tiny_config.model_copy(update={"latents": "gaussian"})))
    export_codes(run, tmp_path / "codes.npz", 100)
    with np.load(tmp_path / "codes.npz") as file:
        assert "posteriors" not in file
        images = DATASET.images_at(torch.from_numpy(file["numbers"]))
        with torch.inference_mode():
            posterior = run.load_model().encode(images)
        np.testing.assert_allclose(file["codes"], posterior.mean_code(), atol=1e-5)
        np.testing.assert_allclose(file["deviations"], posterior.code_variance().sqrt(), rtol=1e-4)
        assert "scale in deviations" in str(file["README"])


def test_a_csv_has_a_column_for_each_category(
    tiny_config: RunConfig, trained_once: Callable[[RunConfig], Path], tmp_path: Path
) -> None:
    run = Run(trained_once(tiny_config.model_copy(update={"cardinalities": (3, 5)})))
    export_codes(run, tmp_path / "codes.csv", 150)
    with (tmp_path / "codes.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 150
    names = [name for name in rows[0] if name.startswith("posterior")]
    assert names == [f"posterior {i}.{k}" for i, count in enumerate((3, 5)) for k in range(count)]
    numbers = np.array([int(row["number"]) for row in rows])
    found = np.array([[float(row[name]) for name in names] for row in rows])
    expected = probabilities(run, numbers)
    expected = np.concatenate([expected[:, 0, :3], expected[:, 1, :5]], axis=1)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
    export_codes(run, tmp_path / "short.csv", 150, posteriors=False)
    assert "posterior" not in (tmp_path / "short.csv").read_text()


def test_a_slice_has_the_posteriors_of_its_rows(tiny_run: Run, tmp_path: Path) -> None:
    model = tiny_run.load_model()
    encoded = encode_set(model, DATASET, 200)
    source = posterior_source(model, DATASET, encoded)
    rows = np.array([3, 130, 199])
    (tmp_path / "slice.npz").write_bytes(code_file(".npz", encoded, rows, source))
    with np.load(tmp_path / "slice.npz") as file:
        np.testing.assert_array_equal(file["numbers"], encoded.numbers[rows])
        expected = probabilities(tiny_run, encoded.numbers[rows])
        np.testing.assert_allclose(file["posteriors"], expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "count", "kind", "message"),
    [
        ("codes.json", 10, ConfigError, "must end in .csv, .npz"),
        ("none/codes.npz", 10, ConfigError, "there is no folder"),
        ("codes.npz", 0, EvaluationError, "count is 0"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_written(
    tiny_run: Run, tmp_path: Path, name: str, count: int, kind: type[Exception], message: str
) -> None:
    before = sorted(tmp_path.iterdir())
    with pytest.raises(kind, match=message):
        export_codes(tiny_run, tmp_path / name, count)
    assert sorted(tmp_path.iterdir()) == before


def test_an_export_that_fails_leaves_the_old_file(
    tiny_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "codes.npz"
    path.write_bytes(b"old")

    def fail(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(module.PosteriorSource, "parts", fail)
    with pytest.raises(KeyboardInterrupt):
        export_codes(tiny_run, path, 10)
    assert path.read_bytes() == b"old"
    assert not list(tmp_path.glob("*.part"))
