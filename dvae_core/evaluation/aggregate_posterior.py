"""The aggregate posterior: what all images of a data set together make of each latent."""

from collections.abc import Sequence

import torch
from torch import Tensor

from dvae_core.models.vae import VAE

_BATCH = 256


@torch.inference_mode()
def aggregate_density(model: VAE, images: Tensor, rows: Sequence[Tensor]) -> list[Tensor]:
    """Mean over images of the posterior's density, float32 N times (P_j,).

    For categorical latents the probability of the category nearest to each value, for Gaussian
    ones the density at it.

    Args:
        model: on the device of the images.
        images: (B, C, H, W), drawn from the data set.
        rows: points at which to measure each latent, N times (P_j,).
    """
    totals = [torch.zeros_like(row) for row in rows]
    for batch in images.split(_BATCH):
        for total, density in zip(totals, model.encode(batch).density(rows), strict=True):
            total += density.sum(0)  # (B, P_j) -> (P_j,)
    return [total / len(images) for total in totals]
