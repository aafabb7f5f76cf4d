from math import log

import numpy as np
import pytest
import torch
from torch.distributions import Categorical, Normal, kl_divergence

from dvae_core.errors import ConfigError
from dvae_core.models.latents import CategoricalLatents, GaussianLatents, Posterior

B, N, K = 5, 3, 8


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def categorical() -> CategoricalLatents:
    return CategoricalLatents(N, K)


@pytest.fixture
def logits() -> torch.Tensor:
    return 2 * torch.randn(B, N, K, generator=generator())


def test_category_values_span_minus_one_to_one_evenly(categorical: CategoricalLatents) -> None:
    expected = np.linspace(-1, 1, K)
    np.testing.assert_allclose(categorical.values, np.tile(expected, (N, 1)), atol=1e-6)


def test_parameters_are_read_latent_by_latent(categorical: CategoricalLatents) -> None:
    parameters = torch.arange(2 * N * K).reshape(2, N * K).float()
    posterior = categorical.posterior(parameters)
    assert posterior.logits[1, 2, 3] == N * K + 2 * K + 3


def test_categorical_kl_is_that_to_the_uniform(
    categorical: CategoricalLatents, logits: torch.Tensor
) -> None:
    expected = kl_divergence(Categorical(logits=logits), Categorical(logits=torch.zeros(N, K)))
    torch.testing.assert_close(categorical.posterior(logits.flatten(1)).kl(), expected)


def test_categorical_kl_of_a_certain_category_is_log_k(categorical: CategoricalLatents) -> None:
    logits = torch.zeros(1, N, K)
    logits[..., 2] = 1000.0
    kl = categorical.posterior(logits.flatten(1)).kl()
    torch.testing.assert_close(kl, torch.full((1, N), log(K)))


def test_mean_code_is_the_expectation_of_the_values(
    categorical: CategoricalLatents, logits: torch.Tensor
) -> None:
    probabilities = np.exp(logits.double().numpy())
    probabilities /= probabilities.sum(-1, keepdims=True)
    expected = probabilities @ np.linspace(-1, 1, K)
    posterior = categorical.posterior(logits.flatten(1))
    np.testing.assert_allclose(posterior.mean_code(), expected, atol=1e-6)


def test_mode_code_is_the_value_of_the_most_likely_category(
    categorical: CategoricalLatents, logits: torch.Tensor
) -> None:
    posterior = categorical.posterior(logits.flatten(1))
    expected = np.linspace(-1, 1, K)[logits.argmax(-1).numpy()]
    np.testing.assert_allclose(posterior.mode_code(), expected, atol=1e-6)
    assert torch.equal(posterior.discrete_code(), logits.argmax(-1))


def test_without_noise_a_soft_sample_is_the_mean_code(
    categorical: CategoricalLatents, logits: torch.Tensor
) -> None:
    posterior = categorical.posterior(logits.flatten(1), noise_scale=0.0)
    torch.testing.assert_close(posterior.sample(generator()), posterior.mean_code())


def test_the_noise_scale_multiplies_gumbel_noise(
    categorical: CategoricalLatents, logits: torch.Tensor
) -> None:
    noise = torch.randn(B, N, K, generator=generator())
    sample = categorical.posterior(logits.flatten(1), noise_scale=0.7).sample(noise=noise)
    expected = ((logits + 0.7 * noise).softmax(-1) * torch.linspace(-1, 1, K)).sum(-1)
    torch.testing.assert_close(sample, expected)


def test_hard_samples_at_noise_scale_one_follow_the_posterior() -> None:
    latents = CategoricalLatents(1, 4)
    logits = torch.tensor([0.5, -1.0, 2.0, 0.0])
    posterior = latents.posterior(logits.repeat(40_000, 1))
    sample = posterior.sample(generator(), sampling="straight_through")
    shares = [(sample - value).abs().lt(1e-4).float().mean() for value in latents.values[0]]
    torch.testing.assert_close(torch.stack(shares), logits.softmax(0), atol=0.01, rtol=0.0)


def test_straight_through_is_hard_forward_and_soft_backward(
    categorical: CategoricalLatents, logits: torch.Tensor
) -> None:
    noise = torch.randn(B, N, K, generator=generator())
    gradients = []
    for sampling in ("soft", "straight_through"):
        parameters = logits.flatten(1).requires_grad_()
        sample = categorical.posterior(parameters).sample(noise=noise, sampling=sampling)
        gradients.append(torch.autograd.grad(sample.sum(), parameters)[0])
    torch.testing.assert_close(gradients[0], gradients[1])
    distance = (sample.unsqueeze(-1) - categorical.values).abs().min(-1).values
    assert distance.max() < 1e-6


def test_gumbel_noise_has_the_mean_and_variance_of_its_law(categorical: CategoricalLatents) -> None:
    noise = categorical.noise(10_000, generator())
    assert noise.mean().item() == pytest.approx(0.5772, abs=0.01)
    assert noise.var().item() == pytest.approx(np.pi**2 / 6, abs=0.02)


def test_prior_draws_every_category_equally(categorical: CategoricalLatents) -> None:
    codes = categorical.sample_prior(20_000, generator())
    assert codes.shape == (20_000, N)
    for value in categorical.values[0]:
        share = (codes == value).float().mean().item()
        assert share == pytest.approx(1 / K, abs=0.005)


def test_a_traversal_visits_the_categories(categorical: CategoricalLatents) -> None:
    assert torch.equal(categorical.traversal_values(0), categorical.values[0])
    few = categorical.traversal_values(0, 3)
    assert len(few) == 3
    assert set(few.tolist()) <= set(categorical.values[0].tolist())
    assert (few[0], few[-1]) == (-1, 1)


def test_density_of_categories_is_their_probability(
    categorical: CategoricalLatents, logits: torch.Tensor
) -> None:
    posterior = categorical.posterior(logits.flatten(1))
    torch.testing.assert_close(posterior.density(categorical.values), logits.softmax(-1))


def test_a_grid_needs_two_categories() -> None:
    with pytest.raises(ConfigError, match="at least 2"):
        CategoricalLatents(3, 1)


def test_gaussian_kl_is_that_to_the_standard_normal() -> None:
    mean, log_variance = torch.randn(2, B, N, generator=generator())
    posterior = GaussianLatents(N).posterior(torch.cat([mean, log_variance], 1))
    expected = kl_divergence(Normal(mean, (log_variance / 2).exp()), Normal(0.0, 1.0))
    torch.testing.assert_close(posterior.kl(), expected)


def test_gaussian_samples_have_the_posteriors_mean_and_deviation() -> None:
    parameters = torch.tensor([[1.5, log(0.25)]]).repeat(40_000, 1)
    sample = GaussianLatents(1).posterior(parameters).sample(generator())
    assert sample.mean().item() == pytest.approx(1.5, abs=0.01)
    assert sample.std().item() == pytest.approx(0.5, abs=0.01)


def test_gaussian_density_integrates_to_one() -> None:
    points = torch.linspace(-8, 8, 2001).repeat(1, 1)
    posterior = GaussianLatents(1).posterior(torch.tensor([[0.3, log(0.5)]]))
    assert torch.trapezoid(posterior.density(points), points).item() == pytest.approx(1, abs=1e-4)


def test_a_gaussian_has_no_categories() -> None:
    latents = GaussianLatents(N)
    assert latents.num_categories is None
    posterior: Posterior = latents.posterior(torch.zeros(B, 2 * N))
    assert posterior.discrete_code() is None


@pytest.mark.parametrize(
    ("span", "low", "high"),
    [
        ("prior ±2 sd", -2.0, 2.0),
        ("prior quantiles", -2.3263, 2.3263),
        ("data ±2 sd", 5 - 2 * 10**0.5, 5 + 2 * 10**0.5),
        ("data range", 1.0, 9.0),
    ],
)
def test_a_gaussian_traversal_covers_the_span_it_names(span: str, low: float, high: float) -> None:
    codes = torch.tensor([[0.0, 1.0], [0.0, 3.0], [0.0, 5.0], [0.0, 7.0], [0.0, 9.0]])
    values = GaussianLatents(2).traversal_values(1, 7, span, codes)
    assert (values[0].item(), values[-1].item()) == pytest.approx((low, high), abs=1e-3)


def test_a_gaussian_latent_that_never_moves_still_has_a_range() -> None:
    values = GaussianLatents(1).traversal_values(0, 5, "data range", torch.zeros(3, 1))
    assert (values.diff() > 0).all()


@pytest.mark.parametrize(("span", "message"), [("wide", "no range"), ("data range", "needs codes")])
def test_a_span_that_cannot_be_is_refused(span: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        GaussianLatents(1).traversal_values(0, 5, span)


@pytest.mark.parametrize("latents", [CategoricalLatents(N, K), GaussianLatents(N)])
def test_both_families_answer_in_the_same_shapes(
    latents: CategoricalLatents | GaussianLatents,
) -> None:
    posterior = latents.posterior(torch.randn(B, latents.head_size, generator=generator()))
    for code in (posterior.mean_code(), posterior.mode_code(), posterior.kl()):
        assert code.shape == (B, N)
    assert posterior.sample(generator()).shape == (B, N)
    assert posterior.sample(noise=latents.noise(B, generator())).shape == (B, N)
    assert latents.sample_prior(7, generator()).shape == (7, N)
    values = latents.traversal_values(1, 5)
    assert (values.diff() > 0).all()
    assert posterior.density(values.repeat(N, 1)).shape == (B, N, 5)
