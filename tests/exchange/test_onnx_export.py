"""Runs exported as ONNX and imported again."""

import json
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from dvae_core.__main__ import main
from dvae_core.config import RunConfig
from dvae_core.data import load_dataset
from dvae_core.errors import ModelError
from dvae_core.exchange.model_description import describe_model
from dvae_core.exchange.onnx_export import _readme, export_model
from dvae_core.models.vae import VAE
from dvae_core.onnx.description import OnnxLayout
from dvae_core.runs.catalog import SHIPPED_ROOT
from dvae_core.runs.names import latent_names, name_latent
from dvae_core.runs.run import Run
from dvae_core.training.trainer import train


@pytest.fixture(autouse=True)
def own_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVAE_RUNS", str(tmp_path / "runs"))


def import_again(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> Run:
    """Follow the command that the README of an export gives."""
    monkeypatch.chdir(folder)
    (line,) = (
        line for line in Path("README.md").read_text().splitlines() if "import-model" in line
    )
    arguments = shlex.split(line)[3:]
    assert main(arguments) == 0
    return Run(folder.parent / "runs" / f"{name}-again")


@torch.inference_mode()
def assert_equal(first: VAE, second: VAE, dataset: str) -> None:
    images = load_dataset(dataset, first.image_shape[1]).sample_images(
        70, torch.Generator().manual_seed(0)
    )
    before: Any = first.encode(images)
    after: Any = second.encode(images)
    assert type(before) is type(after)
    torch.testing.assert_close(after.mean_code(), before.mean_code(), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(after.kl(), before.kl(), rtol=1e-3, atol=1e-4)
    codes = before.mean_code()
    torch.testing.assert_close(
        second.decode_images(codes), first.decode_images(codes), rtol=1e-4, atol=1e-5
    )
    assert codes.std(0).max() > 0.01  # else nothing was compared


def test_a_family_of_learnt_values_and_points_comes_back_equal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_config: RunConfig
) -> None:
    latents = "quantized"
    # Enough steps for the images to get different codes.
    settings = {"latents": latents, "num_categories": 32, "steps": 200}
    config = tiny_config.model_copy(update=settings)
    run = Run.create(tmp_path / "learnt", config, (1, 32, 32))
    train(run)
    export_model(run, tmp_path / "out")
    again = import_again(tmp_path / "out", monkeypatch, "learnt")
    assert again.record.latents == latents
    model = again.load_model()
    torch.testing.assert_close(
        model.latents.traversal_values(0), run.load_model().latents.traversal_values(0)
    )
    assert_equal(run.load_model(), model, "circles")


QUICK = ("circles-gaussian", "digits-categorical", "rooms-categorical-cardinalities")


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(path.name, marks=() if path.name in QUICK else pytest.mark.slow)
        for path in sorted(SHIPPED_ROOT.iterdir())
    ],
)
def test_a_shipped_run_comes_back_equal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    run = Run(SHIPPED_ROOT / name)
    folder = tmp_path / "out"
    assert main(["export-model", str(run.path), "--output", str(folder)]) == 0
    again = import_again(folder, monkeypatch, name)
    assert_equal(run.load_model(), again.load_model(), run.record.dataset)


def test_known_cardinalities_and_names_come_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_config: RunConfig
) -> None:
    config = tiny_config.model_copy(update={"cardinalities": (3,)})
    run = Run.create(tmp_path / "tiny", config, (1, 32, 32))
    train(run)
    name_latent(run, 1, "height")
    again = import_again(export_model(run, tmp_path / "out"), monkeypatch, "tiny")
    assert [entry.texts for entry in latent_names(again).entries] == [("height", "")]
    assert again.record.category_counts == run.record.category_counts == (3, 5)
    assert_equal(run.load_model(), again.load_model(), "circles")
    # An imported run goes out as it came in.
    out = export_model(again, tmp_path / "second")
    for part in ("encoder.onnx", "decoder.onnx"):
        assert (out / part).read_bytes() == (tmp_path / "out" / part).read_bytes()


def test_the_files_serve_without_this_project(tmp_path: Path) -> None:
    run = Run(SHIPPED_ROOT / "circles-gaussian")
    folder = export_model(run, tmp_path / "out")
    description = json.loads((folder / "model.json").read_text())
    assert description["num_latents"] == run.record.num_latents
    assert sorted(path.name for path in folder.iterdir()) == [
        "README.md",
        "decoder.onnx",
        "encoder.onnx",
        "model.json",
    ]
    for part in ("encoder", "decoder"):
        model = onnx.load(folder / f"{part}.onnx")
        onnx.checker.check_model(model, full_check=True)
        assert {node.domain for node in model.graph.node} == {""}
    session = onnxruntime.InferenceSession(folder / "decoder.onnx")
    codes = np.random.default_rng(0).normal(size=(5, 2)).astype(np.float32)
    (logits,) = session.run(None, {session.get_inputs()[0].name: codes})
    expected = run.load_model().decode(torch.from_numpy(codes))
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-4)


def test_what_is_there_already_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(ModelError, match="already exists"):
        export_model(Run(SHIPPED_ROOT / "circles-gaussian"), tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())


def test_names_of_strangers_are_quoted_in_the_command() -> None:
    run = Run(SHIPPED_ROOT / "circles-gaussian")
    described = describe_model(run, run.load_model(), OnnxLayout(decoder_output="logits"))
    spoilt = described.model_copy(update={"run": "a b", "dataset": "x; touch y $(id)"})
    (line,) = (line for line in _readme(spoilt).splitlines() if "import-model" in line)
    arguments = shlex.split(line)
    assert arguments[arguments.index("--dataset") + 1] == spoilt.dataset
    assert arguments[arguments.index("--name") + 1] == "a b-again"
