import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from dvae_core.evaluation.metrics.irs import irs
from tests.evaluation.known import full_grid, rotated

FACTORS = full_grid(10, 10, repeats=4)


def reference(codes: NDArray[np.floating], factors: NDArray[np.int64]) -> float:
    """The definition, one latent, factor and value at a time."""
    total = weights = 0.0
    for latent in codes.T:
        if latent.min() == latent.max():
            continue
        largest = max(abs(code - latent.mean()) for code in latent)
        best = -np.inf
        for factor in factors.T:
            spreads = []
            for value in sorted(set(factor)):
                group = latent[factor == value]
                deviations = sorted(abs(code - group.mean()) for code in group)
                place = 0.99 * (len(deviations) - 1)
                below, share = int(place), place - int(place)
                above = deviations[min(below + 1, len(deviations) - 1)]
                spreads.append((1 - share) * deviations[below] + share * above)
            best = max(best, 1 - np.mean(spreads) / largest)
        total += largest * best
        weights += largest
    return total / weights if weights else 0.0


@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.integers(1, 3))
def test_equals_the_definition(seed: int, num_latents: int, num_factors: int) -> None:
    random = np.random.default_rng(seed)
    factors = random.integers(4, size=(60, num_factors))
    factors[:4] = np.arange(4)[:, None]
    codes = factors @ random.normal(size=(num_factors, num_latents)) + random.normal(
        size=(60, num_latents)
    )
    codes[:, 0] *= random.integers(2)  # with and without a constant latent
    assert irs(codes, factors) == pytest.approx(reference(codes, factors))


def test_latents_that_are_factors_score_1() -> None:
    assert irs(FACTORS.astype(float), FACTORS) == pytest.approx(1)
    assert irs(np.cos(FACTORS), FACTORS) == pytest.approx(1)


def test_sums_of_two_factors_score_about_a_half() -> None:
    assert irs(rotated(FACTORS), FACTORS) == pytest.approx(0.5, abs=0.02)


def test_noise_scores_near_0() -> None:
    noise = np.random.default_rng(0).uniform(size=FACTORS.shape)
    assert irs(noise, FACTORS) < 0.1


def test_wide_latents_weigh_more() -> None:
    noise = np.random.default_rng(0).uniform(-4.5, 4.5, size=len(FACTORS))
    alike = irs(np.column_stack([FACTORS[:, 0], noise]), FACTORS)
    wide = irs(np.column_stack([FACTORS[:, 0], 9 * noise]), FACTORS)
    assert alike == pytest.approx(0.5, abs=0.05)
    assert wide == pytest.approx(0.1, abs=0.05)


def test_constant_latents_are_left_out() -> None:
    codes = rotated(FACTORS)
    padded = np.column_stack([np.full(len(codes), 7.0), codes, np.zeros(len(codes))])
    assert irs(padded, FACTORS) == irs(codes, FACTORS)
    assert irs(np.ones_like(codes), FACTORS) == 0


def test_one_latent_and_one_factor_suffice() -> None:
    assert irs(FACTORS[:, :1], FACTORS[:, :1]) == 1


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_shift_and_scale_change_nothing(scale: float) -> None:
    codes = rotated(FACTORS)
    assert irs(scale * codes + 3 * scale, FACTORS) == pytest.approx(irs(codes, FACTORS))
