"""A run out of a model that was trained elsewhere."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from dvae_core.data import load_dataset
from dvae_core.data.limits import printable
from dvae_core.errors import ModelError
from dvae_core.exchange.category_values import CategoryValues, one_row_a_latent
from dvae_core.models.latents import CategoricalLatents
from dvae_core.models.vae import VAE
from dvae_core.onnx.check import CheckedFile, CheckedModel, check_model
from dvae_core.onnx.description import ImportedModel, OnnxFile, OnnxLayout
from dvae_core.onnx.opening import build_imported
from dvae_core.run import Run, RunRecord, check_run_id

_SAMPLE = 64  # images of the data set that an import looks at


@dataclass(frozen=True)
class Imported:
    """What an import made.

    Attributes:
        run: the new run.
        notes: what a person should know, a sentence each.
    """

    run: Run
    notes: tuple[str, ...]


def import_model(
    run_dir: Path | str,
    decoder: Path | str,
    encoder: Path | str | None = None,
    *,
    latents: Literal["categorical", "gaussian"],
    dataset: str,
    layout: OnnxLayout | None = None,
    num_categories: int | None = None,
    category_values: CategoryValues = (),
) -> Imported:
    """Make a finished run of a model that was trained elsewhere.

    Args:
        run_dir: folder to make; its name is the run's.
        decoder: ONNX file, codes (B, N) to images (B, C, H, W).
        encoder: ONNX file, images (B, C, H, W) to means and log variances, or to logits. None: the
            model can be slid from its prior, but not measured.
        latents: the family. Gaussian ones are measured against a standard normal prior, categorical
            ones against a uniform one.
        dataset: what it was trained on; its images are scaled to the model's size.
        layout: how the numbers of the files are to be read; the usual way when left out.
        num_categories: K; needed for a categorical decoder alone.
        category_values: the scalar of each category that the decoder reads, ascending, one row a
            latent, or one row for all; linspace(-1, 1, K) when left out.

    Raises:
        ModelError: the files are no such model, or do not fit the data set.
        ConfigError: the category values are no grid.
        DataError: the data set is unknown or not there.
        RunError: the folder exists, or its name cannot be a run's.
    """
    run_dir = Path(run_dir)
    check_run_id(run_dir.resolve().name)
    layout = layout or OnnxLayout()
    decoder, encoder = Path(decoder), Path(encoder) if encoder is not None else None
    bounds = (-1.0, 1.0)
    if category_values:
        if latents == "gaussian":
            raise ModelError("category values were given, but Gaussian latents have no categories")
        family = CategoricalLatents.at_values(category_values)
        bounds, num_categories = family.code_range, family.num_categories
    checked = check_model(encoder, decoder, latents, layout, num_categories, bounds)
    values = one_row_a_latent(category_values, checked.num_latents)
    imported = ImportedModel(
        **layout.model_dump(),
        encoder=_description(encoder, checked.encoder) if encoder is not None else None,
        decoder=_description(decoder, checked.decoder),
        category_values=values,
    )
    record = RunRecord(
        dataset=dataset,
        image_size=checked.image_shape[1],
        image_shape=checked.image_shape,
        **_latent_settings(latents, checked, num_categories, values),
        imported=imported,
    )
    images = _sample_images(dataset, checked)
    notes = [*checked.notes, *_remarks(build_imported(checked, record, imported), images)]
    encoder_content = checked.encoder.content if checked.encoder is not None else None
    run = Run.create_imported(run_dir, record, encoder_content, checked.decoder.content)
    return Imported(run, tuple(notes))


def _latent_settings(
    latents: str,
    checked: CheckedModel,
    num_categories: int | None,
    values: tuple[tuple[float, ...], ...],
) -> dict[str, Any]:
    settings: dict[str, Any] = {"latents": latents, "num_latents": checked.num_latents}
    if latents == "gaussian":
        return settings
    num_categories = checked.num_categories or num_categories
    if num_categories is None:
        raise ModelError(
            "a decoder alone does not say how many categories a latent has: give num_categories"
        )
    counts = tuple(len(row) for row in values)
    if min(counts, default=num_categories) < num_categories:
        settings["cardinalities"] = counts
    return settings | {"num_categories": num_categories}


def _description(path: Path, file: CheckedFile | None) -> OnnxFile:
    assert file is not None
    return OnnxFile(
        name=printable(path.name, 200),
        sha256=file.sha256,
        opset=file.opset,
        one_at_a_time=file.one_at_a_time,
    )


def _sample_images(name: str, checked: CheckedModel) -> Tensor:
    dataset = load_dataset(name, checked.image_shape[1])
    if dataset.image_shape != checked.image_shape:
        kinds = {1: "grey", 3: "RGB"}
        raise ModelError(
            f"the model has {kinds[checked.image_shape[0]]} images, but those of {name} are "
            f"{kinds[dataset.image_shape[0]]}: choose another data set, or convert inside of the "
            f"exported networks (docs/models.md)"
        )
    return dataset.sample_images(_SAMPLE, torch.Generator(dataset.device).manual_seed(0))


@torch.inference_mode()
def _remarks(model: VAE, images: Tensor) -> Iterator[str]:
    if model.encoder is None:
        yield "without an encoder the model is slid from its prior, and not measured"
        return
    decoded = model.decode_images(model.encode(images).mean_code())
    error = (decoded - images).square().mean()
    if error > 0.9 * (images.mean(0) - images).square().mean():
        yield (
            "the model gives images of this data set back hardly better than their mean image "
            "would: look at the ranges of its images and the order of the encoder's outputs, "
            "unless it was trained on other images"
        )
