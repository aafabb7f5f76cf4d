"""Mutual information between latents and factors, by counting.

Codes become categories (equal-width bins, or integer codes as they are). One `bincount` per factor
fills the contingency tables of all latents at once.
"""

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dvae_core.errors import EvaluationError
from dvae_core.evaluation.checks import Codes, Factors, check_codes, check_points

Correction = Literal["miller_madow"]

PAPER_BINS = 20
"""Equal-width bins in the paper's protocol (disentanglement_lib, `histogram_discretize`)."""

MIN_POINTS_PER_CELL = 5
"""Points per cell on average below which Miller-Madow leaves much of the bias."""

CORRECTED = f"Miller-Madow, adjusted for chance below {MIN_POINTS_PER_CELL} points per cell"
"""The correction "miller_madow" in words."""

_NUM_SHUFFLES = 10


class Information(NamedTuple):
    """Mutual information, and the entropies that bound and normalise it, in nats.

    Attributes:
        matrix: (N, F).
        code_entropy: (N,), of the binned codes.
        factor_entropy: (F,).
    """

    matrix: NDArray[np.float64]
    code_entropy: NDArray[np.float64]
    factor_entropy: NDArray[np.float64]


def mutual_information_matrix(
    codes: Codes,
    factors: Factors,
    num_bins: int | None = PAPER_BINS,
    correction: Correction | None = None,
) -> NDArray[np.float64]:
    """Mutual information in nats between each latent and each factor, (N, F).

    Arguments, errors and source as in `measure_information`.
    """
    return measure_information(codes, factors, num_bins, correction).matrix


def measure_information(
    codes: Codes,
    factors: Factors,
    num_bins: int | None = PAPER_BINS,
    correction: Correction | None = None,
) -> Information:
    """Plug-in mutual information of all pairs of latent and factor, and their entropies.

    I(z_n; v_f) = sum over cells of p(z, v) log(p(z, v) / (p(z) p(v))) with p the relative
    frequencies, clipped to [0, min(H(z_n), H(v_f))] against rounding and over-correction.
    The estimate is biased up by about (categories - 1)(values - 1) / (2 points) nats;
    "miller_madow" subtracts (cells - categories - values + 1) / (2 points), where only those that
    occur count (Miller 1955). A pair with fewer than 5 points per cell is adjusted for chance
    instead: with C the mean estimate over 10 random orders of the factor and H the lesser entropy,
    it becomes H (I - C) / (H - C), so that independence gives 0 and equality H (Vinh et al. 2010).

    Args:
        codes: (points, N); integer categories if `num_bins` is None.
        factors: integer (points, F). A factor with a single value has information 0.
        num_bins: equal-width bins between the least and the greatest code of each latent.
        correction: None for the plug-in estimate.

    Raises:
        EvaluationError: malformed arrays, floating-point codes without bins, or no more points
            than categories, where the plug-in estimate is dominated by bias.
    """
    check_points(codes, factors)
    categories = discretize(codes, num_bins)
    values = _renumbered(factors)
    return _counted_information(categories, values, correction)


def countable(factors: Factors) -> NDArray[np.bool_]:
    """Which factors (F,) of these points (points, F) counts can say something about: those with
    more than one value, but not another one in each point, like the number of an image."""
    counts = np.array([len(np.unique(column)) for column in factors.T], dtype=np.int64)
    return (counts > 1) & (counts < len(factors))


def information_of_countable(
    codes: Codes, factors: Factors, correction: Correction | None = None
) -> Information:
    """`measure_information` in 20 bins, where a factor that is not `countable` has information and
    entropy 0."""
    counted = np.where(countable(factors), factors, 0)
    return measure_information(codes, counted, correction=correction)


def latent_information_matrix(
    codes: Codes, num_bins: int | None = PAPER_BINS, correction: Correction | None = None
) -> NDArray[np.float64]:
    """Mutual information in nats between each pair of latents, (N, N), entropies on the diagonal.

    Arguments and errors as in `measure_information`, of which this is the case factors = codes.
    """
    check_codes(codes)
    categories = discretize(codes, num_bins)
    matrix = _counted_information(categories, categories, correction).matrix
    return (matrix + matrix.T) / 2  # the random orders of either latent give two estimates


def discretize(codes: Codes, num_bins: int | None) -> NDArray[np.int64]:
    """Category of each code, numbered from 0 within its latent, int64 (points, N).

    With bins this is numpy's `digitize(z, histogram(z, num_bins)[1][:-1])`, so that the greatest
    code falls in the last bin (disentanglement_lib). A latent whose range is too narrow for
    floating point to divide has one category.

    Raises:
        EvaluationError: as in `measure_information`.
    """
    if num_bins is None:
        if not np.issubdtype(codes.dtype, np.integer):
            raise EvaluationError(
                f"codes are {codes.dtype}, but without num_bins they must be integers: set num_bins"
            )
        return _renumbered(codes.astype(np.int64, copy=False))
    if num_bins < 2:
        raise EvaluationError(f"num_bins is {num_bins}, but must be at least 2")
    if len(codes) < num_bins:
        raise EvaluationError(
            f"{len(codes)} points are too few for {num_bins} bins: draw more or use fewer bins"
        )
    return np.stack([_binned(column, num_bins) for column in codes.T], axis=1)


def _binned(column: Codes, num_bins: int) -> NDArray[np.int64]:
    try:
        edges = np.histogram_bin_edges(column, num_bins)
    except ValueError:  # numpy: too many bins for so narrow a range
        return np.zeros(len(column), dtype=np.int64)
    return np.digitize(column, edges[:-1]) - 1


def _renumbered(columns: NDArray[np.integer]) -> NDArray[np.int64]:
    """The rank of each value among the distinct values of its column."""
    ranks = np.empty(columns.shape, dtype=np.int64)
    for index, column in enumerate(columns.T):
        occurring, ranks[:, index] = np.unique(column, return_inverse=True)
        if len(occurring) > 1 and len(occurring) == len(column):
            raise EvaluationError(
                f"all {len(column)} points have different categories: draw more points"
            )
    return ranks


def _counted_information(
    categories: NDArray[np.int64], values: NDArray[np.int64], correction: Correction | None
) -> Information:
    points, num_latents = categories.shape
    num_factors = values.shape[1]
    num_categories = int(categories.max()) + 1
    # Category k of latent n is row n * num_categories + k of one table that holds all latents.
    rows = categories + num_categories * np.arange(num_latents)  # (points, N)
    category_counts = np.bincount(rows.ravel(), minlength=num_latents * num_categories)
    category_counts = category_counts.reshape(num_latents, num_categories)  # (N, K)
    code_entropy = _entropy(category_counts, points)  # (N,)

    num_occurring = np.count_nonzero(category_counts, axis=1)  # (N,)

    def joint_counts(column: NDArray[np.int64], num_values: int) -> NDArray[np.int64]:
        cells = rows * num_values + column[:, None]  # (points, N)
        counts = np.bincount(cells.ravel(), minlength=num_latents * num_categories * num_values)
        return counts.reshape(num_latents, -1)  # (N, K * V)

    matrix = np.empty((num_latents, num_factors))
    factor_entropy = np.empty(num_factors)
    for factor, column in enumerate(values.T):
        value_counts = np.bincount(column)  # (V,)
        num_values = np.count_nonzero(value_counts)
        factor_entropy[factor] = _entropy(value_counts, points)
        entropies = code_entropy + factor_entropy[factor]  # (N,)
        joint = joint_counts(column, len(value_counts))
        counted = entropies - _entropy(joint, points)  # (N,)
        matrix[:, factor] = counted
        if correction is None:
            continue
        surplus_cells = np.count_nonzero(joint, axis=1) - num_occurring - num_values + 1
        matrix[:, factor] -= surplus_cells / (2 * points)
        sparse = points < MIN_POINTS_PER_CELL * num_occurring * num_values
        if sparse.any():
            shuffle = np.random.default_rng(0)  # its own, so that other factors do not matter
            by_chance = [
                entropies
                - _entropy(joint_counts(shuffle.permutation(column), len(value_counts)), points)
                for _ in range(_NUM_SHUFFLES)
            ]
            most = np.minimum(code_entropy, factor_entropy[factor])
            adjusted = _adjusted_for_chance(counted, np.mean(by_chance, axis=0), most)
            matrix[sparse, factor] = adjusted[sparse]
    bound = np.minimum(code_entropy[:, None], factor_entropy[None, :])
    return Information(np.clip(matrix, 0.0, bound), code_entropy, factor_entropy)


def _adjusted_for_chance(
    counted: NDArray[np.float64], by_chance: NDArray[np.float64], most: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Rescaled so that `by_chance` becomes 0 and `most` stays; 0 where chance alone gives most."""
    room = most - by_chance
    share = np.zeros_like(counted)
    np.divide(counted - by_chance, room, out=share, where=room > 1e-9)
    return share * most


def _entropy(counts: NDArray[np.int64], points: int) -> NDArray[np.float64]:
    """Entropy in nats over the last axis."""
    frequencies = counts / points
    logs = np.log(frequencies, out=np.zeros_like(frequencies), where=counts > 0)
    return -(frequencies * logs).sum(axis=-1) + 0.0  # a single category gives 0, not -0
