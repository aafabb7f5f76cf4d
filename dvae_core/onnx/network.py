"""ONNX files as the encoder and decoder of a VAE."""

from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from dvae_core.config import FAMILIES, ModelConfig
from dvae_core.errors import ModelError
from dvae_core.models.latents import CategoricalLatents, Latents, build_latents, imported_latents
from dvae_core.models.vae import VAE
from dvae_core.onnx.check import READING_FIELDS, CheckedFile, CheckedModel, check_model
from dvae_core.onnx.description import ImportedModel, OnnxLayout
from dvae_core.onnx.reading import (
    Reading,
    decoder_input,
    encoder_input,
    image_logits,
    latent_parameters,
)
from dvae_core.onnx.session import Floats, Session

Part = Literal["encoder", "decoder"]


class _OnnxNetwork(nn.Module):
    """Its only buffer is the SHA-256 of the file, which distinguishes two networks."""

    def __init__(self, part: Part, file: CheckedFile, layout: OnnxLayout) -> None:
        super().__init__()
        self.register_buffer("sha256", torch.tensor(list(bytes.fromhex(file.sha256))))
        self._part = part
        self._reading = Reading(**layout.model_dump(include=READING_FIELDS))
        self._session = Session(file.runnable, file.one_at_a_time, layout.fixed)

    def _run(self, batch: Floats) -> list[Floats]:
        try:
            return self._session.run(batch)
        except ModelError as error:
            raise ModelError(f"the imported {self._part} failed: {error}") from None


class OnnxEncoder(_OnnxNetwork):
    """Images (B, C, H, W) in [0, 1] to the parameters of the latents (B, head_size)."""

    def __init__(self, file: CheckedFile, layout: OnnxLayout, has_categories: bool) -> None:
        super().__init__("encoder", file, layout)
        self._has_categories = has_categories

    def forward(self, images: Tensor) -> Tensor:
        outputs = self._run(encoder_input(_as_array(images), self._reading))
        parameters = latent_parameters(outputs, self._reading, self._has_categories)
        return torch.from_numpy(parameters).to(images.device)


class OnnxDecoder(_OnnxNetwork):
    """Codes (B, N) to image logits (B, C, H, W)."""

    def __init__(self, file: CheckedFile, layout: OnnxLayout, latents: Latents) -> None:
        super().__init__("decoder", file, layout)
        self._counts = latents.category_counts
        self._values = None
        if isinstance(latents, CategoricalLatents):
            self._values = _as_array(latents.category_values)

    def forward(self, codes: Tensor) -> Tensor:
        batch = decoder_input(_as_array(codes), self._reading, self._values, self._counts)
        (output,) = self._run(batch)
        return torch.from_numpy(image_logits(output, self._reading)).to(codes.device)


def _as_array(batch: Tensor) -> Floats:
    return batch.detach().cpu().contiguous().numpy()


def open_model(
    folder: Path, config: ModelConfig, image_shape: tuple[int, int, int], imported: ImportedModel
) -> VAE:
    """Check the files of an imported run again and open its model in eval mode.

    Args:
        folder: folder of decoder.onnx and, if the run has an encoder, encoder.onnx.
        config: the latents of the run.
        image_shape: (C, H, W).
        imported: the files and their layout.

    Raises:
        ModelError: the files are not the imported ones.
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
            f"{folder}: the ONNX files are not those that were imported: import them again"
        )
    return build_imported(checked, config, imported)


def build_imported(checked: CheckedModel, config: ModelConfig, imported: ImportedModel) -> VAE:
    """The VAE of checked files in eval mode; arguments as in `open_model`."""
    latents = _latents(config, imported)
    encoder = None
    if checked.encoder is not None:
        encoder = OnnxEncoder(checked.encoder, imported, latents.num_categories is not None)
    decoder = OnnxDecoder(checked.decoder, imported, latents)
    return VAE(checked.image_shape, encoder, latents, decoder).eval()


def _latents(config: ModelConfig, imported: ImportedModel) -> Latents:
    choices = FAMILIES[config.latents].categories
    if choices is None:
        return build_latents(config)
    return imported_latents(
        choices,
        config.num_latents,
        config.num_categories,
        config.cardinalities,
        imported.category_values,
    )
