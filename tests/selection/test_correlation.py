from math import asin, pi, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from dvae_core.selection.correlation import rank_correlation


def column(*values: float) -> np.ndarray:
    return np.array(values, float)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(-3, 3)), min_size=3, max_size=30))
def test_equals_scipy_on_data_full_of_ties(pairs: list[tuple[int, int]]) -> None:
    x, y = np.array(pairs, float).T
    found = rank_correlation(x, y, resamples=20)
    if len(set(x)) == 1 or len(set(y)) == 1:
        assert found.value is None
    else:
        assert found.value == pytest.approx(spearmanr(x, y).statistic, abs=1e-12)


@pytest.mark.parametrize(("sign", "expected"), [(1, 1.0), (-1, -1.0)])
def test_any_monotone_relation_is_perfect(sign: int, expected: float) -> None:
    x = np.linspace(0.1, 3, 12)
    found = rank_correlation(x, sign * np.exp(x))
    assert (found.value, found.low, found.high) == pytest.approx((expected,) * 3)


def test_each_resample_is_ranked_again() -> None:
    """The interval is that of scipy on the same resamples, drawn one by one."""
    generator = np.random.default_rng(3)
    x = generator.integers(0, 5, 15).astype(float)
    y = x + generator.integers(0, 5, 15).astype(float)
    found = rank_correlation(x, y, seed=7, resamples=200)
    draws = np.random.default_rng(7).multinomial(15, np.full(15, 1 / 15), 200)
    rhos = [spearmanr(np.repeat(x, copies), np.repeat(y, copies)).statistic for copies in draws]
    assert (found.low, found.high) == pytest.approx(np.quantile(rhos, [0.025, 0.975]), abs=1e-12)


def test_an_interval_depends_on_its_seed_alone() -> None:
    generator = np.random.default_rng(0)
    x, y = generator.normal(size=(2, 20))
    assert rank_correlation(x, y, seed=1) == rank_correlation(x, y, seed=1)
    assert rank_correlation(x, y, seed=1) != rank_correlation(x, y, seed=2)


@pytest.mark.parametrize(("count", "r"), [(8, 0.0), (8, 0.6), (8, 0.9), (40, 0.6)])
def test_intervals_cover_the_true_correlation_as_often_as_they_say(count: int, r: float) -> None:
    """Pairs of normal numbers correlated by r have a rank correlation of 6 / pi asin(r / 2)."""
    generator = np.random.default_rng(0)
    covered, trials = 0, 400
    truth = 6 / pi * asin(r / 2)
    for trial in range(trials):
        x, noise = generator.normal(size=(2, count))
        found = rank_correlation(x, r * x + sqrt(1 - r**2) * noise, seed=trial, resamples=400)
        assert found.low is not None
        assert found.high is not None
        covered += found.low <= truth <= found.high
    assert 0.92 <= covered / trials <= 0.99


@pytest.mark.parametrize(
    ("x", "y", "reason"),
    [
        (column(), column(), "0 of at least 3 runs"),
        (column(1, 2), column(2, 1), "2 of at least 3 runs"),
        (column(1, 1, 1), column(1, 2, 3), "all values are the same"),
        (column(1, 2, 3), column(0, 0, 0), "all values are the same"),
    ],
)
def test_where_there_is_no_number_the_reason_stands_instead(
    x: np.ndarray, y: np.ndarray, reason: str
) -> None:
    found = rank_correlation(x, y)
    assert found.undefined == reason
    assert (found.value, found.low, found.high) == (None, None, None)


def test_few_runs_have_a_correlation_but_no_interval() -> None:
    found = rank_correlation(np.arange(7.0), np.arange(7.0))
    assert found.value == pytest.approx(1)
    assert (found.low, found.high, found.resamples) == (None, None, 0)
    assert found.undefined == "no interval for fewer than 8 runs"


def test_resamples_without_variation_are_not_counted() -> None:
    """One run of eight differs; a resample leaves it out with a chance of (7 / 8) ** 8."""
    x = column(0, 0, 0, 0, 0, 0, 0, 1)
    found = rank_correlation(x, np.arange(8.0), resamples=4000)
    assert found.resamples == pytest.approx(4000 * (1 - (7 / 8) ** 8), abs=130)
