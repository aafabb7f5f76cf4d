from typing import Any

import numpy as np
import pytest

from dvae_core.errors import EvaluationError
from dvae_core.evaluation.metrics.sap import predictability_matrix, sap
from tests.evaluation.known import full_grid

FACTORS = full_grid(2, 2, repeats=100)


def test_equals_the_reference(
    case: str, reference_arrays: dict[str, Any], reference_values: dict[str, Any]
) -> None:
    value = sap(
        reference_arrays[f"{case}/codes_train"],
        reference_arrays["factors_train"],
        reference_arrays[f"{case}/codes_test"],
        reference_arrays["factors_test"],
    )
    assert value == pytest.approx(reference_values[case]["sap"], abs=0.005)


def test_a_latent_predicts_its_own_factor_alone() -> None:
    codes = FACTORS.astype(float)
    accuracies = predictability_matrix(codes, FACTORS, codes, FACTORS)
    np.testing.assert_allclose(accuracies, [[1.0, 0.5], [0.5, 1.0]])


def test_one_latent_a_factor_is_ahead_by_what_guessing_misses() -> None:
    codes = FACTORS.astype(float)
    assert sap(codes, FACTORS, codes, FACTORS) == pytest.approx(0.5)


def test_duplicated_latents_give_0() -> None:
    codes = np.hstack([FACTORS, FACTORS])
    assert sap(codes, FACTORS, codes, FACTORS) == 0.0


def test_constant_codes_give_0() -> None:
    codes = np.full(FACTORS.shape, 0.3)
    assert sap(codes, FACTORS, codes, FACTORS) == 0.0


def test_training_points_decide_the_machine_and_test_points_the_accuracy() -> None:
    codes = FACTORS.astype(float)
    assert predictability_matrix(codes, FACTORS, codes, 1 - FACTORS)[0, 0] == 0.0


def test_one_latent_is_refused() -> None:
    codes = FACTORS[:, :1]
    with pytest.raises(EvaluationError, match=r"SAP .* but there is one latent"):
        sap(codes, FACTORS, codes, FACTORS)


def test_other_latents_in_testing_are_refused() -> None:
    with pytest.raises(EvaluationError, match="test set has 4 and 2"):
        sap(FACTORS, FACTORS, np.hstack([FACTORS, FACTORS]), FACTORS)
