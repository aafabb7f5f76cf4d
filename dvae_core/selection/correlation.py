"""Spearman's rank correlation with a bootstrap interval (Efron and Tibshirani, An Introduction to
the Bootstrap, chapter 13)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

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
    rho = float(_spearman(x, y))
    if count < MIN_RUNS_FOR_INTERVAL:
        return RankCorrelation(
            count, rho, undefined=f"no interval of fewer than {MIN_RUNS_FOR_INTERVAL} runs"
        )
    copies = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), resamples)
    pairs = np.tile(np.arange(count), resamples).repeat(copies.ravel()).reshape(resamples, count)
    rhos = _spearman(x[pairs], y[pairs])
    rhos = rhos[np.isfinite(rhos)]
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(rhos, [tail, 1 - tail])
    return RankCorrelation(count, rho, float(low), float(high), len(rhos))


def _spearman(x: Floats, y: Floats) -> Floats:
    """Rho of pairs along the last axis, (..,); nan where a column is constant."""
    first, second = (
        ranks - ranks.mean(-1, keepdims=True)
        for ranks in (rankdata(x, axis=-1), rankdata(y, axis=-1))
    )
    spread = (first**2).sum(-1) * (second**2).sum(-1)
    defined = spread > 1e-9
    rho = (first * second).sum(-1) / np.sqrt(np.where(defined, spread, 1.0))
    return np.where(defined, np.clip(rho, -1.0, 1.0), np.nan)
