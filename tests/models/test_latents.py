from math import log

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.distributions import Categorical, Normal, kl_divergence

from dvae_core.config import FAMILIES, ModelConfig, Sampling
from dvae_core.errors import ConfigError
from dvae_core.models.latents import (
    CategoricalLatents,
    GaussianLatents,
    GaussianPosterior,
    Latents,
    Posterior,
    build_latents,
)

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
    posterior = categorical.distribution(parameters)
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
    density = posterior.density(list(categorical.values))
    torch.testing.assert_close(torch.stack(density, 1), logits.softmax(-1))


CARDINALITIES = st.integers(1, 4).flatmap(
    lambda count: st.lists(st.integers(2, K), min_size=count, max_size=count)
)


def masked(cardinalities: list[int], seed: int = 0) -> tuple[CategoricalLatents, torch.Tensor]:
    """Latents of known cardinalities, one beyond them, and what an encoder says: wildest where it
    must not be heard."""
    latents = CategoricalLatents(len(cardinalities) + 1, K, cardinalities)
    parameters = 3 * torch.randn(B, latents.head_size, generator=generator(seed))
    said = parameters.view(B, -1, K)
    for latent, cardinality in enumerate(cardinalities):
        said[:, latent, cardinality:] *= 1e4
    return latents, parameters


@given(CARDINALITIES)
def test_masked_kl_and_expectation_are_those_over_the_categories_there_are(
    cardinalities: list[int],
) -> None:
    latents, parameters = masked(cardinalities)
    posterior = latents.posterior(parameters)
    logits = parameters.double().numpy().reshape(B, -1, K)
    for latent, count in enumerate([*cardinalities, K]):
        q = np.exp(logits[:, latent, :count])
        q /= q.sum(-1, keepdims=True)
        kl = (q * np.log(q * count)).sum(-1)
        np.testing.assert_allclose(posterior.kl()[:, latent], kl, atol=1e-5)
        values = np.linspace(-1, 1, count)
        np.testing.assert_allclose(posterior.mean_code()[:, latent], q @ values, atol=1e-5)
        np.testing.assert_allclose(
            posterior.mode_code()[:, latent], values[q.argmax(-1)], atol=1e-6
        )
        np.testing.assert_array_equal(posterior.discrete_code()[:, latent], q.argmax(-1))
        np.testing.assert_allclose(
            posterior.probabilities()[:, latent], np.pad(q, ((0, 0), (0, K - count))), atol=1e-6
        )


@given(CARDINALITIES, st.floats(0.1, 10.0))
def test_a_sample_never_takes_a_masked_category(
    cardinalities: list[int], noise_scale: float
) -> None:
    latents, parameters = masked(cardinalities)
    posterior = latents.posterior(parameters.repeat(20, 1), noise_scale)
    sample = posterior.sample(generator(), sampling="straight_through")
    for latent, count in enumerate([*cardinalities, K]):
        distance = (sample[:, latent, None] - torch.linspace(-1, 1, count)).abs().min(-1).values
        assert distance.max() < 1e-6


@given(CARDINALITIES)
def test_the_prior_of_known_cardinalities_is_uniform_over_them(cardinalities: list[int]) -> None:
    latents = CategoricalLatents(len(cardinalities), K, cardinalities)
    codes = latents.sample_prior(4000, generator())
    for latent, count in enumerate(cardinalities):
        values = latents.traversal_values(latent)
        torch.testing.assert_close(values, torch.linspace(-1, 1, count))
        shares = (codes[:, latent, None] == values).float().mean(0)
        assert shares.sum().item() == pytest.approx(1)
        assert (shares - 1 / count).abs().max() < 0.05


@given(CARDINALITIES, st.sampled_from(["soft", "straight_through"]))
def test_gradients_are_finite_and_leave_what_is_masked_alone(
    cardinalities: list[int], sampling: Sampling
) -> None:
    latents, parameters = masked(cardinalities)
    parameters.requires_grad_()
    posterior = latents.posterior(parameters, noise_scale=2.0)
    loss = 1e4 * posterior.kl().sum() + posterior.sample(generator(), sampling).square().sum()
    (gradient,) = torch.autograd.grad(loss, parameters)
    assert gradient.isfinite().all()
    gradient = gradient.view(B, -1, K)
    for latent, count in enumerate([*cardinalities, K]):
        assert (gradient[:, latent, count:] == 0).all()
        assert gradient[:, latent, :count].abs().max() > 0


def test_gradients_of_kl_and_code_are_those_of_finite_differences() -> None:
    latents = CategoricalLatents(2, 5, (3,)).double()
    parameters = torch.randn(2, 10, dtype=torch.float64, generator=generator()).requires_grad_()

    def kl_and_code(parameters: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        posterior = latents.posterior(parameters)
        return posterior.kl(), posterior.mean_code()

    assert torch.autograd.gradcheck(kl_and_code, parameters)


def test_a_certain_masked_latent_says_the_log_of_its_cardinality() -> None:
    latents = CategoricalLatents(2, K, (3,))
    logits = torch.zeros(1, 2, K)
    logits[..., 1] = 1000.0
    kl = latents.posterior(logits.flatten(1)).kl()
    torch.testing.assert_close(kl, torch.tensor([[log(3), log(K)]]))
    idle = latents.posterior(torch.zeros(1, 2 * K)).kl()
    torch.testing.assert_close(idle, torch.zeros(1, 2))


def test_density_of_a_masked_latent_is_that_of_its_nearest_category() -> None:
    latents, parameters = masked([3])
    posterior = latents.posterior(parameters)
    points = torch.tensor([-1.0, -0.4, 0.6, 1.0, 7.0])
    density, _ = posterior.density([points, points])
    torch.testing.assert_close(density, posterior.probabilities()[:, 0, [0, 1, 2, 2, 2]])


def test_cardinalities_change_no_size_and_no_saved_key() -> None:
    known, unknown = CategoricalLatents(N, K, (2, 5)), CategoricalLatents(N, K)
    assert known.head_size == unknown.head_size == N * K
    for latents in (known, unknown):
        assert {key: value.shape for key, value in latents.state_dict().items()} == {
            "values": (N, K)
        }
        assert all(value.isfinite().all() for value in latents.state_dict().values())


def test_cardinalities_of_all_k_are_as_if_unknown(logits: torch.Tensor) -> None:
    known = CategoricalLatents(N, K, [K] * N).distribution(logits.flatten(1))
    assert known.category_counts is None  # nothing is masked, and no work is done for it
    assert torch.equal(known.logits, logits)


@pytest.mark.parametrize(
    ("cardinalities", "message"),
    [([1], "1 for latent 0"), ([3, K + 1], f"{K + 1} for latent 1"), ([2] * (N + 1), "numbers")],
)
def test_cardinalities_that_fit_no_latent_are_refused(
    cardinalities: list[int], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        CategoricalLatents(N, K, cardinalities)


def test_categories_may_lie_off_the_grid() -> None:
    values = [[0.0, 1.0, 10.0], [-3.0, 4.0]]
    latents = CategoricalLatents.at_values(values)
    assert latents.category_counts == (3, 2)
    assert latents.code_range == (-3.0, 10.0)
    assert [latents.traversal_values(latent).tolist() for latent in range(2)] == values
    parameters = torch.tensor([[0.0, 0.0, 0.0, 0.0, log(3), 99.0]])
    torch.testing.assert_close(
        latents.posterior(parameters).mean_code(), torch.tensor([[11 / 3, 9 / 4]])
    )


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([[0.0, 1.0], [1.0, 1.0]], "latent 1 are not ascending"),
        ([[0.0, float("nan")]], "latent 0 are not ascending"),
        ([[0.0, 1.0], [0.5]], "1 for latent 1"),
        ([], "at least 2"),
    ],
)
def test_category_values_that_are_no_scale_are_refused(
    values: list[list[float]], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        CategoricalLatents.at_values(values)


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
    points = torch.linspace(-8, 8, 2001)
    posterior = GaussianLatents(1).posterior(torch.tensor([[0.3, log(0.5)]]))
    (density,) = posterior.density([points])
    assert torch.trapezoid(density, points).item() == pytest.approx(1, abs=1e-4)


def test_a_gaussian_has_no_categories() -> None:
    latents = GaussianLatents(N)
    assert latents.num_categories is None
    assert latents.category_counts == ()
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


@pytest.mark.parametrize(
    "latents",
    [
        *(build_latents(ModelConfig(latents=f, num_latents=N, num_categories=K)) for f in FAMILIES),
        CategoricalLatents(N, K, (2, 5)),
    ],
)
def test_all_families_answer_in_the_same_shapes(latents: Latents) -> None:
    posterior = latents.posterior(torch.randn(B, latents.head_size, generator=generator()))
    for code in (posterior.mean_code(), posterior.mode_code(), posterior.kl()):
        assert code.shape == (B, N)
    assert posterior.sample(generator()).shape == (B, N)
    assert posterior.sample(noise=latents.noise(B, generator())).shape == (B, N)
    assert latents.sample_prior(7, generator()).shape == (7, N)
    values = latents.traversal_values(1, 5)
    assert (values.diff() > 0).all()
    assert [tuple(density.shape) for density in posterior.density([values] * N)] == [(B, 5)] * N


def test_sampled_kl_is_that_of_the_category_that_noise_selects(
    categorical: CategoricalLatents, logits: torch.Tensor
) -> None:
    posterior = categorical.posterior(logits.flatten(1))
    torch.testing.assert_close(posterior.sampled_kl(1.0), posterior.kl())
    expected = categorical.posterior(2 * logits.flatten(1)).kl()
    torch.testing.assert_close(posterior.sampled_kl(0.5), expected)
    torch.testing.assert_close(posterior.sampled_kl(0.0), torch.full_like(expected, log(K)))


def test_noise_selects_categories_as_the_scaled_logits_say(
    categorical: CategoricalLatents,
) -> None:
    logits = torch.linspace(-1, 1, N * K).repeat(20_000, 1)
    posterior = categorical.distribution(logits, noise_scale=0.5)
    drawn = posterior.sample(generator(), "straight_through")  # (B, N)
    near = (drawn.detach()[..., None] - posterior.values).abs().argmin(-1)
    shares = torch.stack([(near == category).float().mean(0) for category in range(K)], -1)
    torch.testing.assert_close(shares, (posterior.logits[0] / 0.5).softmax(-1), atol=0.015, rtol=0)


def test_the_gaussian_sampled_kl_is_the_kl() -> None:
    posterior = GaussianPosterior(torch.randn(3, N), torch.randn(3, N))
    assert torch.equal(posterior.sampled_kl(0.5), posterior.kl())
