"""What the hostile files are made from: small sound files of every kind."""

import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from dvae_core.config import RunConfig
from dvae_core.data import load_dataset
from dvae_core.evaluation.protocol import evaluate
from dvae_core.evaluation.results import EvaluationSettings
from dvae_core.exchange.onnx_import import import_model
from dvae_core.runs.names import name_latent
from dvae_core.runs.run import Run
from dvae_core.training.trainer import train

_TINY: dict[str, Any] = {
    **{"dataset": "circles", "image_size": 32, "num_latents": 2, "num_categories": 5},
    **{"steps": 12, "batch_size": 8, "threads": 1, "device": "cpu", "log_every": 4},
}


def make_runs(folder: Path) -> None:
    """Runs of both families and an imported one, with all files that a run can have."""
    os.environ["DVAE_DATA"] = str(folder / "data")
    families: dict[str, dict[str, Any]] = {
        "categorical": {"objective": "tc"},
        "gaussian": {"latents": "gaussian", "noise_steps": 10},
    }
    for name, settings in families.items():
        config = RunConfig(**_TINY, **settings, snapshot_every=6)
        run = Run.create(folder / name, config, (1, 32, 32))
        train(run)
        run.write_notes("A name", "Notes")
        name_latent(run, 1, "height", note="of the disc")
        dataset = load_dataset("circles", 32)
        metrics = ("mutual_information", "latent_information", "mig", "kl")
        found = evaluate(run, dataset, "paper", metrics, EvaluationSettings(points=200))
        run.write_evaluation(found.model_dump(mode="json"))
    network = folder / "decoder.onnx"
    network.write_bytes(decoder().SerializeToString())
    import_model(folder / "imported", network, latents="gaussian", dataset="circles")
    network.unlink()


def decoder() -> onnx.ModelProto:
    """Codes of three latents to grey images of 32x32."""
    weight = np.random.default_rng(1).normal(0, 0.1, (3, 1024)).astype(np.float32)
    nodes = [
        helper.make_node("Unsqueeze", ["codes", "axis"], ["row"]),
        helper.make_node("Expand", ["row", "copies"], ["rows"]),
        helper.make_node("ReduceMean", ["rows", "axis"], ["mean"], keepdims=0),
        helper.make_node("MatMul", ["mean", "weight"], ["flat"]),
        helper.make_node("Sigmoid", ["flat"], ["image"]),
        helper.make_node("Reshape", ["image", "shape"], ["images"]),
    ]
    numbers = {"axis": [1], "copies": [1, 2, 1], "shape": [-1, 1, 32, 32]}
    weights = [numpy_helper.from_array(weight, "weight")]
    weights += [numpy_helper.from_array(np.array(row), name) for name, row in numbers.items()]
    graph = helper.make_graph(
        nodes,
        "decoder",
        [helper.make_tensor_value_info("codes", TensorProto.FLOAT, ("batch", 3))],
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ("batch", 1, 32, 32))],
        weights,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def sweep() -> dict[str, object]:
    """The content of a sweep file."""
    return {
        "preset": "quick",
        "seeds": 3,
        "fixed": {"steps": 20, "dataset": "circles", "cardinalities": "dataset"},
        "grid": {"learning_rate": [1e-3, 1e-4], "num_categories": [64, 128]},
        "cases": [{"objective": "factor", "gamma": [10, 20]}, {"objective": "elbo"}],
        "evaluation": {"protocols": ["paper"], "metrics": ["mig", "kl"], "points": 100},
    }


def data_files() -> dict[str, bytes]:
    """Files of images by name."""
    images = np.arange(10 * 32 * 32, dtype=np.uint8).reshape(10, 32, 32)
    factors = np.indices((2, 5)).reshape(2, -1).T
    files = {}
    for name, save in (("plain.npz", np.savez), ("packed.npz", np.savez_compressed)):
        file = io.BytesIO()
        save(file, images=images, factors=factors, factor_names=np.array(["across", "down"]))
        files[name] = file.getvalue()
    for kind in ("png", "jpeg", "gif", "tiff", "webp", "bmp"):
        file = io.BytesIO()
        Image.fromarray(np.stack((images[0],) * 3, axis=-1)).save(file, kind)
        files[f"picture.{kind}"] = file.getvalue()
    return files
