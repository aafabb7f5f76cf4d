"""Converting between the tensors of imported networks and those of a VAE here.

The child process that checks a file imports this module, so it imports neither torch nor pydantic.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dvae_core.onnx.session import Floats

# Pixels are kept this far from 0 and 1, where their logits would be infinite.
CLOSEST = 1e-6
# Probabilities and variances below these are raised to them before the logarithm.
LEAST_PROBABILITY = 1e-8
LEAST_VARIANCE = 1e-30


@dataclass(frozen=True)
class Reading:
    """How to read the tensors; see `OnnxLayout`. Where it is None, the trial finds it out."""

    interleaved: bool = False
    encoder_input: str = "image"
    decoder_output: str = "image"
    encoder_outputs: Sequence[int] | None = None
    variance_as: str | None = None
    categories_as: str | None = None
    codes_as: str | None = None
    encoder_channels: str | None = None
    decoder_channels: str | None = None


def encoder_input(images: Floats, reading: Reading) -> Floats:
    """Images (B, C, H, W) in [0, 1] as the encoder reads them, perhaps (B, H, W, C)."""
    batch = images
    if reading.encoder_input == "signed":
        batch = 2.0 * images - 1.0
    elif reading.encoder_input == "bytes":
        batch = 255.0 * images
    if reading.encoder_channels == "last":
        batch = np.ascontiguousarray(np.moveaxis(batch, 1, -1))  # (B, C, H, W) -> (B, H, W, C)
    return batch


def two_halves(outputs: Sequence[Floats], interleaved: bool) -> tuple[Floats, Floats]:
    """Means and the other parameter of Gaussian latents, (B, N) each.

    Args:
        outputs: both, (B, N) each; or both in one array, (B, 2 N).
        interleaved: whether the single array interleaves them.
    """
    if len(outputs) == 2:
        return outputs[0], outputs[1]
    flat = outputs[0].reshape(len(outputs[0]), -1)
    if interleaved:
        return flat[:, ::2], flat[:, 1::2]
    half = flat.shape[1] // 2
    return flat[:, :half], flat[:, half:]


def log_variances(values: Floats, variance_as: str | None) -> Floats:
    """Log variances (B, N) of values (B, N) that are what `variance_as` says."""
    if variance_as == "log_std":
        return 2.0 * values
    if variance_as == "variance":
        return np.log(np.maximum(values, LEAST_VARIANCE))
    if variance_as == "std":
        return 2.0 * np.log(np.maximum(values, LEAST_VARIANCE**0.5))
    return values


def latent_parameters(outputs: Sequence[Floats], reading: Reading, has_categories: bool) -> Floats:
    """Parameters of the latents (B, head size), in the order of `Latents.posterior`.

    Args:
        outputs: means and log variances as in `two_halves`; or logits, (B, N, K) or (B, N * K).
        reading: how to read them.
        has_categories: whether they are logits.
    """
    if has_categories:
        logits = outputs[0]
        if reading.categories_as == "probabilities":
            logits = np.log(np.maximum(logits, LEAST_PROBABILITY))
        return logits.reshape(len(logits), -1)
    means, others = two_halves(outputs, reading.interleaved)
    return np.concatenate([means, log_variances(others, reading.variance_as)], axis=1)


def one_hot_rows(codes: Floats, values: Floats, counts: Sequence[int]) -> Floats:
    """Rows (B, N, K) of probabilities whose expectation is the code.

    A code at a category value becomes the one-hot row of this category. Between two category
    values, it becomes a mixture of these two. Codes beyond the values become the first or last.

    Args:
        codes: (B, N).
        values: ascending values of the categories, (N, K).
        counts: number of categories K_j of each latent, (N,).
    """
    rows = np.zeros((*codes.shape, values.shape[1]), np.float32)
    batch = np.arange(len(codes))
    for latent, count in enumerate(counts):
        grid = values[latent, :count]
        code = codes[:, latent].clip(grid[0], grid[-1])
        upper = np.searchsorted(grid, code).clip(1, count - 1)
        share = (code - grid[upper - 1]) / (grid[upper] - grid[upper - 1])
        rows[batch, latent, upper - 1] = 1.0 - share
        rows[batch, latent, upper] = share
    return rows


def decoder_input(
    codes: Floats, reading: Reading, values: Floats | None, counts: Sequence[int]
) -> Floats:
    """Codes (B, N) as the decoder reads them: (B, N), (B, N, K) or (B, N * K).

    Args:
        codes: (B, N).
        reading: how the decoder reads them.
        values: of the categories, (N, K); None for Gaussian latents.
        counts: number of categories of each latent, (N,).
    """
    if values is None or reading.codes_as not in ("one_hot", "flat_one_hot"):
        return codes
    rows = one_hot_rows(codes, values, counts)
    return rows.reshape(len(rows), -1) if reading.codes_as == "flat_one_hot" else rows


def channels_first(images: Floats, channels: str | None) -> Floats:
    """Images (B, C, H, W) of images that have their channels `first` or `last`."""
    return np.moveaxis(images, -1, 1) if channels == "last" else images


def image_logits(output: Floats, reading: Reading) -> Floats:
    """Image logits (B, C, H, W) of a decoder output, perhaps (B, H, W, C)."""
    images = np.ascontiguousarray(channels_first(output, reading.decoder_channels))
    if reading.decoder_output == "logits":
        return images
    if reading.decoder_output == "signed":
        images = (images + 1.0) / 2.0
    elif reading.decoder_output == "bytes":
        images = images / 255.0
    clear: NDArray[np.float32] = np.clip(images, CLOSEST, 1.0 - CLOSEST)
    return np.log(clear / (1.0 - clear))
