"""Commands that carry models across: import-model, export-model."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import tyro

from dvae_core.commands.output import print_json
from dvae_core.onnx.description import DecoderOutput, ImageRange, OnnxLayout


def import_model(
    name: str,
    decoder: Path,
    latents: Literal["categorical", "gaussian"],
    dataset: str,
    encoder: Path | None = None,
    encoder_input: ImageRange = "image",
    decoder_output: DecoderOutput = "image",
    interleaved: bool = False,
    num_categories: int | None = None,
    category_values: Path | None = None,
    json: bool = False,
) -> Callable[[], int]:
    """Make a run of a model that was trained elsewhere, from ONNX files (docs/models.md).

    Args:
        name: of the new run, among your own.
        decoder: ONNX file, codes (batch, N) to images (batch, C, H, W).
        latents: family of the latents.
        dataset: what it was trained on.
        encoder: ONNX file, images to means and log variances, or to logits of categories;
            without it the model is slid from its prior only.
        encoder_input: range of the images it takes: image is 0 to 1, signed -1 to 1.
        decoder_output: what it gives: image is 0 to 1, signed -1 to 1 (tanh), or logits.
        interleaved: its one output holds mean, log variance, mean, log variance, ….
        num_categories: K, where the encoder does not say it.
        category_values: JSON file with the scalar of each category, where it is not an even
            grid from -1 to 1.
        json: print one JSON object as the last line.
    """
    layout = OnnxLayout(
        interleaved=interleaved, encoder_input=encoder_input, decoder_output=decoder_output
    )
    options = {
        "latents": latents,
        "dataset": dataset,
        "layout": layout,
        "num_categories": num_categories,
    }
    return lambda: _import_onnx(name, decoder, encoder, category_values, options, json)


def export_model(
    run: tyro.conf.Positional[Path], output: Path, json: bool = False
) -> Callable[[], int]:
    """Write the model of a run as ONNX files, to serve elsewhere.

    Args:
        run: the run's folder.
        output: folder to make.
        json: print one JSON object as the last line.
    """
    return lambda: _export_onnx(run, output, json)


MODEL_COMMANDS: dict[str, Callable[..., Callable[[], int]]] = {
    "import-model": import_model,
    "export-model": export_model,
}


def _import_onnx(
    name: str,
    decoder: Path,
    encoder: Path | None,
    category_values: Path | None,
    options: dict[str, Any],
    json: bool,
) -> int:
    """Import a model under a name, and say what should be known of it."""
    from dvae_core.exchange.onnx_import import import_model, read_category_values
    from dvae_core.runs.catalog import own_folder

    values = read_category_values(category_values) if category_values is not None else ()
    imported = import_model(own_folder(name), decoder, encoder, category_values=values, **options)
    record = imported.run.record
    for note in imported.notes:
        print(f"note: {note}")
    shape = "x".join(map(str, record.image_shape))
    print(
        f"{imported.run.path}: {record.num_latents} {record.latents} latents, images of {shape}, "
        f"{record.origin}"
    )
    print_json({"run": str(imported.run.path), "notes": imported.notes}, json)
    return 0


def _export_onnx(run_dir: Path, output: Path, json: bool) -> int:
    """Write the model of a run as ONNX files."""
    from dvae_core.exchange.onnx_export import export_model
    from dvae_core.runs.run import Run

    folder = export_model(Run(run_dir), output)
    files = sorted(path.name for path in folder.iterdir())
    print(f"{folder}: {', '.join(files)}")
    print_json({"output": str(folder), "files": files}, json)
    return 0
