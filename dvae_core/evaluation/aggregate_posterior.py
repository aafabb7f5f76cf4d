"""The aggregate posterior: what all images of a data set together make of each latent."""

import torch
from torch import Tensor

from dvae_core.models.vae import VAE

_BATCH = 256


@torch.inference_mode()
def aggregate_density(model: VAE, images: Tensor, values: Tensor) -> Tensor:
    """Mean over images of the posterior's density, float32 (N, P).

    For categorical latents the probability of the category nearest to each value, for Gaussian
    ones the density at it.

    Args:
        model: on the device of the images.
        images: (B, C, H, W), drawn from the data set.
        values: points at which to measure, (N, P).
    """
    total = torch.zeros_like(values)
    for batch in images.split(_BATCH):
        total += model.encode(batch).density(values).sum(0)  # (B, N, P) -> (N, P)
    return total / len(images)
