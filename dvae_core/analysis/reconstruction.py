"""Encode and reconstruct a single image."""

import io
import warnings
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from dvae_core.errors import DataError
from dvae_core.models.latents import Posterior
from dvae_core.models.vae import VAE, reconstruction_loss

MAX_UPLOAD_PIXELS = 50_000_000


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


def read_image(data: bytes, image_shape: tuple[int, int, int]) -> tuple[Tensor, str]:
    """Read a PNG or JPEG file and fit it to a model.

    Args:
        data: content of the file.
        image_shape: (C, H, W) of the model.

    Returns:
        float32 (C, H, W) in [0, 1], and a note on what was changed, or "".

    Raises:
        DataError: the data are not such an image, or have too many pixels.
    """
    channels, height, width = image_shape
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # Pillow warns of decompression bombs
            with Image.open(io.BytesIO(data), formats=("PNG", "JPEG")) as file:
                if file.width * file.height > MAX_UPLOAD_PIXELS:
                    raise DataError(
                        f"the image has {file.width}x{file.height} pixels, but at most "
                        f"{MAX_UPLOAD_PIXELS // 10**6} million are allowed: make it smaller"
                    )
                found = f"{file.width}x{file.height} {file.mode}"
                upright = ImageOps.exif_transpose(file)
                converted = upright.convert("L" if channels == 1 else "RGB")
    except DataError:
        raise
    except UnidentifiedImageError:
        raise DataError("the file is not a PNG or JPEG image: choose one of these") from None
    except Exception as error:  # Pillow's readers raise many kinds on damaged files
        raise DataError(f"the image is damaged ({str(error)[:80]}): choose another file") from None
    fitted = ImageOps.fit(converted, (width, height), Image.Resampling.LANCZOS)
    pixels = np.asarray(fitted, dtype=np.float32).reshape(height, width, channels) / 255
    wanted = f"{width}x{height} {'L' if channels == 1 else 'RGB'}"
    note = "" if found == wanted else f"{found} became {wanted}, cut to a square in the middle"
    return torch.from_numpy(pixels).movedim(-1, 0).contiguous(), note
