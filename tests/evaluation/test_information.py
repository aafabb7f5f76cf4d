from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from sklearn.metrics import mutual_info_score

from dvae_core.errors import EvaluationError
from dvae_core.evaluation.information import (
    countable,
    discretize,
    information_of_countable,
    latent_information_matrix,
    measure_information,
    mutual_information_matrix,
)
from tests.evaluation.known import full_grid

Case = tuple[NDArray[np.int64], NDArray[np.int64]]


@st.composite
def categories_and_factors(draw: st.DrawFn) -> Case:
    points = draw(st.integers(30, 60))
    num_latents, num_factors = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    categories = arrays(np.int64, (points, num_latents), elements=st.integers(0, 11))
    factors = arrays(np.int64, (points, num_factors), elements=st.integers(0, 6))
    return draw(categories), draw(factors)


finite_codes = arrays(
    st.sampled_from([np.float32, np.float64]),
    st.tuples(st.integers(20, 50), st.integers(1, 3)),
    elements=st.floats(-1e6, 1e6, width=32, allow_subnormal=True),
)


def test_equals_the_reference(
    case: str, reference_arrays: dict[str, Any], reference_values: dict[str, Any]
) -> None:
    codes, factors = reference_arrays[f"{case}/codes_train"], reference_arrays["factors_train"]
    measured = measure_information(codes, factors)
    expected = reference_values[case]
    np.testing.assert_allclose(measured.matrix, expected["mutual_information"], atol=1e-9)
    np.testing.assert_allclose(measured.factor_entropy, expected["factor_entropy"], atol=1e-9)


@given(categories_and_factors())
def test_counts_as_scikit_learn_does(case: Case) -> None:
    categories, factors = case
    expected = [[mutual_info_score(v, z) for v in factors.T] for z in categories.T]
    np.testing.assert_allclose(
        mutual_information_matrix(categories, factors, num_bins=None), expected, atol=1e-12
    )


@pytest.mark.parametrize("correction", [None, "miller_madow"])
@given(case=categories_and_factors())
def test_never_leaves_its_bounds(correction: Any, case: Case) -> None:
    measured = measure_information(*case, num_bins=None, correction=correction)
    assert (measured.matrix >= 0).all()
    assert (measured.matrix <= measured.code_entropy[:, None]).all()
    assert (measured.matrix <= measured.factor_entropy).all()


@given(categories_and_factors(), st.randoms(use_true_random=False))
def test_permuting_latents_permutes_rows(case: Case, random: Any) -> None:
    categories, factors = case
    order = list(range(categories.shape[1]))
    random.shuffle(order)
    np.testing.assert_allclose(
        mutual_information_matrix(categories[:, order], factors, num_bins=None),
        mutual_information_matrix(categories, factors, num_bins=None)[order],
        atol=1e-12,
    )


@pytest.mark.parametrize("correction", [None, "miller_madow"])
@given(case=categories_and_factors(), names=st.permutations(range(12)))
def test_names_of_categories_do_not_matter(correction: Any, case: Case, names: list[int]) -> None:
    categories, factors = case
    renamed = 100 * np.array(names)[categories] - 7
    np.testing.assert_allclose(
        mutual_information_matrix(renamed, factors, None, correction),
        mutual_information_matrix(categories, factors, None, correction),
        atol=1e-12,
    )


@given(finite_codes)
def test_bins_are_those_of_the_reference(codes: NDArray[np.floating]) -> None:
    for column, binned in zip(codes.T, discretize(codes, 20).T, strict=True):
        try:
            edges = np.histogram(column, 20)[1]
        except ValueError:  # the codes are closer together than bins can be
            np.testing.assert_array_equal(binned, 0)
        else:
            np.testing.assert_array_equal(binned, np.digitize(column, edges[:-1]) - 1)


def test_greatest_code_falls_in_the_last_bin() -> None:
    codes = np.linspace(0.0, 1.0, 41)[:, None]
    assert discretize(codes, 20).max() == 19


def test_more_categories_than_bins_keep_all_in_native() -> None:
    factors = full_grid(64, repeats=20)
    native = mutual_information_matrix(factors, factors, num_bins=None)
    binned = mutual_information_matrix(factors, factors, num_bins=20)
    np.testing.assert_allclose(native, np.log(64))
    assert binned[0, 0] < np.log(20.1)


def test_independent_codes_have_no_information() -> None:
    grid = full_grid(5, 7, repeats=3)
    measured = mutual_information_matrix(grid[:, :1], grid[:, 1:], num_bins=None)
    np.testing.assert_allclose(measured, 0, atol=1e-12)


def test_miller_madow_takes_off_most_of_the_bias_of_independent_draws() -> None:
    generator = np.random.default_rng(0)
    categories = generator.integers(0, 64, (10_000, 8))
    factors = generator.integers(0, 40, (10_000, 1))
    plug_in = mutual_information_matrix(categories, factors, None).mean()
    corrected = mutual_information_matrix(categories, factors, None, "miller_madow").mean()
    assert plug_in == pytest.approx(63 * 39 / 20_000, rel=0.1)
    assert corrected < 0.1 * plug_in


@pytest.mark.parametrize(("categories", "values"), [(64, 183), (256, 32)])
def test_few_points_per_cell_are_adjusted_for_chance(categories: int, values: int) -> None:
    generator = np.random.default_rng(0)
    factors = generator.integers(0, values, (10_000, 1))
    unrelated = generator.integers(0, categories, (10_000, 8))
    measured = mutual_information_matrix(unrelated, factors, None, "miller_madow")
    assert measured.max() < 0.05  # Miller-Madow alone leaves 0.33 and 0.18 nats
    entropy = measure_information(factors, factors, None).factor_entropy
    perfect = mutual_information_matrix(factors, factors, None, "miller_madow")
    np.testing.assert_allclose(perfect[0], entropy)


def test_miller_madow_subtracts_the_surplus_cells() -> None:
    categories = np.tile([0, 0, 1, 1, 2, 2, 0, 1], 5)[:, None]
    factors = np.tile([0, 0, 0, 0, 1, 1, 1, 1], 5)[:, None]
    plug_in = mutual_information_matrix(categories, factors, None)
    corrected = mutual_information_matrix(categories, factors, None, "miller_madow")
    # Five cells occur, of three categories and two values.
    np.testing.assert_allclose(plug_in - corrected, (5 - 3 - 2 + 1) / 80)


def test_a_factor_with_one_value_has_no_information() -> None:
    factors = np.zeros((50, 1), dtype=np.int64)
    codes = np.random.default_rng(0).normal(size=(50, 2))
    np.testing.assert_array_equal(mutual_information_matrix(codes, factors), 0)


def test_a_collapsed_latent_has_no_information() -> None:
    factors = full_grid(5, repeats=10)
    codes = np.full((50, 1), 0.1, dtype=np.float32)
    np.testing.assert_array_equal(mutual_information_matrix(codes, factors), 0)


def test_a_latent_shares_with_itself_all_its_entropy() -> None:
    codes = full_grid(4, 6, repeats=2)
    np.testing.assert_allclose(
        latent_information_matrix(codes, num_bins=None),
        [[np.log(4), 0], [0, np.log(6)]],
        atol=1e-12,
    )


@pytest.mark.parametrize(
    ("codes", "factors", "num_bins", "message"),
    [
        (np.zeros((50, 2)), np.zeros((49, 1), int), 20, "50 codes and 49 factors"),
        (np.zeros((50, 2)), np.zeros((50, 1)), 20, r"must be integers \(points, F\)"),
        (np.zeros((50, 2)), np.zeros(50, int), 20, r"must be integers \(points, F\)"),
        (np.zeros((50, 2)), np.zeros((50, 0), int), 20, "there are none"),
        (np.zeros(50), np.zeros((50, 1), int), 20, r"must be numbers \(points, N\)"),
        (np.zeros((50, 0)), np.zeros((50, 1), int), 20, "need a point and a latent"),
        (np.zeros((0, 2)), np.zeros((0, 1), int), 20, "need a point and a latent"),
        (np.array([[1.0, np.nan]] * 50), np.zeros((50, 1), int), 20, "latent 1 .* not finite"),
        (np.array([[1e30, 0.0]] * 50), np.zeros((50, 1), int), 20, "latent 0 .* above 1e"),
        (np.zeros((50, 2)), np.zeros((50, 1), int), None, "must be integers: set num_bins"),
        (np.zeros((50, 2)), np.zeros((50, 1), int), 1, "at least 2"),
        (np.zeros((19, 2)), np.zeros((19, 1), int), 20, "19 points are too few for 20 bins"),
        (np.arange(50)[:, None], np.zeros((50, 1), int), None, "all 50 points have different"),
        (np.zeros((50, 1)), np.arange(50)[:, None], 20, "all 50 points have different"),
    ],
)
def test_what_cannot_be_counted_is_refused(
    codes: Any, factors: Any, num_bins: int | None, message: str
) -> None:
    with pytest.raises(EvaluationError, match=message):
        mutual_information_matrix(codes, factors, num_bins)


def test_the_information_about_a_factor_does_not_depend_on_the_others() -> None:
    generator = np.random.default_rng(0)
    codes, factors = generator.integers(0, 64, (2_000, 3)), generator.integers(0, 32, (2_000, 3))
    together = mutual_information_matrix(codes, factors, None, "miller_madow")
    alone = mutual_information_matrix(codes, factors[:, 2:], None, "miller_madow")
    np.testing.assert_array_equal(together[:, 2:], alone)


def test_the_information_between_latents_is_symmetric() -> None:
    generator = np.random.default_rng(0)
    shared = generator.integers(0, 32, (2_000, 1))
    codes = np.hstack([shared, shared + generator.integers(0, 32, (2_000, 2))])
    matrix = latent_information_matrix(codes, None, "miller_madow")
    np.testing.assert_array_equal(matrix, matrix.T)
    assert matrix[0, 1] > 0.1


def test_a_factor_is_countable_if_some_points_share_its_value_and_others_do_not() -> None:
    factors = np.array([[0, 0, 5], [1, 0, 5], [2, 1, 5], [3, 1, 5]])
    assert countable(factors).tolist() == [False, True, False]
    codes = np.linspace(0, 1, 40)[:, None]
    many = np.column_stack([np.arange(40), np.repeat(np.arange(2), 20)])
    information = information_of_countable(codes, many)
    assert information.matrix[0].tolist() == pytest.approx([0.0, np.log(2)])
    assert information.factor_entropy.tolist() == pytest.approx([0.0, np.log(2)])
