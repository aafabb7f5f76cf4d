"""Exporting the model of a run as ONNX files."""

from pathlib import Path

from dvae_core.errors import ModelError
from dvae_core.exchange.model_description import ModelDescription, describe_model
from dvae_core.onnx.description import OnnxLayout
from dvae_core.runs.run import Run
from dvae_core.system.files import new_folder, write_atomically


def export_model(run: Run, output: Path | str) -> Path:
    """Write the ONNX files of a run's model to a new folder.

    Args:
        run: a run with a model.
        output: folder to create for the result of `exported_files`.

    Returns:
        The folder.

    Raises:
        ModelError: `output` already exists, or the files of an imported model have changed.
        RunError: the run has no model, or is damaged.
    """
    output = Path(output)
    taken = ModelError(f"{output} already exists: choose another folder")
    if output.exists():  # before the slow export
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
    """The files of an export by name: encoder.onnx and decoder.onnx, model.json, which describes
    their inputs and outputs, and README.md, which explains their use.

    Raises:
        ModelError: the files of an imported model have changed.
        RunError: the run has no model, or is damaged.
    """
    record = run.record
    model = run.load_model()
    if record.imported is not None:
        layout = OnnxLayout(**record.imported.model_dump(include=set(OnnxLayout.model_fields)))
        files = {path.name: path.read_bytes() for path in run.model_files()}
    else:
        from dvae_core.onnx.export import export_networks  # the exporter is slow to import

        layout = OnnxLayout(decoder_output="logits")
        files = export_networks(model)
    description = describe_model(run, model, layout)
    texts = {
        "model.json": description.model_dump_json(indent=1, exclude_none=True) + "\n",
        "README.md": _readme(description),
    }
    return files | {name: text.encode() for name, text in texts.items()}


def _readme(description: ModelDescription) -> str:
    n, (c, h, w) = description.num_latents, description.image_shape
    takes = {"image": "in 0 to 1", "signed": "in -1 to 1"}[description.encoder_input]
    gives = {
        "image": "images in 0 to 1",
        "signed": "images in -1 to 1",
        "logits": "image logits (their sigmoid is the image)",
    }[description.decoder_output]
    says = (
        "category logits (model.json lists the category values)"
        if description.category_values
        else "the means and log variances of the posterior"
    )
    flags = {
        "encoder": "encoder.onnx" if description.has_encoder else None,
        "decoder": "decoder.onnx",
        "latents": description.latents,
        "dataset": description.dataset,
        "encoder-input": description.encoder_input,
        "decoder-output": description.decoder_output,
        "category-values": "model.json" if description.category_values else None,
    }
    encoder = f"- `encoder.onnx`: images (batch, {c}, {h}, {w}) {takes}, to {says}\n"
    if not description.has_encoder:
        encoder = ""
    command = " ".join(f"--{flag} {value}" for flag, value in flags.items() if value)
    if description.interleaved:
        command += " --interleaved"
    return f"""# {description.run}

A variational autoencoder with {n} {description.latents} latents, trained on
{description.dataset}. All arrays are float32; the batch size is free.

{encoder}- `decoder.onnx`: codes (batch, {n}) to {gives}, (batch, {c}, {h}, {w})
- `model.json`: the same description for programs

In Python, with onnxruntime and numpy:

    import numpy, onnxruntime
    decoder = onnxruntime.InferenceSession("decoder.onnx")
    codes = numpy.zeros((1, {n}), numpy.float32)
    (images,) = decoder.run(None, {{decoder.get_inputs()[0].name: codes}})

To import the model into dVAE Explorer again, run in this folder:

    python -m dvae_core import-model --name {description.run}-again {command}
"""
