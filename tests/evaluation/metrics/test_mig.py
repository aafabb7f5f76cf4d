from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dvae_core.errors import EvaluationError
from dvae_core.evaluation.metrics.mig import mig
from tests.evaluation.known import full_grid, rotated

FACTORS = full_grid(8, 8, repeats=4)


def test_equals_the_reference(
    case: str, reference_arrays: dict[str, Any], reference_values: dict[str, Any]
) -> None:
    value = mig(reference_arrays[f"{case}/codes_train"], reference_arrays["factors_train"])
    assert value == pytest.approx(reference_values[case]["mig"], abs=1e-9)


@pytest.mark.parametrize("codes", [FACTORS, FACTORS[:, ::-1], -2.5 * FACTORS + 1])
def test_one_latent_a_factor_gives_1(codes: Any) -> None:
    assert mig(codes, FACTORS) == pytest.approx(1.0)


def test_duplicated_latents_give_0() -> None:
    assert mig(np.hstack([FACTORS, FACTORS]), FACTORS) == pytest.approx(0.0)


def test_latents_turned_by_45_degrees_give_0() -> None:
    assert mig(rotated(FACTORS), FACTORS) == pytest.approx(0.0, abs=1e-9)


def test_constant_codes_give_0() -> None:
    assert mig(np.zeros_like(FACTORS, dtype=float), FACTORS) == 0.0


def test_noise_gives_almost_0() -> None:
    noise = np.random.default_rng(0).normal(size=(10_000, 5))
    factors = np.random.default_rng(1).integers(0, 8, (10_000, 2))
    assert mig(noise, factors) < 0.01


@pytest.mark.parametrize("correction", [None, "miller_madow"])
@given(data=st.data())
def test_lies_between_0_and_1(correction: Any, data: st.DataObject) -> None:
    categories = data.draw(arrays(np.int64, (40, 3), elements=st.integers(0, 5)))
    factors = data.draw(
        arrays(np.int64, (40, 2), elements=st.integers(0, 3)).filter(
            lambda factors: (np.ptp(factors, axis=0) > 0).all()
        )
    )
    assert 0 <= mig(categories, factors, None, correction) <= 1


def test_one_latent_is_refused() -> None:
    with pytest.raises(EvaluationError, match="second best, but there is one latent"):
        mig(FACTORS[:, :1], FACTORS)
