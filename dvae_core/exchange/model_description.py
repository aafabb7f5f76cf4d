"""model.json of an export: what a program has to know to use the ONNX files."""

from pathlib import Path

from pydantic import ConfigDict, Field, ValidationError

from dvae_core.config import FamilyName, explain
from dvae_core.errors import ConfigError, ModelError, printable
from dvae_core.models.latents import CategoricalLatents
from dvae_core.models.vae import VAE
from dvae_core.onnx.description import OnnxLayout
from dvae_core.runs.names import Line, latent_names
from dvae_core.runs.run import Run

MAX_BYTES = 4 * 2**20


class ModelDescription(OnnxLayout):
    """The content of model.json."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    run: str = Field(max_length=200)
    dataset: str = Field(max_length=200)
    image_shape: tuple[int, int, int]
    latents: FamilyName
    num_latents: int
    has_encoder: bool
    category_values: tuple[tuple[float, ...], ...] | None = Field(
        None, description="ascending values of each latent; None without categories"
    )
    latent_names: tuple[Line, ...] | None = Field(
        None, description='names that people gave to the latents, "" for no name; None without any'
    )


def describe_model(run: Run, model: VAE, layout: OnnxLayout) -> ModelDescription:
    """The description of a run's model whose ONNX files have this layout.

    Raises:
        RunError: the file with the names of the latents is damaged.
    """
    given = latent_names(run)
    names = tuple(given.name(latent) for latent in range(model.latents.num_latents))
    latents, values = model.latents, None
    if isinstance(latents, CategoricalLatents):
        rows = zip(latents.category_values, latents.category_counts, strict=True)
        values = tuple(tuple(row[:count].tolist()) for row, count in rows)
    return ModelDescription(
        run=run.id,
        dataset=run.record.dataset,
        image_shape=model.image_shape,
        latents=run.record.latents,
        num_latents=latents.num_latents,
        has_encoder=model.encoder is not None,
        category_values=values,
        latent_names=names if any(names) else None,
        **layout.model_dump(),
    )


def read_description(path: Path) -> ModelDescription:
    """The description in a file; errors as in `parse_description`."""
    try:
        with open(path, "rb") as file:
            return parse_description(path.name, file.read(MAX_BYTES + 1))
    except OSError as error:
        raise ModelError(f"{printable(path, 200)} cannot be read: {error.strerror}") from None


def parse_description(name: str, content: bytes) -> ModelDescription:
    """The description in a model.json.

    Args:
        name: of the file, for messages.
        content: of the file.

    Raises:
        ModelError: it is not a model.json of an export.
    """
    shown = printable(Path(name).name)
    if len(content) > MAX_BYTES:
        raise ModelError(f"{shown} has more than {MAX_BYTES // 2**20} MB: give a smaller file")
    try:
        return ModelDescription.model_validate_json(content)
    except (ValidationError, ConfigError) as error:
        reason = explain(error) if isinstance(error, ValidationError) else error
        raise ModelError(f"{shown} is not the model.json of an export: {reason}") from None
