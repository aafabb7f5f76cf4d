"""Traversals and interpolations: codes, and the images that they decode to.

Images are float32 (.., C, H, W) in [0, 1]; `to_pixels` converts them to uint8 (.., H, W, C).
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
    """Images (.., C, H, W) of codes (.., N), decoded in batches to limit the memory."""
    flat = codes.reshape(-1, codes.shape[-1])  # (.., N) -> (B, N)
    images = torch.cat([model.decode_images(batch) for batch in flat.split(DECODE_BATCH)])
    return images.reshape(*codes.shape[:-1], *images.shape[1:])


def traverse_latent(model: VAE, code: Tensor, latent: int, values: Tensor) -> Tensor:
    """Images (count, C, H, W) of `code` (N,) with one latent set to each of `values` (count,).

    Raises:
        ConfigError: the model has no such latent.
    """
    check_latent(model, latent)
    codes = code.repeat(len(values), 1)
    codes[:, latent] = values
    return decode_codes(model, codes)


def traverse_all(
    model: VAE, code: Tensor, rows: Sequence[Tensor], latents: Sequence[int] | None = None
) -> list[Tensor]:
    """Traversals of all latents, N times (P_j, C, H, W): each changes one latent of `code` (N,) to
    the values of its row, N times (P_j,). With `latents`, rows and traversals of these alone."""
    latents = range(len(code)) if latents is None else latents
    counts = [len(row) for row in rows]
    codes = code.repeat(sum(counts), 1)
    for latent, part, row in zip(latents, codes.split(counts), rows, strict=True):
        part[:, latent] = row
    return list(decode_codes(model, codes).split(counts))


def traversal_rows(
    model: VAE, span: str | None = None, codes: Tensor | None = None, count: int | None = None
) -> list[Tensor]:
    """Values of a traversal of each latent, N times (P_j,); at most K_j for categorical latents.
    Arguments and errors as in `traversal_values` of the family."""
    latents = model.latents
    return [
        latents.traversal_values(latent, count, span, codes)
        for latent in range(latents.num_latents)
    ]


def traverse_pair(
    model: VAE, code: Tensor, latents: tuple[int, int], rows: Tensor, columns: Tensor
) -> Tensor:
    """Grid of images (rows, columns, C, H, W); the first latent varies over rows, the second over
    columns.

    Raises:
        ConfigError: the model has no such latent, or both are the same.
    """
    for latent in latents:
        check_latent(model, latent)
    if latents[0] == latents[1]:
        raise ConfigError(f"latent {latents[0]} is chosen twice: a grid needs two latents")
    codes = code.repeat(len(rows), len(columns), 1)  # (N,) -> (rows, columns, N)
    codes[:, :, latents[0]] = rows[:, None]
    codes[:, :, latents[1]] = columns
    return decode_codes(model, codes)


def interpolate(start: Tensor, end: Tensor, count: int) -> Tensor:
    """Codes (count, N) on the line from one code (N,) to another, ends included."""
    shares = torch.linspace(0.0, 1.0, count, device=start.device).unsqueeze(1)
    return start + shares * (end - start)


def interpolate_by_latent(start: Tensor, end: Tensor, order: list[int]) -> Tensor:
    """Codes (len(order) + 1, N) from a start (N,) to an end (N,), changing one latent at a time."""
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
    """Images (count, C, H, W) side by side, uint8 (H, count * (W + gap) - gap, C), white gaps."""
    pixels = to_pixels(images)  # (count, H, W, C)
    padded = np.pad(pixels, ((0, 0), (0, 0), (0, gap), (0, 0)), constant_values=255)
    strip = np.concatenate(list(padded), axis=1)
    return strip[:, : strip.shape[1] - gap]


def category_distances(
    model: VAE, code: Tensor, latent: int, values: Tensor
) -> NDArray[np.float64]:
    """Distances (P, P) between the images of a traversal: the root mean square over pixels and
    channels, 0 for equal images, 1 for black against white.

    Args:
        model: on the device of `code`.
        code: (N,), the start of the traversal.
        latent: the one that is traversed.
        values: of the traversal, (P,).

    Raises:
        ConfigError: the model has no such latent.
    """
    images = traverse_latent(model, code, latent, values).flatten(1)  # (P, C * H * W)
    # The faster way, by matrix products, gives equal images a distance above 0.
    exact = "donot_use_mm_for_euclid_dist"
    distances = torch.cdist(images.double(), images.double(), compute_mode=exact)
    distances /= images.shape[1] ** 0.5
    return distances.cpu().numpy()


def distance_by_steps(distances: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean distance between categories 1, 2, .., P - 1 steps apart, (P - 1,)."""
    return np.array([np.diagonal(distances, steps).mean() for steps in range(1, len(distances))])
