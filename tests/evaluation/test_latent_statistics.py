from math import log

import numpy as np
import pytest
import torch
from torch import Tensor

from dvae_core.errors import EvaluationError
from dvae_core.evaluation.latent_statistics import categories_used, latent_statistics
from tests.evaluation.known import CategoricalModel, GaussianModel, Plain


def test_gaussian_kl_is_that_of_its_formula() -> None:
    measured = latent_statistics(GaussianModel(lambda x: 0 * x + 3.0), Plain(3, 3), 300, seed=0)
    np.testing.assert_allclose(measured.kl, [4.5, 4.5], rtol=1e-6)


def test_a_certain_category_costs_the_logarithm_of_their_number() -> None:
    measured = latent_statistics(CategoricalModel(8, share=1 - 1e-6), Plain(8), 300, seed=0)
    np.testing.assert_allclose(measured.kl, [log(8)], atol=1e-3)


def test_latents_of_little_kl_are_inactive() -> None:
    scales = torch.tensor([1.0, 0.3])  # 0.5 and 0.045 nats
    measured = latent_statistics(GaussianModel(lambda x: 0 * x + scales), Plain(3, 3), 10, seed=0)
    assert measured.active.tolist() == [True, False]


def test_usage_is_the_mean_posterior() -> None:
    measured = latent_statistics(CategoricalModel(5), Plain(3), 3_000, seed=0)
    assert measured.usage is not None
    # Pixels 0, 1/2 and 1 fall to the first, middle and last of five categories.
    np.testing.assert_allclose(measured.usage, [[1 / 3, 0, 1 / 3, 0, 1 / 3]], atol=0.03)


def test_gaussian_latents_have_no_usage() -> None:
    assert latent_statistics(GaussianModel(), Plain(3), 10, seed=0).usage is None


def test_reconstruction_error_is_summed_over_pixels() -> None:
    class Undecided(GaussianModel):
        def decode(self, codes: Tensor) -> Tensor:
            return torch.zeros(len(codes), 1, 1, 4)

    measured = latent_statistics(Undecided(), Plain(2, 2, 2, 2), 300, seed=0)
    assert measured.reconstruction_error == pytest.approx(4 * log(2))


def test_numbers_that_are_not_finite_are_refused() -> None:
    broken = GaussianModel(lambda x: x / 0)
    with pytest.raises(EvaluationError, match="not finite"):
        latent_statistics(broken, Plain(3), 10, seed=0)


def test_categories_used_run_from_one_to_all() -> None:
    usage = np.array([[1.0, 0.0, 0.0, 0.0], [0.5, 0.5, 0.0, 0.0], [0.25, 0.25, 0.25, 0.25]])
    np.testing.assert_allclose(categories_used(usage), [1.0, 2.0, 4.0])
