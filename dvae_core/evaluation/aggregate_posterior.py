"""The aggregate posterior: what all images of a data set together make of each latent."""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from dvae_core.models.latents import Posterior


@torch.inference_mode()
def aggregate_density(posteriors: Iterable[Posterior], rows: Sequence[Tensor]) -> list[Tensor]:
    """Mean over images of the posterior's density, float32 N times (P_j,).

    For categorical latents the probability of the category nearest to each value, for Gaussian
    ones the density at it.

    Args:
        posteriors: of images drawn from the data set, in batches of any size, at least one.
        rows: points at which to measure each latent, N times (P_j,).
    """
    totals, count = [torch.zeros_like(row) for row in rows], 0
    for posterior in posteriors:
        densities = posterior.density(rows)
        for total, density in zip(totals, densities, strict=True):
            total += density.sum(0)  # (B, P_j) -> (P_j,)
        count += len(densities[0])
    return [total / count for total in totals]
