"""Which latent carries which factor."""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment


def latents_of_factors(information: NDArray[np.float64]) -> list[int | None]:
    """For each factor the latent that carries it, no latent twice: the assignment with the largest
    sum of mutual information. None for factors left over where there are fewer latents.

    Args:
        information: (N, F), nats or shares of entropy.
    """
    num_factors = information.shape[1]
    latents, factors = linear_sum_assignment(information, maximize=True)
    carried: list[int | None] = [None] * num_factors
    for latent, factor in zip(latents.tolist(), factors.tolist(), strict=True):
        carried[factor] = latent
    return carried


def diagonal_order(information: NDArray[np.float64]) -> list[int]:
    """All latents, so ordered that the heat map (N, F) shows its diagonal: first those that carry
    the factors, in the order of the factors, then the others by what they tell at most."""
    carrying = [latent for latent in latents_of_factors(information) if latent is not None]
    others = [latent for latent in range(len(information)) if latent not in carrying]
    most = information.max(axis=1, initial=0.0)
    return carrying + sorted(others, key=lambda latent: -most[latent])
