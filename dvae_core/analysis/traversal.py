"""From codes to images: one latent, all latents, two latents, from one code to another.

Everything here decodes; nothing is random. Images are float32 (.., C, H, W) in [0, 1]; `to_pixels`
makes them uint8 (.., H, W, C) for screens and files.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dvae_core.errors import ConfigError
from dvae_core.models.vae import VAE

DECODE_BATCH = 256


@torch.inference_mode()
def decode_codes(model: VAE, codes: Tensor) -> Tensor:
    """Images (.., C, H, W) of codes (.., N), in batches that bound the memory."""
    flat = codes.reshape(-1, codes.shape[-1])  # (.., N) -> (B, N)
    images = torch.cat([model.decode_images(batch) for batch in flat.split(DECODE_BATCH)])
    return images.reshape(*codes.shape[:-1], *images.shape[1:])


def traverse_latent(model: VAE, code: Tensor, latent: int, values: Tensor) -> Tensor:
    """Images (count, C, H, W) as one latent takes each of `values` (count,) and the others keep
    their value of `code` (N,).

    Raises:
        ConfigError: the model has no such latent.
    """
    check_latent(model, latent)
    codes = code.repeat(len(values), 1)
    codes[:, latent] = values
    return decode_codes(model, codes)


def traverse_all(model: VAE, code: Tensor, rows: Sequence[Tensor]) -> list[Tensor]:
    """Traversals of all latents at once: N times (P_j, C, H, W).

    Args:
        model: the VAE.
        code: start (N,), from which each row changes one latent.
        rows: values that each latent takes, N times (P_j,).
    """
    counts = [len(row) for row in rows]
    codes = code.repeat(sum(counts), 1)
    for latent, (part, row) in enumerate(zip(codes.split(counts), rows, strict=True)):
        part[:, latent] = row
    return list(decode_codes(model, codes).split(counts))


def traversal_rows(
    model: VAE, span: str | None = None, codes: Tensor | None = None, count: int | None = None
) -> list[Tensor]:
    """Values that a traversal of each latent visits, N times (P_j,): fewer where a latent has fewer
    categories. Arguments and errors as in `traversal_values` of the family."""
    latents = model.latents
    return [
        latents.traversal_values(latent, count, span, codes)
        for latent in range(latents.num_latents)
    ]


def traverse_pair(
    model: VAE, code: Tensor, latents: tuple[int, int], rows: Tensor, columns: Tensor
) -> Tensor:
    """Grid of images (rows, columns, C, H, W): the first latent changes down, the second across.

    Raises:
        ConfigError: the model has no such latent, or both are the same.
    """
    for latent in latents:
        check_latent(model, latent)
    if latents[0] == latents[1]:
        raise ConfigError(f"latent {latents[0]} was chosen twice: a grid needs two latents")
    codes = code.repeat(len(rows), len(columns), 1)  # (N,) -> (rows, columns, N)
    codes[:, :, latents[0]] = rows[:, None]
    codes[:, :, latents[1]] = columns
    return decode_codes(model, codes)


def interpolate(start: Tensor, end: Tensor, count: int) -> Tensor:
    """Codes (count, N) on the straight way from one code (N,) to another, both included."""
    shares = torch.linspace(0.0, 1.0, count, device=start.device).unsqueeze(1)
    return start + shares * (end - start)


def interpolate_by_latent(start: Tensor, end: Tensor, order: list[int]) -> Tensor:
    """Codes (len(order) + 1, N) from a start (N,) to an end (N,), one latent after the other put to
    its end."""
    codes = [start]
    for latent in order:
        code = codes[-1].clone()
        code[latent] = end[latent]
        codes.append(code)
    return torch.stack(codes)


def check_latent(model: VAE, latent: int) -> None:
    """Raise `ConfigError` unless the model has a latent of that index."""
    if not 0 <= latent < model.latents.num_latents:
        raise ConfigError(
            f"there is no latent {latent}: the model has {model.latents.num_latents}, numbered "
            f"from 0"
        )


def to_pixels(images: Tensor) -> np.ndarray:
    """uint8 (.., H, W, C) of float images (.., C, H, W) in [0, 1]."""
    pixels = (images * 255.0).round().clamp(0, 255).to(torch.uint8)
    return pixels.movedim(-3, -1).cpu().numpy()


def film_strip(images: Tensor, gap: int = 1) -> np.ndarray:
    """Images (count, C, H, W) side by side as uint8 (H, count * (W + gap) - gap, C), gaps white."""
    pixels = to_pixels(images)  # (count, H, W, C)
    padded = np.pad(pixels, ((0, 0), (0, 0), (0, gap), (0, 0)), constant_values=255)
    strip = np.concatenate(list(padded), axis=1)
    return strip[:, : strip.shape[1] - gap]


def category_distances(
    model: VAE, code: Tensor, latent: int, values: Tensor
) -> NDArray[np.float64]:
    """Distances between the images that a latent decodes to, (P, P): root mean square over pixels
    and channels, 0 alike, 1 black against white.

    Args:
        model: the VAE.
        code: (N,), what the other latents keep.
        latent: which one.
        values: that it takes, (P,), the categories of a categorical latent.

    Raises:
        ConfigError: the model has no such latent.
    """
    images = traverse_latent(model, code, latent, values).flatten(1)  # (P, C * H * W)
    # The quicker way, by matrix products, leaves equal images a distance.
    exact = "donot_use_mm_for_euclid_dist"
    distances = torch.cdist(images.double(), images.double(), compute_mode=exact)
    distances /= images.shape[1] ** 0.5
    return distances.cpu().numpy()


def distance_by_steps(distances: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean distance between categories that lie 1, 2, .., P - 1 steps apart, (P - 1,)."""
    return np.array([np.diagonal(distances, steps).mean() for steps in range(1, len(distances))])
