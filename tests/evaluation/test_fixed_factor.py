import numpy as np
import pytest

from dvae_core.errors import EvaluationError
from dvae_core.evaluation.fixed_factor import PointDraws, fixable
from dvae_core.evaluation.metrics.beta_vae import beta_vae_accuracy
from dvae_core.evaluation.metrics.factor_vae import factor_vae_accuracy
from tests.evaluation.known import full_grid

RANDOM = np.random.default_rng(0)


def test_points_share_the_fixed_value() -> None:
    factors = full_grid(3, 4, repeats=2)
    draws = PointDraws(factors.astype(np.float32), factors, seed=0)
    assert (draws.codes_with(50, 1, 2)[:, 1] == 2).all()
    assert set(draws.codes_with(50, 1, 2)[:, 0]) == {0, 1, 2}


def test_a_value_that_one_point_has_is_never_fixed() -> None:
    factors = np.array([[0, 0], [0, 1], [1, 2], [1, 3], [2, 3]])
    draws = PointDraws(np.zeros((5, 1), np.float32), factors, seed=0)
    assert set(draws.values(np.zeros(200, dtype=np.int64))) == {0, 1}
    assert set(draws.values(np.ones(200, dtype=np.int64))) == {3}


def test_values_come_as_often_as_their_images() -> None:
    factors = np.repeat([0, 1], [300, 100])[:, None]
    draws = PointDraws(np.zeros((400, 1), np.float32), factors, seed=0)
    assert draws.values(np.zeros(4_000, dtype=np.int64)).mean() == pytest.approx(0.25, abs=0.03)


def test_factors_that_one_side_cannot_fix_are_left_out() -> None:
    fit = full_grid(2, 2, 2)
    test = fit * np.array([1, 1, 0])
    codes = np.zeros((8, 1), np.float32)
    assert fixable(PointDraws(codes, fit, 0), PointDraws(codes, test, 0), "It").tolist() == [0, 1]
    with pytest.raises(EvaluationError, match="It needs at least two factors that vary"):
        fixable(PointDraws(codes, fit, 0), PointDraws(codes, test * np.array([1, 0, 0]), 0), "It")


def test_a_perfect_code_of_held_out_images_gives_1() -> None:
    factors = RANDOM.permutation(full_grid(6, 7, repeats=4))
    codes = factors.astype(np.float32)
    fit, test = PointDraws(codes[56:], factors[56:], 0), PointDraws(codes[:56], factors[:56], 1)
    assert factor_vae_accuracy(fit, test, 200, 200, 1_000) == 1
    assert beta_vae_accuracy(fit, test, 300, 200) == 1


def test_random_labels_of_few_images_score_more_only_on_images_seen_before() -> None:
    codes = RANDOM.normal(size=(180, 8)).astype(np.float32)
    factors = RANDOM.integers(0, (30, 3), size=(180, 2))
    fit, test = PointDraws(codes[60:], factors[60:], 0), PointDraws(codes[:60], factors[:60], 1)
    seen = PointDraws(codes[60:], factors[60:], 2)
    # The few images of a value differ by chance more along some latents than along others.
    on_seen, on_held_out = (
        factor_vae_accuracy(fit, other, 2_000, 1_000, 1_000) for other in (seen, test)
    )
    assert on_seen > on_held_out + 0.05
