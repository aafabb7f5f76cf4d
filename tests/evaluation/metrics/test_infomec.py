from typing import Any

import numpy as np
import pytest

from dvae_core.errors import EvaluationError
from dvae_core.evaluation.metrics.infomec import infomec
from tests.evaluation.known import full_grid

FACTORS = full_grid(4, 4, repeats=10)


@pytest.mark.parametrize("case", ["identity", "categorical_64"])
def test_equals_the_reference_on_categories(
    case: str, reference_arrays: dict[str, Any], reference_values: dict[str, Any]
) -> None:
    codes = reference_arrays[f"{case}/codes_train"]
    categories = np.stack([np.unique(z, return_inverse=True)[1] for z in codes.T], axis=1)
    result = infomec(categories, reference_arrays["factors_train"])
    expected = reference_values[case]["infomec_discrete"]
    assert result.infom == pytest.approx(expected["infom"], abs=1e-9)
    assert result.infoc == pytest.approx(expected["infoc"], abs=1e-9)
    assert result.infoe == pytest.approx(expected["infoe"], abs=0.01)


def test_one_latent_a_factor_gives_1_throughout() -> None:
    result = infomec(FACTORS, FACTORS)
    assert [result.infom, result.infoe, result.infoc] == pytest.approx([1, 1, 1], abs=1e-3)


def test_duplicated_latents_are_modular_but_not_compact() -> None:
    result = infomec(np.hstack([FACTORS, FACTORS]), FACTORS)
    assert result.infom == pytest.approx(1)
    # Two of four latents share each factor: (1/2 - 1/4) / (1 - 1/4).
    assert result.infoc == pytest.approx(1 / 3)


def test_a_latent_of_all_factors_is_compact_but_not_modular() -> None:
    names = FACTORS @ [4, 1]
    result = infomec(np.stack([names, names % 2], axis=1), FACTORS)
    assert result.infom is not None
    assert result.infom < 0.6


def test_a_collapsed_latent_does_not_count() -> None:
    codes = np.hstack([FACTORS, np.zeros_like(FACTORS)])
    result = infomec(codes, FACTORS)
    assert result.active.tolist() == [True, True, False, False]
    assert [result.infom, result.infoc] == pytest.approx([1, 1])


def test_a_continuous_latent_of_a_small_range_does_not_count() -> None:
    codes = np.hstack([FACTORS.astype(float), FACTORS[:, :1] / 21])
    assert infomec(codes, FACTORS).active.tolist() == [True, True, False]


def test_continuous_codes_are_scored_without_bins() -> None:
    jitter = np.random.default_rng(0).uniform(-0.1, 0.1, FACTORS.shape)
    result = infomec(FACTORS + jitter, FACTORS)
    assert result.infom is not None
    assert result.infom > 0.9
    assert result.infoe is not None
    assert result.infoe > 0.9


def test_an_active_latent_without_information_counts_as_one_that_spreads_it() -> None:
    grid = full_grid(3, 3, 3, repeats=3)
    result = infomec(grid, grid[:, :2])  # the third latent tells of neither factor
    assert result.infom == pytest.approx(2 / 3)


def test_one_factor_leaves_infom_undefined_in_words() -> None:
    result = infomec(FACTORS, FACTORS[:, :1])
    assert result.infom is None
    assert "there is one factor" in result.undefined["infom"]
    assert result.infoc == pytest.approx(1)


def test_one_active_latent_leaves_infoc_undefined_in_words() -> None:
    result = infomec(FACTORS * np.array([1, 0]), FACTORS)
    assert result.infoc is None
    assert "1 of 2 are active" in result.undefined["infoc"]


@pytest.mark.parametrize("dtype", [int, float])
def test_constant_codes_leave_all_but_explicitness_undefined(dtype: type) -> None:
    result = infomec(np.zeros(FACTORS.shape, dtype), FACTORS)
    assert (result.infom, result.infoc) == (None, None)
    assert "none is active" in result.undefined["infom"]
    assert result.infoe == pytest.approx(0, abs=1e-9)


def test_fewer_points_than_neighbours_are_refused() -> None:
    factors = np.array([0, 1] * 5)[:, None]
    with pytest.raises(EvaluationError, match="10 points have no 10 neighbours"):
        infomec(factors.astype(float), factors)


def test_random_categories_are_explicit_on_their_own_points_only() -> None:
    generator = np.random.default_rng(0)
    categories = generator.integers(0, 64, (4000, 10))
    factors = generator.integers(0, 8, (4000, 1))
    other = generator.integers(0, 64, (2000, 10)), generator.integers(0, 8, (2000, 1))
    fitted = infomec(categories, factors).infoe
    held_out = infomec(categories, factors, held_out=(categories, factors, *other)).infoe
    assert fitted is not None
    assert held_out is not None
    assert fitted > 0.1
    assert held_out < 0.01


def test_explicit_codes_stay_explicit_on_unseen_combinations() -> None:
    # Each value of a test point occurs in training, but no pair of them.
    grid = full_grid(6, 6, repeats=40)
    is_unseen = grid[:, 0] == grid[:, 1]
    seen, unseen = grid[~is_unseen], grid[is_unseen]
    result = infomec(grid, grid, held_out=(seen, seen, unseen, unseen))
    assert result.infoe is not None
    assert result.infoe > 0.8


def test_a_held_out_value_without_training_points_leaves_only_explicitness_undefined() -> None:
    rare = FACTORS.copy()
    rare[0, 1] = 99
    result = infomec(FACTORS, FACTORS, held_out=(FACTORS, FACTORS, FACTORS, rare))
    assert result.infoe is None
    assert "value 99" in result.undefined["infoe"]
    assert result.infom == pytest.approx(1)


def test_held_out_points_of_another_shape_are_refused() -> None:
    with pytest.raises(EvaluationError, match="but the points of InfoE have"):
        infomec(FACTORS, FACTORS, held_out=(FACTORS, FACTORS, FACTORS[:, :1], FACTORS[:, :1]))


def test_noise_latents_hardly_lower_the_corrected_compactness_of_a_perfect_code() -> None:
    generator = np.random.default_rng(0)
    factors = generator.integers(0, 32, (10_000, 2))
    codes = np.hstack([factors, generator.integers(0, 64, (10_000, 5))])
    plug_in, corrected = infomec(codes, factors), infomec(codes, factors, correction="miller_madow")
    assert plug_in.infoc is not None
    assert corrected.infoc is not None
    assert plug_in.infoc < 0.9
    assert corrected.infoc > 0.97


def test_copies_of_points_mislead_the_neighbours() -> None:
    """A code that names both factors, and each image by a tiny deviation of its own. To a point
    whose nearest neighbours are copies of itself, each latent knows all about the image."""
    grid = np.stack(np.meshgrid(np.arange(16), np.arange(16)), -1).reshape(-1, 2)
    noise = np.random.default_rng(0).normal(scale=1e-3, size=grid.shape)
    codes = (grid / 8 - 1 + noise).astype(np.float32)
    copies = np.random.default_rng(1).integers(0, len(grid), 4_000)
    once, drawn = infomec(codes, grid).infom, infomec(codes[copies], grid[copies]).infom
    assert once is not None
    assert drawn is not None
    assert once > 0.95
    assert drawn < 0.6
