"""Estimates against sums over every combination of categories, loops over pairs and known cases."""

from itertools import product
from math import exp, log, pi

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from dvae_core.config import RunConfig
from dvae_core.models.latents import CategoricalLatents, CategoricalPosterior, GaussianLatents
from dvae_core.objectives import (
    build_objective,
    categorical_total_correlation,
    gaussian_total_correlation,
)

STEP = torch.tensor(0)
LEAST = 2**-24  # of 1 - torch.rand


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def true_total_correlation(probabilities: list[NDArray[np.float64]]) -> float:
    """Of the mixture of posteriors, summed over all combinations; one (B, K_j) a latent."""
    total = 0.0
    for categories in product(*[range(latent.shape[1]) for latent in probabilities]):
        columns = [latent[:, k] for latent, k in zip(probabilities, categories, strict=True)]
        joint = np.prod(columns, axis=0).mean()
        total += joint * log(joint / np.prod([column.mean() for column in columns]))
    return total


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    weights = np.exp(logits)
    return weights / weights.sum(-1, keepdims=True)


@pytest.mark.parametrize(
    ("count", "counts"), [(2, (3, 3)), (3, (2, 2)), (2, (2, 2, 2)), (2, (4, 2))]
)
def test_the_mean_over_all_draws_is_the_total_correlation_and_its_gradient(
    count: int, counts: tuple[int, ...]
) -> None:
    width = max(counts)
    latents = CategoricalLatents(len(counts), width, counts).double()
    logits = np.random.default_rng(5).normal(size=(count, len(counts), width), scale=1.5)

    def truth(logits: NDArray[np.float64]) -> float:
        return true_total_correlation(
            [softmax(logits[:, latent, :size]) for latent, size in enumerate(counts)]
        )

    parameters = torch.tensor(logits, requires_grad=True)
    posterior = latents.distribution(parameters.flatten(1))
    probabilities = posterior.probabilities().detach()
    ends = probabilities.cumsum(-1)
    mean, gradient = 0.0, torch.zeros_like(parameters)
    slots = [range(size) for _ in range(count) for size in counts]
    for draw in product(*slots):
        categories = torch.tensor(draw).view(count, len(counts), 1)
        chance = probabilities.gather(2, categories)
        uniform = (ends.gather(2, categories) - chance / 2).squeeze(2)
        weight = chance.prod().item()
        estimate = categorical_total_correlation(posterior, uniform)
        mean += weight * estimate.item()
        gradient += weight * torch.autograd.grad(estimate, parameters, retain_graph=True)[0]

    assert mean == pytest.approx(truth(logits), rel=1e-9)
    for place in np.ndindex(*logits.shape):
        step = np.zeros_like(logits)
        step[place] = 1e-5
        slope = (truth(logits + step) - truth(logits - step)) / 2e-5
        assert gradient[place].item() == pytest.approx(slope, abs=1e-8)


def one_hot(categories: list[tuple[int, ...]], num_categories: int) -> CategoricalPosterior:
    logits = torch.full((len(categories), len(categories[0]), num_categories), -1e4)
    logits.scatter_(2, torch.tensor(categories).unsqueeze(2), 0.0)
    return CategoricalLatents(len(categories[0]), num_categories).distribution(logits.flatten(1))


@pytest.mark.parametrize(
    ("categories", "expected"),
    [
        ([(k, k) for k in range(8)], log(8)),  # each latent says the same
        ([(k, k, k) for k in range(8)], 2 * log(8)),
        ([(j, k) for j in range(4) for k in range(4)], 0.0),  # each latent says its own
        ([(k, 3) for k in range(8)], 0.0),
    ],
)
def test_known_cases_of_categories(categories: list[tuple[int, ...]], expected: float) -> None:
    posterior = one_hot(categories, 8)
    uniform = torch.rand(len(categories), len(categories[0]), generator=generator())
    estimate = categorical_total_correlation(posterior, uniform)
    assert estimate.item() == pytest.approx(expected, abs=1e-5)


def test_equal_posteriors_have_no_total_correlation() -> None:
    logits = torch.randn(1, 3 * 6, generator=generator()).expand(10, -1)
    posterior = CategoricalLatents(3, 6).distribution(logits)
    uniform = torch.rand(10, 3, generator=generator())
    # Neither joint nor marginal terms are exact here, but their difference is in the mean.
    estimates = [
        categorical_total_correlation(posterior, torch.rand(10, 3, generator=generator(seed)))
        for seed in range(200)
    ]
    assert torch.stack(estimates).mean().item() == pytest.approx(0.0, abs=0.03)
    assert categorical_total_correlation(posterior, uniform).isfinite()


@pytest.mark.parametrize("uniform", [LEAST, 0.5, 1.0])
@pytest.mark.parametrize("scale", [0.0, 1.0, 100.0, 1e6])
def test_sure_and_masked_categories_give_finite_numbers(uniform: float, scale: float) -> None:
    logits = (scale * torch.randn(16, 3 * 9, generator=generator())).requires_grad_()
    posterior = CategoricalLatents(3, 9, (2, 5)).distribution(logits)
    estimate = categorical_total_correlation(posterior, torch.full((16, 3), uniform))
    (gradient,) = torch.autograd.grad(estimate, logits)
    assert abs(estimate.item()) < 100
    assert gradient.isfinite().all()


def test_a_category_that_has_no_chance_is_never_drawn() -> None:
    # Sums of these chances end beside 1, on one side or the other.
    logits = torch.randn(500, 2 * 7, generator=generator())
    posterior = CategoricalLatents(2, 7, (6, 6)).distribution(logits)
    estimate = categorical_total_correlation(posterior, torch.ones(500, 2))
    assert abs(estimate.item()) < 10


def gaussian_truth(means: Tensor, log_variances: Tensor, code: Tensor) -> float:
    """Loops over images, posteriors and latents, in natural units."""
    count, num_latents = code.shape
    total = 0.0
    for j in range(count):
        densities = np.zeros((count, num_latents))
        for i in range(count):
            for latent in range(num_latents):
                variance = exp(log_variances[i, latent])
                distance = (code[j, latent] - means[i, latent]).item() ** 2
                densities[i, latent] = exp(-distance / (2 * variance)) / (2 * pi * variance) ** 0.5
        total += log(densities.prod(1).mean()) - np.log(densities.mean(0)).sum()
    return total / count


def test_the_gaussian_estimate_is_that_of_the_batchs_mixture() -> None:
    means, log_variances, noise = torch.randn(3, 6, 3, generator=generator(), dtype=torch.float64)
    posterior = GaussianLatents(3).posterior(torch.cat([means, log_variances], 1))
    code = posterior.sample(noise=noise)
    expected = gaussian_truth(means, log_variances, code)
    assert gaussian_total_correlation(posterior, code).item() == pytest.approx(expected)


@pytest.mark.parametrize(
    ("means", "expected"),
    [
        (torch.zeros(5, 3), 0.0),  # all posteriors are the prior
        (torch.arange(8.0)[:, None].expand(8, 2), log(8)),  # apart, and each latent says the same
        (torch.arange(8.0)[:, None].expand(8, 3), 2 * log(8)),
        (torch.cartesian_prod(torch.arange(4.0), torch.arange(4.0)), 0.0),
    ],
)
def test_known_cases_of_normals(means: Tensor, expected: float) -> None:
    means = 100 * means
    posterior = GaussianLatents(means.shape[1]).posterior(torch.cat([means, 0 * means], 1))
    code = posterior.sample(generator())
    estimate = gaussian_total_correlation(posterior, code)
    assert estimate.item() == pytest.approx(expected, abs=1e-4)


def test_the_gaussian_gradient_goes_through_the_code_and_the_posteriors() -> None:
    noise = torch.randn(4, 2, generator=generator(), dtype=torch.float64)
    parameters = torch.randn(4, 4, generator=generator(1), dtype=torch.float64, requires_grad=True)

    def estimate(parameters: Tensor) -> Tensor:
        posterior = GaussianLatents(2).posterior(parameters)
        return gaussian_total_correlation(posterior, posterior.sample(noise=noise))

    assert torch.autograd.gradcheck(estimate, parameters)


def test_tc_adds_beta_minus_one_times_the_gaussian_total_correlation() -> None:
    config = RunConfig(objective="tc", beta=6.0, latents="gaussian", num_latents=2)
    objective = build_objective(config)
    parameters = torch.randn(5, 4, generator=generator(), dtype=torch.float64)
    means, log_variances = parameters.chunk(2, 1)
    posterior = GaussianLatents(2).posterior(parameters)
    code = posterior.sample(noise=torch.randn(5, 2, generator=generator(1), dtype=torch.float64))
    penalty = objective(posterior, code, None, STEP)
    correlation = gaussian_truth(means, log_variances, code)
    kl = posterior.kl().sum(1).mean().item()
    assert penalty.terms["total_correlation"].item() == pytest.approx(correlation)
    assert penalty.total.item() == pytest.approx(kl + 5.0 * correlation)
    assert objective.code_penalty(posterior, code).item() == pytest.approx(5.0 * correlation)


def test_tc_adds_beta_minus_one_times_the_categorical_total_correlation() -> None:
    config = RunConfig(objective="tc", beta=3.0, num_latents=2, num_categories=8)
    objective = build_objective(config)
    posterior = one_hot([(k, k) for k in range(8)], 8)
    code = posterior.mean_code()
    noise = objective.noise((8, 2), generator(), code.device)
    penalty = objective(posterior, code, noise, STEP)
    assert penalty.terms["total_correlation"].item() == pytest.approx(log(8), abs=1e-5)
    assert penalty.total.item() == pytest.approx(2 * log(8) + 2.0 * log(8), abs=1e-4)
    assert objective.code_penalty(posterior, code).item() == 0.0
