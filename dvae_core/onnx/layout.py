"""From what ONNX files give to what a VAE's networks say, and back."""

import numpy as np
from numpy.typing import NDArray

from dvae_core.onnx.session import Floats

# Pixels nearer than that to black or white are taken for it: their logits would be infinite.
CLOSEST = 1e-6


def encoder_input(images: Floats, kind: str) -> Floats:
    """Images (B, C, H, W) in [0, 1] as an encoder takes them: `image` or `signed`."""
    return 2.0 * images - 1.0 if kind == "signed" else images


def latent_parameters(outputs: list[Floats], interleaved: bool) -> Floats:
    """Parameters of the latents (B, head size), in the order of `Latents.posterior`.

    Args:
        outputs: means and log variances, (B, N) each; or both in one, (B, 2 N); or logits, (B, N,
            K) or (B, N * K).
        interleaved: means and log variances in one take turns.
    """
    if len(outputs) == 2:
        return np.concatenate(outputs, axis=1)
    flat = outputs[0].reshape(len(outputs[0]), -1)
    if interleaved:
        pairs = flat.reshape(len(flat), -1, 2)  # (B, 2 N) -> (B, N, 2)
        return np.concatenate([pairs[..., 0], pairs[..., 1]], axis=1)
    return flat


def image_logits(output: Floats, kind: str) -> Floats:
    """Image logits (B, C, H, W) of what a decoder gives: `image`, `signed` or `logits`."""
    if kind == "logits":
        return output
    image: NDArray[np.float32] = (output + 1.0) / 2.0 if kind == "signed" else output
    clear = np.clip(image, CLOSEST, 1.0 - CLOSEST)
    return np.log(clear / (1.0 - clear))
