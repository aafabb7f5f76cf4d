"""Spearman's rank correlation with a bootstrap interval (Efron and Tibshirani, An Introduction to
the Bootstrap, chapter 13)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

Floats = NDArray[np.float64]

MIN_RUNS = 3
# Fewer runs are too often in perfect order by chance; all resamples then are, too, and the interval
# has width 0. The tests check the coverage of intervals from eight runs on.
MIN_RUNS_FOR_INTERVAL = 8
RESAMPLES = 2_000
LEVEL = 0.95


@dataclass(frozen=True)
class RankCorrelation:
    """Spearman's rho of two columns of numbers.

    Attributes:
        count: number of pairs.
        value: rho in [-1, 1]; None if it is undefined.
        low: lower end of the interval; None if there is none.
        high: upper end.
        resamples: number of bootstrap resamples whose columns both vary.
        undefined: the reason if there is no value or no interval.
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
    """Spearman's rho of two finite columns (pairs,), and its 95 % percentile bootstrap interval.

    Rho is undefined for fewer than three pairs or a constant column, the interval for fewer than
    eight pairs. Ties share their mean rank. Pairs are resampled with replacement; resamples with a
    constant column are left out.
    """
    count = len(x)
    if count < MIN_RUNS:
        return RankCorrelation(count, undefined=f"{count} of at least {MIN_RUNS} runs")
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        return RankCorrelation(count, undefined="all values are the same")
    rho = float(_spearman(x, y))
    if count < MIN_RUNS_FOR_INTERVAL:
        return RankCorrelation(
            count, rho, undefined=f"no interval for fewer than {MIN_RUNS_FOR_INTERVAL} runs"
        )
    copies = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), resamples)
    pairs = np.tile(np.arange(count), resamples).repeat(copies.ravel()).reshape(resamples, count)
    rhos = _spearman(x[pairs], y[pairs])
    rhos = rhos[np.isfinite(rhos)]
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(rhos, [tail, 1 - tail])
    return RankCorrelation(count, rho, float(low), float(high), len(rhos))


def _spearman(x: Floats, y: Floats) -> Floats:
    """Rho of pairs along the last axis, (..,); nan for constant columns."""
    first, second = (
        ranks - ranks.mean(-1, keepdims=True)
        for ranks in (rankdata(x, axis=-1), rankdata(y, axis=-1))
    )
    spread = (first**2).sum(-1) * (second**2).sum(-1)
    defined = spread > 1e-9
    rho = (first * second).sum(-1) / np.sqrt(np.where(defined, spread, 1.0))
    return np.where(defined, np.clip(rho, -1.0, 1.0), np.nan)
