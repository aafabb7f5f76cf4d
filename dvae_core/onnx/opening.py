"""A VAE out of checked ONNX files."""

from pathlib import Path

from dvae_core.config import ModelConfig
from dvae_core.errors import ModelError
from dvae_core.models.latents import CategoricalLatents, Latents
from dvae_core.models.vae import VAE, build_latents
from dvae_core.onnx.check import CheckedModel, check_model
from dvae_core.onnx.description import ImportedModel
from dvae_core.onnx.network import OnnxDecoder, OnnxEncoder


def open_model(
    folder: Path, config: ModelConfig, image_shape: tuple[int, int, int], imported: ImportedModel
) -> VAE:
    """The model of an imported run, in eval mode; its files are checked anew.

    Args:
        folder: with decoder.onnx and, where the run has one, encoder.onnx.
        config: what the run says of the latents.
        image_shape: (C, H, W) that it says.
        imported: what else it says.

    Raises:
        ModelError: the files are not what was imported.
    """
    latents = _latents(config, imported)
    checked = check_model(
        folder / "encoder.onnx" if imported.encoder is not None else None,
        folder / "decoder.onnx",
        config.latents,
        imported,
        latents.num_categories,
        latents.code_range,
    )
    recorded = [file and file.sha256 for file in (imported.encoder, imported.decoder)]
    found = [file and file.sha256 for file in (checked.encoder, checked.decoder)]
    shapes = (checked.num_latents, checked.image_shape)
    if found != recorded or shapes != (config.num_latents, image_shape):
        raise ModelError(
            f"{folder}: the ONNX files are not those that were imported: import them anew"
        )
    return build_imported(checked, config, imported)


def build_imported(checked: CheckedModel, config: ModelConfig, imported: ImportedModel) -> VAE:
    """The VAE of checked files, in eval mode; arguments as of `open_model`."""
    encoder = None
    if checked.encoder is not None:
        encoder = OnnxEncoder(checked.encoder, imported.encoder_input, imported.interleaved)
    decoder = OnnxDecoder(checked.decoder, imported.decoder_output)
    return VAE(checked.image_shape, encoder, _latents(config, imported), decoder).eval()


def _latents(config: ModelConfig, imported: ImportedModel) -> Latents:
    if imported.category_values:
        return CategoricalLatents.at_values(imported.category_values)
    return build_latents(config)
