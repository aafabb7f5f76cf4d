"""Spearman's rank correlation with a bootstrap interval (Efron and Tibshirani, An Introduction to
the Bootstrap, chapter 13)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

MIN_RUNS = 3
# Of fewer, all are in perfect order too often by chance; every resample is then in perfect order
# too, and the interval a point. The tests hold how often intervals from eight on cover the truth.
MIN_RUNS_FOR_INTERVAL = 8
RESAMPLES = 2_000
LEVEL = 0.95


@dataclass(frozen=True)
class RankCorrelation:
    """Spearman's rho of two columns of numbers.

    Attributes:
        count: pairs.
        value: rho in [-1, 1]; None where it is not defined.
        low: lower end of the interval; None where there is none.
        high: upper end.
        resamples: bootstrap resamples that the interval rests on: those whose columns both vary.
        undefined: why there is no value, or no interval.
    """

    count: int
    value: float | None = None
    low: float | None = None
    high: float | None = None
    resamples: int = 0
    undefined: str = ""


def rank_correlation(
    x: Floats, y: Floats, *, seed: int = 0, resamples: int = RESAMPLES
) -> RankCorrelation:
    """Spearman's rho and its 95 % percentile bootstrap interval.

    There is no rho of fewer than three pairs or of a column that is constant, and no interval of
    fewer than eight pairs. Tied numbers share the mean of their ranks. Pairs are resampled with
    replacement; a resample in which a column is constant has no rho and is left out.

    Args:
        x: (pairs,), finite.
        y: (pairs,), finite.
        seed: of the resampling.
        resamples: how many are drawn.
    """
    count = len(x)
    if count < MIN_RUNS:
        return RankCorrelation(count, undefined=f"{count} of at least {MIN_RUNS} runs")
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        return RankCorrelation(count, undefined="all values are the same")
    rho = float(_weighted_spearman(x, y, np.ones((1, count)))[0])
    if count < MIN_RUNS_FOR_INTERVAL:
        return RankCorrelation(
            count, rho, undefined=f"no interval of fewer than {MIN_RUNS_FOR_INTERVAL} runs"
        )
    draws = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), resamples)
    rhos = _weighted_spearman(x, y, draws.astype(float))
    rhos = rhos[np.isfinite(rhos)]
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(rhos, [tail, 1 - tail])
    return RankCorrelation(count, rho, float(low), float(high), len(rhos))


def _weighted_spearman(x: Floats, y: Floats, weights: Floats) -> Floats:
    """Rho of samples that hold pair i `weights[r, i]` times, (R,); nan where a column is constant.

    Counting copies ranks thousands of resamples at once, without sorting any of them.
    """
    total = weights.sum(axis=1, keepdims=True)  # (R, 1)
    columns = []
    for values in (x, y):
        ranks = _mid_ranks(values, weights)
        columns.append(ranks - (weights * ranks).sum(axis=1, keepdims=True) / total)
    first, second = columns
    covariance = (weights * first * second).sum(axis=1)
    spread = (weights * first**2).sum(axis=1) * (weights * second**2).sum(axis=1)
    defined = spread > 1e-9
    rho = covariance / np.sqrt(np.where(defined, spread, 1.0))
    return np.where(defined, np.clip(rho, -1.0, 1.0), np.nan)


def _mid_ranks(values: Floats, weights: Floats) -> Floats:
    """Mean rank of each value in each weighted sample, (R, pairs)."""
    order = np.argsort(values)
    _, starts, place = np.unique(values[order], return_index=True, return_inverse=True)
    copies = np.add.reduceat(weights[:, order], starts, axis=1)  # (R, pairs) -> (R, distinct)
    below = np.cumsum(copies, axis=1) - copies
    return (below + (copies + 1) / 2)[:, place[np.argsort(order)]]
