import numpy as np
import pytest

from dvae_core.analysis.linking import (
    diagonal_order,
    latents_of_factors,
    link_by_factor,
    link_by_quantile,
    pair_latents,
)
from tests.evaluation.known import full_grid

FACTOR = np.repeat(np.arange(11), 20)


def test_the_same_quantile_carries_a_value_over() -> None:
    own = np.linspace(-1, 1, 1001)
    link = link_by_quantile(own, 5 * own + 2)
    assert link.sign == 1
    assert link.carry(0.5) == pytest.approx(4.5)


def test_codes_that_run_against_each_other_are_counted_from_the_other_end() -> None:
    own = np.linspace(-1, 1, 1001)
    link = link_by_quantile(own, -np.exp(own))
    assert link.sign == -1
    assert link.carry(1.0) == pytest.approx(-np.e)
    assert link.carry(0.0) == pytest.approx(-1.0, abs=1e-3)


def test_there_and_back_is_the_same_value() -> None:
    own = np.random.default_rng(0).normal(size=2000)
    partner = np.tanh(-own)
    there, back = link_by_quantile(own, partner), link_by_quantile(partner, own)
    assert back.carry(there.carry(0.7)) == pytest.approx(0.7, abs=1e-2)


def test_beyond_the_data_the_last_value_holds() -> None:
    own = np.linspace(-1, 1, 101)
    assert link_by_quantile(own, 2 * own).carry(7.0) == pytest.approx(2.0)


def test_equal_codes_carry_to_the_mean_of_what_they_stand_for() -> None:
    link = link_by_quantile(np.zeros(101), np.linspace(0, 1, 101))
    assert link.carry(0.0) == pytest.approx(0.5)


@pytest.mark.parametrize("sign", [1, -1])
def test_by_factor_the_mean_codes_of_the_same_value_meet(sign: int) -> None:
    link = link_by_factor(FACTOR / 10.0, sign * FACTOR**2.0, FACTOR)
    assert link.sign == sign
    assert link.carry(0.3) == pytest.approx(sign * 9.0)
    assert link.carry(0.35) == pytest.approx(sign * 12.5)


def test_latents_pair_by_the_factor_they_carry() -> None:
    factors = full_grid(6, 7, repeats=3)
    left = factors.astype(float)
    right = np.stack([np.zeros(len(factors)), -left[:, 1], 2 * left[:, 0]], axis=1)
    assert pair_latents(left, right, factors) == [((0, 2), 0), ((1, 1), 1)]


def test_without_factors_latents_pair_by_what_they_tell_about_each_other() -> None:
    left = np.random.default_rng(0).normal(size=(2000, 2))
    right = -left[:, ::-1]
    none = np.empty((2000, 0), dtype=np.int64)
    assert sorted(pair_latents(left, right, none)) == [((0, 1), None), ((1, 0), None)]


def test_latents_go_to_factors_by_the_best_sum_not_greedily() -> None:
    # Latent 0 tells most about factor 0, but factor 1 has nobody else.
    information = np.array([[0.9, 0.8], [0.7, 0.0], [0.1, 0.1]])
    assert latents_of_factors(information) == [1, 0]


def test_factors_beyond_the_latents_are_carried_by_none() -> None:
    assert latents_of_factors(np.array([[0.1, 0.9, 0.2]])) == [None, 0, None]


def test_the_order_shows_the_diagonal_and_then_what_tells_most() -> None:
    information = np.array([[0.0, 0.1], [0.3, 0.9], [0.8, 0.0], [0.2, 0.4]])
    assert diagonal_order(information) == [2, 1, 3, 0]


def test_without_factors_all_latents_remain() -> None:
    assert diagonal_order(np.zeros((3, 0))) == [0, 1, 2]


def test_a_factor_that_numbers_the_images_pairs_no_latents() -> None:
    factors = np.column_stack([np.arange(200), np.repeat(np.arange(2), 100)])
    left = np.column_stack([factors[:, 1], np.zeros(200)]).astype(float)
    assert pair_latents(left, left, factors) == [((0, 0), 1)]
    numbers = factors[:, :1]  # alone, it is as good as no factor
    assert {pair.factor for pair in pair_latents(left, left, numbers)} == {None}
