from typing import Any

import numpy as np
import pytest

from dvae_core.errors import EvaluationError
from dvae_core.evaluation.metrics.modularity import modularity
from tests.evaluation.known import full_grid, rotated

FACTORS = full_grid(8, 8, repeats=4)


def test_equals_the_reference(
    case: str, reference_arrays: dict[str, Any], reference_values: dict[str, Any]
) -> None:
    value = modularity(reference_arrays[f"{case}/codes_train"], reference_arrays["factors_train"])
    assert value == pytest.approx(reference_values[case]["modularity"], abs=1e-9)


@pytest.mark.parametrize("codes", [FACTORS, FACTORS[:, ::-1], np.hstack([FACTORS, FACTORS])])
def test_latents_of_one_factor_each_give_1(codes: Any) -> None:
    assert modularity(codes, FACTORS) == pytest.approx(1.0)


def test_latents_turned_by_45_degrees_give_0() -> None:
    assert modularity(rotated(FACTORS), FACTORS) == pytest.approx(0.0, abs=1e-9)


def test_a_latent_without_information_counts_0() -> None:
    codes = np.hstack([FACTORS, np.zeros_like(FACTORS)])
    assert modularity(codes, FACTORS) == pytest.approx(0.5)


def test_constant_codes_give_0() -> None:
    assert modularity(np.zeros_like(FACTORS, dtype=float), FACTORS) == 0.0


def test_one_factor_is_refused() -> None:
    with pytest.raises(EvaluationError, match=r"Modularity .* but there is one factor"):
        modularity(FACTORS, FACTORS[:, :1])
