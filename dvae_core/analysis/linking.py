"""From a value of one model's latent to the value of another's that means the same.

Two models never share a scale, and their signs are arbitrary. Data are what they share: both encode
the same images, and so their codes can be set beside each other.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.stats import rankdata

from dvae_core.evaluation.checks import Codes, Factors
from dvae_core.evaluation.information import (
    PAPER_BINS,
    discretize,
    measure_information,
)

_QUANTILES = 101


@dataclass(frozen=True)
class Link:
    """Which value of one latent means which of its partner.

    Attributes:
        own: ascending, (P,).
        partner: (P,).
        sign: 1 where both grow together, -1 where one falls.
    """

    own: NDArray[np.float64]
    partner: NDArray[np.float64]
    sign: int

    def carry(self, value: float) -> float:
        """The partner's value; between two known ones a value between, beyond them the last."""
        return float(np.interp(value, self.own, self.partner))


class Partners(NamedTuple):
    """Two latents that carry the same.

    Attributes:
        latents: of the left model and of the right.
        factor: that both carry; None where there are no factors.
    """

    latents: tuple[int, int]
    factor: int | None


def link_by_quantile(own: Codes, partner: Codes) -> Link:
    """The same quantile of the data, counted from the other end where the codes run against each
    other.

    The sign is that of the rank correlation.

    Args:
        own: codes of one latent, (points,).
        partner: codes of the other latent for the same images, (points,).
    """
    sign = _sign(own, partner)
    shares = np.linspace(0.0, 1.0, _QUANTILES)
    own_quantiles = np.quantile(own.astype(np.float64), shares)
    partner_shares = shares if sign > 0 else shares[::-1]
    partner_quantiles = np.quantile(partner.astype(np.float64), partner_shares)
    return _link(own_quantiles, partner_quantiles, sign)


def link_by_factor(own: Codes, partner: Codes, factor: NDArray[np.integer]) -> Link:
    """Both latents' mean code of the same value of the factor that they carry.

    Where a latent does not run along with the factor, values that it has in common for two values
    of the factor are averaged, and the link says little.

    Args:
        own: codes of one latent, (points,).
        partner: codes of the other latent for the same images, (points,).
        factor: value of the factor, (points,).
    """
    values = np.unique(factor)
    own_means = np.array([own[factor == value].mean() for value in values])
    partner_means = np.array([partner[factor == value].mean() for value in values])
    order = np.argsort(own_means, kind="stable")
    return _link(own_means[order], partner_means[order], _sign(own_means, partner_means))


def pair_latents(left: Codes, right: Codes, factors: Factors) -> list[Partners]:
    """Latents of two models that carry the same, no latent twice.

    By the factor that each carries, where there are factors; else by their mutual
    information, and the factor is None. Both are the assignment with the largest sum of mutual
    information, 20 bins.

    Args:
        left: codes of one model, (points, N).
        right: codes of the other for the same images, (points, N').
        factors: (points, F).
    """
    if factors.shape[1] == 0:
        between = measure_information(left, discretize(right, PAPER_BINS)).matrix  # (N, N')
        partners = latents_of_factors(between)
        return [
            Partners((own, other), None) for other, own in enumerate(partners) if own is not None
        ]
    carried = [latents_of_factors(measure_information(c, factors).matrix) for c in (left, right)]
    return [
        Partners((own, other), factor)
        for factor, (own, other) in enumerate(zip(*carried, strict=True))
        if own is not None and other is not None
    ]


def _link(own: NDArray[np.float64], partner: NDArray[np.float64], sign: int) -> Link:
    """Equal values of `own` become one, at the mean of what they stand for."""
    distinct, places = np.unique(own, return_inverse=True)
    sums = np.bincount(places, weights=partner)
    return Link(distinct, sums / np.bincount(places), sign)


def _sign(own: Codes, partner: Codes) -> int:
    ranks = [rankdata(codes) - (len(codes) + 1) / 2 for codes in (own, partner)]
    return 1 if ranks[0] @ ranks[1] >= 0 else -1


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
