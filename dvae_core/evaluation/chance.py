"""Whether the codes of few images say more about their labels than about random labels."""

import numpy as np

from dvae_core.evaluation.checks import Codes, Factors
from dvae_core.evaluation.information import measure_information

FEW_IMAGES = 2_000
"""Up to this number of images, labels are compared with random ones."""

NUM_ORDERS = 99
SIGNIFICANCE = 0.05


def reason_if_chance(codes: Codes, factors: Factors, num_bins: int | None) -> str:
    """Why scores say nothing, or "": the codes of a few images fit random labels as well.

    A permutation test of the mutual information between latents and factors, summed over all pairs:
    the labels count as random if more than 5 % of 99 random orders of them give as much. More than
    2,000 images are not tested.

    Arguments and errors as in `measure_information`.
    """
    if len(factors) > FEW_IMAGES:
        return ""
    shuffle = np.random.default_rng(0)

    def information(order: np.ndarray | slice) -> float:
        return float(measure_information(codes, factors[order], num_bins).matrix.sum())

    found = information(slice(None))
    by_chance = [information(shuffle.permutation(len(factors))) for _ in range(NUM_ORDERS)]
    if np.mean(np.array(by_chance) >= found) <= SIGNIFICANCE:
        return ""
    return (
        f"these labels cannot be told from random ones: with {len(factors):,} images, the latents "
        f"and the factors share {found:.2f} nats, and random orders of the labels give "
        f"{min(by_chance):.2f} to {max(by_chance):.2f}; use more images"
    )
