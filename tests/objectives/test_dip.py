from typing import Literal

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from dvae_core.config import RunConfig
from dvae_core.models.latents import CategoricalLatents, GaussianLatents, Posterior
from dvae_core.objectives import Dip, build_objective

B, N, K = 12, 3, 5
STEP = torch.tensor(0)
ONES = torch.ones(N)


def term(objective: Dip, posterior: Posterior) -> float:
    penalty = objective(posterior, posterior.mean_code(), None, STEP)
    kl = posterior.kl().sum(1).mean()
    torch.testing.assert_close(penalty.total - kl, penalty.terms["dip"], rtol=1e-4, atol=1e-5)
    return penalty.terms["dip"].item()


def expected_term(
    covariance: NDArray[np.float64], target: list[float], between: float, within: float
) -> float:
    total = 0.0
    for i in range(N):
        for j in range(N):
            if i == j:
                total += within * (covariance[i, i] - target[i]) ** 2
            else:
                total += between * covariance[i, j] ** 2
    return total


def test_gaussian_terms_are_those_of_the_covariance() -> None:
    means, log_variances = np.random.default_rng(0).normal(size=(2, B, N))
    parameters = np.concatenate([means, log_variances], 1)
    posterior = GaussianLatents(N).posterior(torch.tensor(parameters))
    of_means = np.cov(means.T, bias=True)
    of_codes = of_means + np.diag(np.exp(log_variances).mean(0))
    expected = expected_term(of_means, [1, 1, 1], between=4, within=40)
    assert term(Dip("i", 4.0, ONES), posterior) == pytest.approx(expected)
    expected = expected_term(of_codes, [1, 1, 1], between=4, within=4)
    assert term(Dip("ii", 4.0, ONES), posterior) == pytest.approx(expected)


def test_categorical_terms_are_those_of_expected_codes() -> None:
    logits = np.random.default_rng(1).normal(size=(B, N, K))
    probabilities = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    values = np.linspace(-1, 1, K)
    means = probabilities @ values
    variances = probabilities @ values**2 - means**2
    posterior = CategoricalLatents(N, K).posterior(torch.tensor(logits).flatten(1))
    target = [(K + 1) / (3 * (K - 1))] * N
    config = RunConfig(num_latents=N, num_categories=K, dip_weight=4.0, objective="dip_i")
    expected = expected_term(np.cov(means.T, bias=True), target, between=4, within=40)
    assert term(built(config), posterior) == pytest.approx(expected, rel=1e-5)
    config = RunConfig(num_latents=N, num_categories=K, dip_weight=4.0, objective="dip_ii")
    covariance = np.cov(means.T, bias=True) + np.diag(variances.mean(0))
    expected = expected_term(covariance, target, between=4, within=4)
    assert term(built(config), posterior) == pytest.approx(expected, rel=1e-5)


def built(config: RunConfig) -> Dip:
    objective = build_objective(config)
    assert isinstance(objective, Dip)
    return objective


def test_the_target_is_the_variance_of_each_latents_own_grid() -> None:
    config = RunConfig(
        objective="dip_i", num_latents=4, num_categories=64, cardinalities=(2, 3, 40)
    )
    # (K + 1) / (3 (K - 1)): 1 for two values at -1 and 1, 2/3 for three.
    expected = torch.tensor([1.0, 2 / 3, 41 / 117, 65 / 189])
    torch.testing.assert_close(built(config).prior_variance, expected)


def test_the_target_of_gaussian_latents_is_one() -> None:
    config = RunConfig(objective="dip_ii", latents="gaussian", num_latents=3)
    assert built(config).prior_variance.tolist() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize("objective", ["dip_i", "dip_ii"])
def test_codes_that_fill_their_grid_cost_nothing(objective: Literal["dip_i", "dip_ii"]) -> None:
    config = RunConfig(objective=objective, num_latents=2, num_categories=5, cardinalities=(3,))
    first, second = torch.meshgrid(torch.arange(3), torch.arange(5), indexing="ij")
    logits = torch.full((15, 2, 5), -1e4)
    logits[torch.arange(15), 0, first.flatten()] = 0.0
    logits[torch.arange(15), 1, second.flatten()] = 0.0
    posterior = CategoricalLatents(2, 5, (3,)).posterior(logits.flatten(1))
    assert term(built(config), posterior) == pytest.approx(0.0, abs=1e-9)


def test_codes_that_say_nothing_cost_only_where_the_posteriors_width_is_left_out() -> None:
    posterior = CategoricalLatents(2, 3).posterior(torch.zeros(8, 6))
    ignored = RunConfig(objective="dip_ii", num_latents=2, num_categories=3)
    assert term(built(ignored), posterior) == pytest.approx(0.0, abs=1e-9)
    priced = RunConfig(objective="dip_i", num_latents=2, num_categories=3, dip_weight=1.5)
    assert term(built(priced), posterior) == pytest.approx(2 * 15.0 * (2 / 3) ** 2)


@pytest.mark.parametrize("variant", ["i", "ii"])
@pytest.mark.parametrize("latents", [GaussianLatents(2), CategoricalLatents(2, 4, (3,))])
def test_gradients_are_those_of_finite_differences(
    variant: Literal["i", "ii"], latents: GaussianLatents | CategoricalLatents
) -> None:
    objective = Dip(variant, 2.0, torch.tensor([0.5, 0.7]))
    size = (5, latents.head_size)
    noise = torch.Generator().manual_seed(0)
    parameters = torch.randn(size, dtype=torch.float64, generator=noise, requires_grad=True)

    def dip(parameters: torch.Tensor) -> torch.Tensor:
        posterior = latents.double().posterior(parameters)
        return objective(posterior, posterior.mean_code(), None, STEP).terms["dip"]

    assert torch.autograd.gradcheck(dip, parameters)
