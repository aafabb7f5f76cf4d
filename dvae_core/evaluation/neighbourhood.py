"""Do neighbouring categories decode to neighbouring images?"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dvae_core.models.vae import VAE
from dvae_core.traversal import traverse_latent


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
