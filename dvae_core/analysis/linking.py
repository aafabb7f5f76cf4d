"""Map values of one model's latent to the corresponding values of another model's latent.

Scales and signs of latents are arbitrary; two models are linked by their codes of the same images.
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
    countable,
    discretize,
    measure_information,
)

_QUANTILES = 101


@dataclass(frozen=True)
class Link:
    """A map from the values of one latent to those of its partner.

    Attributes:
        own: ascending, (P,).
        partner: (P,).
        sign: 1 if both increase together, otherwise -1.
    """

    own: NDArray[np.float64]
    partner: NDArray[np.float64]
    sign: int

    def carry(self, value: float) -> float:
        """The partner's value, by linear interpolation, constant beyond the ends."""
        return float(np.interp(value, self.own, self.partner))


class Partners(NamedTuple):
    """Corresponding latents of the left and the right model, and the factor that both encode; None
    without factors."""

    latents: tuple[int, int]
    factor: int | None


def link_by_quantile(own: Codes, partner: Codes) -> Link:
    """Link equal quantiles of two latents' codes (points,) of the same images. If their rank
    correlation is negative, the quantiles of the partner are reversed."""
    sign = _sign(own, partner)
    shares = np.linspace(0.0, 1.0, _QUANTILES)
    own_quantiles = np.quantile(own.astype(np.float64), shares)
    partner_shares = shares if sign > 0 else shares[::-1]
    partner_quantiles = np.quantile(partner.astype(np.float64), partner_shares)
    return _link(own_quantiles, partner_quantiles, sign)


def link_by_factor(own: Codes, partner: Codes, factor: NDArray[np.integer]) -> Link:
    """Link the mean codes of both latents for each value of a factor; all arguments are (points,).

    If a latent is not a monotonic function of the factor, its equal means are merged and the link
    is less meaningful.
    """
    values = np.unique(factor)
    own_means = np.array([own[factor == value].mean() for value in values])
    partner_means = np.array([partner[factor == value].mean() for value in values])
    order = np.argsort(own_means, kind="stable")
    return _link(own_means[order], partner_means[order], _sign(own_means, partner_means))


def pair_latents(left: Codes, right: Codes, factors: Factors) -> list[Partners]:
    """Corresponding latents of two models, each latent at most once.

    With `countable` factors, pairs encode the same factor; without, pairs share the most mutual
    information. Both are assignments that maximise the sum of mutual information, 20 bins.

    Args:
        left: codes of one model, (points, N).
        right: codes of the other model for the same images, (points, N').
        factors: (points, F).
    """
    counted = np.flatnonzero(countable(factors))
    if not len(counted):
        between = measure_information(left, discretize(right, PAPER_BINS)).matrix  # (N, N')
        partners = latents_of_factors(between)
        return [
            Partners((own, other), None) for other, own in enumerate(partners) if own is not None
        ]
    matrices = [measure_information(codes, factors[:, counted]).matrix for codes in (left, right)]
    carried = [latents_of_factors(matrix) for matrix in matrices]
    return [
        Partners((own, other), int(factor))
        for factor, own, other in zip(counted, *carried, strict=True)
        if own is not None and other is not None
    ]


def _link(own: NDArray[np.float64], partner: NDArray[np.float64], sign: int) -> Link:
    """Merge equal values of `own`, with the mean of their partners."""
    distinct, places = np.unique(own, return_inverse=True)
    sums = np.bincount(places, weights=partner)
    return Link(distinct, sums / np.bincount(places), sign)


def _sign(own: Codes, partner: Codes) -> int:
    ranks = [rankdata(codes) - (len(codes) + 1) / 2 for codes in (own, partner)]
    return 1 if ranks[0] @ ranks[1] >= 0 else -1


def latents_of_factors(information: NDArray[np.float64]) -> list[int | None]:
    """The latent of each factor, each latent at most once: the assignment that maximises the sum of
    `information` (N, F). None for factors left over if there are fewer latents."""
    latents, factors = linear_sum_assignment(information, maximize=True)
    carried: list[int | None] = [None] * information.shape[1]
    for latent, factor in zip(latents.tolist(), factors.tolist(), strict=True):
        carried[factor] = latent
    return carried


def diagonal_order(information: NDArray[np.float64]) -> list[int]:
    """Order of the latents for a diagonal heat map (N, F): first the latents of the factors, in the
    order of the factors, then the others by their maximal information."""
    carrying = [latent for latent in latents_of_factors(information) if latent is not None]
    others = [latent for latent in range(len(information)) if latent not in carrying]
    most = information.max(axis=1, initial=0.0)
    return carrying + sorted(others, key=lambda latent: -most[latent])
