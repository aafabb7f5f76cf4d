"""The model of a run as ONNX files that serve elsewhere."""

import json
from pathlib import Path
from typing import Any

from dvae_core.errors import ModelError
from dvae_core.models.latents import CategoricalLatents
from dvae_core.models.vae import VAE
from dvae_core.onnx.description import OnnxLayout
from dvae_core.runs.run import Run
from dvae_core.system.files import new_folder, write_atomically


def export_model(run: Run, output: Path | str) -> Path:
    """Write the model of a run as ONNX, to serve elsewhere or to be imported again.

    Args:
        run: any run with a model.
        output: folder to make, with what `exported_files` gives.

    Returns:
        The folder.

    Raises:
        ModelError: there is something at `output` already, or an imported model was changed.
        RunError: the run has no model, or a damaged one.
    """
    output = Path(output)
    taken = ModelError(f"{output} exists already: choose another folder")
    if output.exists():  # before the work of exporting
        raise taken
    files = exported_files(run)
    try:
        with new_folder(output) as folder:
            for name, content in files.items():
                write_atomically(folder / name, content)
    except FileExistsError:
        raise taken from None
    return output


def exported_files(run: Run) -> dict[str, bytes]:
    """The model of a run by file name: encoder.onnx and decoder.onnx, model.json, which says what
    goes in and comes out, and README.md, which says how to use them.

    Raises:
        ModelError: an imported model was changed.
        RunError: the run has no model, or a damaged one.
    """
    record = run.record
    model = run.load_model()
    if record.imported is not None:
        layout = OnnxLayout(**record.imported.model_dump(include=set(OnnxLayout.model_fields)))
        files = {path.name: path.read_bytes() for path in run.model_files()}
    else:
        from dvae_core.onnx.export import export_networks  # the exporter takes seconds to start

        layout = OnnxLayout(decoder_output="logits")
        files = export_networks(model)
    description = _describe(run, model, layout)
    texts = {
        "model.json": json.dumps(description, indent=1) + "\n",
        "README.md": _readme(description),
    }
    return files | {name: text.encode() for name, text in texts.items()}


def _describe(run: Run, model: VAE, layout: OnnxLayout) -> dict[str, Any]:
    record = run.record
    latents = model.latents
    description: dict[str, Any] = {
        "run": run.id,
        "dataset": record.dataset,
        "image_shape": list(model.image_shape),
        "latents": record.latents,
        "num_latents": latents.num_latents,
        "has_encoder": model.encoder is not None,
        **layout.model_dump(),
    }
    if isinstance(latents, CategoricalLatents):
        description["category_values"] = [
            row[:count].tolist()
            for row, count in zip(latents.values, latents.category_counts, strict=True)
        ]
    return description


def _readme(description: dict[str, Any]) -> str:
    n, (c, h, w) = description["num_latents"], description["image_shape"]
    takes = {"image": "in 0 to 1", "signed": "in -1 to 1"}[description["encoder_input"]]
    gives = {
        "image": "images in 0 to 1",
        "signed": "images in -1 to 1",
        "logits": "image logits, whose sigmoid is the image",
    }[description["decoder_output"]]
    says = (
        "the logits of its categories, whose values model.json lists"
        if "category_values" in description
        else "the posterior: its means and log variances"
    )
    flags = {
        "encoder": "encoder.onnx" if description["has_encoder"] else None,
        "decoder": "decoder.onnx",
        "latents": description["latents"],
        "dataset": description["dataset"],
        "encoder-input": description["encoder_input"],
        "decoder-output": description["decoder_output"],
        "category-values": "model.json" if "category_values" in description else None,
    }
    encoder = f"- `encoder.onnx`: images (batch, {c}, {h}, {w}) {takes}, to {says}\n"
    if not description["has_encoder"]:
        encoder = ""
    command = " ".join(f"--{flag} {value}" for flag, value in flags.items() if value)
    if description["interleaved"]:
        command += " --interleaved"
    return f"""# {description["run"]}

A variational autoencoder with {n} {description["latents"]} latents, trained on
{description["dataset"]}. All arrays are float32, and the batch is free.

{encoder}- `decoder.onnx`: codes (batch, {n}) to {gives}, (batch, {c}, {h}, {w})
- `model.json`: the same for programs

In Python, with onnxruntime and numpy:

    import numpy, onnxruntime
    decoder = onnxruntime.InferenceSession("decoder.onnx")
    codes = numpy.zeros((1, {n}), numpy.float32)
    (images,) = decoder.run(None, {{decoder.get_inputs()[0].name: codes}})

Back into the explorer, in this folder:

    python -m dvae_core import-model --name {description["run"]}-again {command}
"""
