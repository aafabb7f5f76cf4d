"""Importing a model from ONNX files as a run."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dvae_core.config import FAMILIES, FamilyName, ImageSize
from dvae_core.data import load_dataset
from dvae_core.errors import ModelError, printable
from dvae_core.models.latents import CategoricalLatents, GaussianPosterior, Posterior
from dvae_core.models.vae import VAE
from dvae_core.onnx.check import CheckedFile, CheckedModel, check_model
from dvae_core.onnx.description import ImportedModel, OnnxFile, OnnxLayout
from dvae_core.onnx.network import build_imported
from dvae_core.runs.names import checked_names, name_latents
from dvae_core.runs.run import Run, RunRecord, check_run_id

CategoryValues = Sequence[Sequence[float]]
_MAX_BYTES = 4 * 2**20
_LARGEST = 1e6  # category value


def read_category_values(path: Path) -> CategoryValues:
    """Read category values from a JSON file: a list of numbers, a list of such lists (one per
    latent), or an object with either under `category_values`, such as model.json of an export.

    Raises:
        ModelError: the file is missing or holds something else.
    """
    shown = printable(path, 200)
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise ModelError(f"{shown} has more than {_MAX_BYTES // 2**20} MB: give a smaller file")
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise ModelError(f"{shown} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise ModelError(
            f"{shown} is not JSON: give one list of numbers, or one per latent"
        ) from None
    if isinstance(content, dict):
        content = content.get("category_values")
    rows: Any = content
    if not (isinstance(content, list) and content and isinstance(content[0], list)):
        rows = [content]
    if not all(isinstance(row, list) and row and all(map(_is_value, row)) for row in rows):
        raise ModelError(f"{shown} holds other data: give a list of numbers, or one per latent")
    checked: CategoryValues = rows
    return checked


def one_row_a_latent(values: CategoryValues, num_latents: int) -> tuple[tuple[float, ...], ...]:
    """One row of values per latent; a single row is repeated for all latents, () stays ().

    Raises:
        ModelError: the number of rows differs from the number of latents.
    """
    rows = tuple(tuple(float(value) for value in row) for row in values)
    if len(rows) == 1:
        rows *= num_latents
    if rows and len(rows) != num_latents:
        raise ModelError(
            f"category values are given for {len(rows)} latents, but the decoder takes "
            f"{num_latents}: give one row per latent, or one for all"
        )
    return rows


def _is_value(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= _LARGEST


_SAMPLE = 256  # images of the data set that an import tries


@dataclass(frozen=True)
class Imported:
    """The result of an import.

    Attributes:
        run: the new run.
        notes: remarks for the user, one sentence each.
    """

    run: Run
    notes: tuple[str, ...]


def import_model(
    run_dir: Path | str,
    decoder: Path | str,
    encoder: Path | str | None = None,
    *,
    latents: FamilyName,
    dataset: str,
    layout: OnnxLayout | None = None,
    num_categories: int | None = None,
    category_values: CategoryValues = (),
    latent_names: Sequence[str] = (),
) -> Imported:
    """Import a model that was trained in other software as a finished run.

    Args:
        run_dir: folder to create; its name becomes the name of the run.
        decoder: ONNX file, codes (B, N) to images (B, C, H, W).
        encoder: ONNX file, images (B, C, H, W) to means and log variances, or to logits. Without
            it, the model can be traversed from samples of the prior, but not evaluated.
        latents: latent family. The prior is standard normal for Gaussian latents and uniform for
            categorical ones.
        dataset: data set of the training; its images are scaled to the size of the model.
        layout: how to read the tensors, as far as it is known; the default is `OnnxLayout()`.
        num_categories: K; required for a categorical decoder without encoder.
        category_values: ascending value of each category, one row per latent or one for all;
            the default is linspace(-1, 1, K).
        latent_names: a name for each latent, "" for none; () for no names.

    Raises:
        ModelError: the files are not such a model, or do not fit the data set.
        ConfigError: the category values do not form a grid, or a name is too long or has control
            characters.
        DataError: the data set is unknown or missing.
        RunError: the folder exists, or its name is not allowed.
    """
    run_dir = Path(run_dir)
    check_run_id(run_dir.resolve().name)
    layout = layout or OnnxLayout()
    decoder, encoder = Path(decoder), Path(encoder) if encoder is not None else None
    bounds = (-1.0, 1.0)
    if category_values:
        if not FAMILIES[latents].has_categories:
            raise ModelError(
                f"category values are given, but {FAMILIES[latents].label} latents have no "
                f"categories: leave them out"
            )
        family = CategoricalLatents.at_values(category_values)
        bounds, num_categories = family.code_range, family.num_categories
    checked = check_model(encoder, decoder, latents, layout, num_categories, bounds)
    values = one_row_a_latent(category_values, checked.num_latents)
    imported = ImportedModel(
        **checked.layout.model_dump(),
        encoder=_description(encoder, checked.encoder) if encoder is not None else None,
        decoder=_description(decoder, checked.decoder),
        category_values=values,
    )
    record = RunRecord(
        dataset=dataset,
        image_size=_image_size(checked),
        image_shape=checked.image_shape,
        **_latent_settings(latents, checked, num_categories, values),
        imported=imported,
    )
    images = _sample_images(dataset, checked)
    notes = [*checked.notes, *_remarks(build_imported(checked, record, imported), images)]
    names = checked_names(latent_names)
    if names and len(names) != checked.num_latents:
        raise ModelError(
            f"{len(names)} names are given for {checked.num_latents} latents: give one for each "
            f"latent, or none"
        )
    encoder_content = checked.encoder.content if checked.encoder is not None else None
    with Run.create_imported(run_dir, record, encoder_content, checked.decoder.content) as draft:
        if any(names):
            name_latents(draft, {latent: name for latent, name in enumerate(names) if name})
    return Imported(Run(run_dir), tuple(notes))


def _latent_settings(
    latents: FamilyName,
    checked: CheckedModel,
    num_categories: int | None,
    values: tuple[tuple[float, ...], ...],
) -> dict[str, Any]:
    settings: dict[str, Any] = {"latents": latents, "num_latents": checked.num_latents}
    if not FAMILIES[latents].has_categories:
        return settings
    num_categories = checked.num_categories or num_categories
    if num_categories is None:
        raise ModelError(
            "a decoder without encoder does not show the number of categories: give it"
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


def _image_size(checked: CheckedModel) -> ImageSize:
    _, height, width = checked.image_shape
    return height if height == width else (height, width)


def _sample_images(name: str, checked: CheckedModel) -> Tensor:
    dataset = load_dataset(name, _image_size(checked))
    if dataset.image_shape != checked.image_shape:
        kinds = {1: "grey", 3: "RGB"}
        raise ModelError(
            f"the model has {kinds[checked.image_shape[0]]} images, but {name} has "
            f"{kinds[dataset.image_shape[0]]} images: choose another data set, or convert the "
            f"images inside the exported networks (docs/models.md)"
        )
    return dataset.sample_images(_SAMPLE, torch.Generator(dataset.device).manual_seed(0))


@torch.inference_mode()
def _remarks(model: VAE, images: Tensor) -> Iterator[str]:
    if model.encoder is None:
        yield "without an encoder, the model can be traversed from its prior, but not evaluated"
        return
    posterior = model.encode(images)
    decoded = model.decode_images(posterior.mean_code())
    yield from _variance_remarks(posterior)
    error = (decoded - images).square().mean()
    if error > 0.9 * (images.mean(0) - images).square().mean():
        yield (
            "the model reconstructs images of this data set hardly better than their mean image: "
            "check the ranges of its images and the order of the encoder outputs, unless it was "
            "trained on other images"
        )


def _variance_remarks(posterior: Posterior) -> Iterator[str]:
    """Whether log standard deviations would fit the means better than log variances.

    The KL of a latent is least, for a given ratio of mean to deviation, where the second moment of
    its codes over images is 1. Trained latents are therefore near 1 under the right reading.
    """
    if not isinstance(posterior, GaussianPosterior):
        return
    squares = posterior.mean.square().mean(0)  # (N,)
    informative = posterior.log_variance.mean(0) < -0.2
    if not informative.any():
        return
    off = [
        abs(
            float((squares + (power * posterior.log_variance).exp().mean(0))[informative].median())
            - 1
        )
        for power in (1, 2)
    ]
    if off[0] > 0.1 and off[1] < off[0] / 3:
        yield (
            "the second moments of the codes are nearer to 1, as in a trained model, if the "
            "encoder returns log standard deviations: if it does, import again with variance_as "
            "log_std"
        )
