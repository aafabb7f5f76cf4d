"""Encode and reconstruct a single image."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dvae_core.data.imported.options import ImportOptions
from dvae_core.data.imported.source import read_one
from dvae_core.data.imported.value_range import Depth
from dvae_core.data.untrusted.reader import Reader
from dvae_core.models.latents import Posterior
from dvae_core.models.vae import VAE, reconstruction_loss
from dvae_core.system.files import temporary_folder


@dataclass(frozen=True)
class Reconstruction:
    """The reconstruction of an image from a code.

    Attributes:
        image: decoded, (C, H, W) in [0, 1].
        difference: decoded minus original, (C, H, W) in [-1, 1].
        loss: Bernoulli cross entropy, nats.
    """

    image: Tensor
    difference: Tensor
    loss: float


@torch.inference_mode()
def encode_image(model: VAE, image: Tensor) -> Posterior:
    """Posterior of one image (C, H, W), as a batch of one."""
    return model.encode(image.unsqueeze(0))


@torch.inference_mode()
def reconstruct(model: VAE, image: Tensor, code: Tensor) -> Reconstruction:
    """Decode a code (N,) and compare the result with an image (C, H, W)."""
    logits = model.decode(code.unsqueeze(0))
    decoded = logits[0].sigmoid()
    loss = reconstruction_loss(logits, image.unsqueeze(0)).item()
    return Reconstruction(decoded, decoded - image, loss)


def read_image(
    data: bytes,
    image_shape: tuple[int, int, int],
    options: ImportOptions | None = None,
    ranges: Mapping[Depth, tuple[float, float]] | None = None,
) -> tuple[Tensor, str]:
    """Read a picture as an import of this picture alone would, in the form of a model's images.

    Args:
        data: content of a PNG, JPEG, BMP, TIFF, WebP or GIF file.
        image_shape: (C, H, W) of the model.
        options: fit, background and range, such as those of the data set of the model.
        ranges: black and white of pictures of each depth, as those of a data set; by default those
            of this picture.

    Returns:
        float32 (C, H, W) in [0, 1], and a note on what was changed, or "".

    Raises:
        DataError: the data are no such picture, or have too many pixels.
    """
    channels, height, width = image_shape
    with temporary_folder() as folder, Reader(top=folder) as reader:
        path = folder / "the picture"
        path.write_bytes(data)
        pixels, changes = read_one(reader, path, (height, width), channels, options, ranges)
    image = torch.from_numpy(pixels.astype(np.float32) / 255).movedim(-1, 0).contiguous()
    return image, "; ".join(changes)
