"""Exporting the model of a run as ONNX files."""

import logging
import shlex
import sys
from contextlib import redirect_stdout
from itertools import accumulate
from pathlib import Path

from dvae_core.errors import ModelError, printable
from dvae_core.exchange.model_description import ModelDescription, describe_model
from dvae_core.onnx.description import OnnxLayout
from dvae_core.runs.run import Run
from dvae_core.system.files import new_folder, write_atomically
from dvae_core.system.sandbox import Answer, SandboxError, SandboxProcess

_MEMORY_BYTES = 16 * 2**30  # of address space, of which torch uses a tenth
_SECONDS = 300  # an export takes about 10


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
        ModelError: the files of an imported model have changed, or the export failed.
        RunError: the run has no model, or is damaged.
    """
    record = run.record
    model = run.load_model()
    if record.imported is not None:
        layout = OnnxLayout(**record.imported.model_dump(include=set(OnnxLayout.model_fields)))
        files = {path.name: path.read_bytes() for path in run.model_files()}
    else:
        layout = OnnxLayout(decoder_output="logits")
        files = _networks_of(run)
    description = describe_model(run, model, layout)
    texts = {
        "model.json": description.model_dump_json(indent=1, exclude_none=True) + "\n",
        "README.md": _readme(description),
    }
    return files | {name: text.encode() for name, text in texts.items()}


def _networks_of(run: Run) -> dict[str, bytes]:
    """The ONNX files by name, from a process of its own: torch's exporter warns and logs, and
    silencing it would silence the threads of a server too."""
    operation = f"{export_run.__module__}:{export_run.__name__}"
    with SandboxProcess(_MEMORY_BYTES) as child:
        try:
            sizes, data = child.ask(operation, {"folder": str(run.path.resolve())}, _SECONDS)
        except SandboxError as error:
            raise ModelError(f"{run.path} was not exported: {error}") from None
    ends = list(accumulate(sizes.values()))
    starts = [0, *ends[:-1]]
    return {name: data[a:b] for name, a, b in zip(sizes, starts, ends, strict=True)}


def export_run(folder: str) -> Answer:
    """The sizes of the ONNX files of a run by name, and the files; for `SandboxProcess.ask`."""
    from dvae_core.onnx.export import export_networks  # the exporter is slow to import

    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with redirect_stdout(sys.stderr):  # the output belongs to the answer
        files = export_networks(Run(folder).load_model())
    return {name: len(content) for name, content in files.items()}, b"".join(files.values())


_EXAMPLE = """
In Python, with onnxruntime and numpy:

    import numpy, onnxruntime
    decoder = onnxruntime.InferenceSession("decoder.onnx")
    codes = numpy.zeros((1, {n}), numpy.float32)
    (images,) = decoder.run(None, {{decoder.get_inputs()[0].name: codes}})
"""


def _readme(description: ModelDescription) -> str:
    n, (c, h, w) = description.num_latents, description.image_shape
    takes = {"image": "in 0 to 1", "signed": "in -1 to 1", "bytes": "in 0 to 255"}
    gives = {
        "image": "images in 0 to 1",
        "signed": "images in -1 to 1",
        "bytes": "images in 0 to 255",
        "logits": "image logits (their sigmoid is the image)",
    }[description.decoder_output]
    if description.category_values:
        kinds = description.categories_as or "logits"
        says = f"category {kinds} (model.json lists the category values)"
    else:
        kind = (description.variance_as or "log_variance").replace("_", " ")
        says = f"the means and {kind}s of the posterior"
    reads_codes = description.codes_as in (None, "values")
    codes = f"codes (batch, {n})" if reads_codes else f"one-hot rows of {n} latents"
    flags = {
        "encoder": "encoder.onnx" if description.has_encoder else None,
        "decoder": "decoder.onnx",
        "latents": description.latents,
        "category-values": "model.json" if description.category_values else None,
        "latent-names": "model.json" if description.latent_names else None,
        **_layout_flags(description),
    }
    encoder = (
        f"- `encoder.onnx`: images {_shape(description.encoder_channels, c, h, w)} "
        f"{takes[description.encoder_input]}, to {says}\n"
    )
    if not description.has_encoder:
        encoder = ""
    given = [f"--{flag} {value}" for flag, value in flags.items() if value]
    for flag, text in (("name", f"{description.run}-again"), ("dataset", description.dataset)):
        given.append(f"--{flag} {shlex.quote(text)}")  # written by strangers
    command = " ".join(given)
    for text in description.fix:
        command += f" --fix {shlex.quote(text)}"
    if description.interleaved:
        command += " --interleaved"
    example = ""
    if reads_codes and not description.fix:
        example = _EXAMPLE.format(n=n)
    return f"""# {printable(description.run, None)}

A variational autoencoder with {n} {description.latents} latents, trained on
{printable(description.dataset, None)}. All arrays are float32; the batch size is free.

{encoder}- `decoder.onnx`: {codes} to {gives}, {_shape(description.decoder_channels, c, h, w)}
- `model.json`: the same description for programs
{example}
To import the model into dVAE Explorer again, run in this folder:

    python -m dvae_core import-model {command}
"""


def _layout_flags(layout: OnnxLayout) -> dict[str, str]:
    """The flags of import-model that state the layout, besides `interleaved` and `fix`."""
    defaults = OnnxLayout()
    flags = {}
    for name in OnnxLayout.model_fields:
        value = getattr(layout, name)
        if isinstance(value, str) and value != getattr(defaults, name):
            flags[name.replace("_", "-")] = value
    if layout.encoder_outputs:
        flags["encoder-outputs"] = " ".join(map(str, layout.encoder_outputs))
    return flags


def _shape(channels: str | None, c: int, h: int, w: int) -> str:
    return f"(batch, {h}, {w}, {c})" if channels == "last" else f"(batch, {c}, {h}, {w})"
