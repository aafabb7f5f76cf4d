"""Learnt values, distances and points, against loops over the authors' formulas."""

from math import log

import numpy as np
import pytest
import torch

from dvae_core.config import FAMILIES, FamilyName, ModelConfig
from dvae_core.models.latents import (
    CategoricalLatents,
    CategoricalPosterior,
    PointPosterior,
    Posterior,
    build_latents,
    joined,
)
from dvae_core.models.vae import build_model

B, N, K = 6, 3, 5
DISCRETE: list[FamilyName] = [name for name, info in FAMILIES.items() if info.has_categories]
POINTS: list[FamilyName] = [name for name, info in FAMILIES.items() if info.is_deterministic]


def latents_of(family: FamilyName, cardinalities: tuple[int, ...] = ()) -> CategoricalLatents:
    config = ModelConfig(
        latents=family, num_latents=N, num_categories=K, cardinalities=cardinalities
    )
    latents = build_latents(config)
    assert isinstance(latents, CategoricalLatents)
    return latents


def scalars(scale: float = 1.0) -> torch.Tensor:
    return scale * torch.randn(B, N, generator=torch.Generator().manual_seed(0))


def point(latents: CategoricalLatents, parameters: torch.Tensor) -> PointPosterior:
    posterior = latents.posterior(parameters)
    assert isinstance(posterior, PointPosterior)
    return posterior


def test_a_distance_family_has_one_number_a_latent_from_its_encoder() -> None:
    sizes = {family: latents_of(family).head_size for family in DISCRETE}
    assert sizes == {"categorical": N * K, "qvae": N, "quantized": N, "fsq": N}


def test_qvae_is_a_softmax_of_minus_squared_distances_to_shared_values() -> None:
    latents = latents_of("qvae")
    values = [-1.0, -0.2, 0.1, 0.5, 2.0]
    with torch.no_grad():
        latents.codebook.copy_(torch.tensor([values]))
    x = scalars()
    posterior = latents.posterior(x)
    for image in range(B):
        for latent in range(N):
            weights = np.array([np.exp(-((float(x[image, latent]) - v) ** 2)) for v in values])
            q = weights / weights.sum()
            kl = float((q * np.log(q * K)).sum())
            assert posterior.kl()[image, latent].item() == pytest.approx(kl, abs=1e-6)
            assert posterior.mean_code()[image, latent].item() == pytest.approx(q @ values)
            nearest = min(values, key=lambda v: abs(v - float(x[image, latent])))
            assert posterior.mode_code()[image, latent].item() == pytest.approx(nearest)


def test_qvae_teaches_scalars_and_values() -> None:
    latents = latents_of("qvae").double()
    noise = latents.noise(B, torch.Generator().manual_seed(1)).double()

    def code(x: torch.Tensor, codebook: torch.Tensor) -> torch.Tensor:
        found = torch.func.functional_call(latents, {"codebook": codebook}, (x,))
        return torch.stack([found.sample(noise=noise), found.kl()])

    latents.forward = latents.posterior
    start = (scalars().double().requires_grad_(), latents.codebook.detach().requires_grad_())
    assert torch.autograd.gradcheck(code, start)


def test_qvae_values_start_where_a_normal_has_its_quantiles() -> None:
    (values,) = latents_of("qvae").codebook.detach()
    shares = torch.special.ndtr(values)
    torch.testing.assert_close(shares, (torch.arange(K) + 0.5) / K)


def test_qlae_takes_the_nearest_of_each_latents_own_values() -> None:
    latents = latents_of("quantized")
    np.testing.assert_allclose(latents.category_values[1].detach(), np.linspace(-0.5, 0.5, K))
    own = torch.tensor([[-0.5, 0.0, 0.2, 0.4, 0.6], [0, 1, 2, 3, 4], [-9, -1, 0, 1, 9.0]])
    with torch.no_grad():
        latents.codebook.copy_(own)
    x = scalars(2.0)
    posterior = point(latents, x)
    for image in range(B):
        for latent in range(N):
            distances = [abs(float(x[image, latent]) - float(v)) for v in own[latent]]
            category = int(np.argmin(distances))
            assert posterior.discrete_code()[image, latent] == category
            assert posterior.sample()[image, latent] == own[latent, category]  # exactly


def test_a_point_passes_gradients_straight_through_to_scalars_and_none_to_values() -> None:
    latents, x = latents_of("quantized"), scalars().requires_grad_()
    to_x, to_values = torch.autograd.grad(
        (2.0 * point(latents, x).sample()).sum(), (x, latents.codebook), allow_unused=True
    )
    assert torch.equal(to_x, torch.full((B, N), 2.0))
    assert to_values is None


def test_fsq_rounds_the_tanh_to_the_grid() -> None:
    latents, x = latents_of("fsq"), scalars(1.5).requires_grad_()
    sample = point(latents, x).sample()
    bounded = np.tanh(x.detach().double().numpy())
    expected = 2 * np.round((bounded + 1) / 2 * (K - 1)) / (K - 1) - 1
    np.testing.assert_allclose(sample.detach(), expected, atol=1e-6)
    (gradient,) = torch.autograd.grad(sample.sum(), x)
    np.testing.assert_allclose(gradient, 1 - bounded**2, atol=1e-6)


@pytest.mark.parametrize("family", POINTS)
def test_a_point_is_certain_and_pays_the_same_for_every_image(family: FamilyName) -> None:
    posterior = point(latents_of(family, (2, 4)), scalars())
    torch.testing.assert_close(posterior.kl(), torch.tensor([[log(2), log(4), log(K)]] * B))
    assert torch.equal(posterior.sampled_kl(0.5), posterior.kl())
    assert torch.equal(posterior.mean_code(), posterior.mode_code())
    assert not posterior.code_variance().any()
    assert torch.equal(posterior.probabilities().sum(-1), torch.ones(B, N))
    assert torch.equal(posterior.probabilities().argmax(-1), posterior.discrete_code())
    assert (posterior.discrete_code() < torch.tensor([2, 4, K])).all()


@pytest.mark.parametrize("codebook", [[3.0, 1.0, 2.0, -1.0, 0.0], [0.5] * 5, [0.0, 0, 1, 1, 9.0]])
@pytest.mark.parametrize("family", ["qvae", "quantized"])
def test_learnt_values_ascend_whatever_was_learnt(
    family: FamilyName, codebook: list[float]
) -> None:
    latents = latents_of(family)
    with torch.no_grad():
        latents.codebook.copy_(torch.tensor(codebook).expand_as(latents.codebook))
    values = latents.category_values.detach()
    assert (values.diff(dim=-1) > 0).all()
    torch.testing.assert_close(values[0], torch.tensor(codebook).sort().values, atol=1e-4, rtol=0)
    for latent in range(N):
        assert torch.equal(latents.traversal_values(latent).detach(), values[latent])


def test_learnt_values_of_known_cardinalities_ascend_among_themselves() -> None:
    latents = latents_of("quantized", (2, 4))
    with torch.no_grad():
        latents.codebook.copy_(torch.tensor([5.0, 4.0, 3.0, 2.0, 1.0]).expand(N, -1))
    values = latents.category_values.detach()
    assert values[0].tolist() == [4, 5, 5, 5, 5]
    assert values[1].tolist() == [2, 3, 4, 5, 5]
    assert values[2].tolist() == [1, 2, 3, 4, 5]
    loss = point(latents, scalars()).values.sum()
    assert torch.autograd.grad(loss, latents.codebook)[0].isfinite().all()


@pytest.mark.parametrize("family", DISCRETE)
def test_the_prior_is_uniform_over_the_values(family: FamilyName) -> None:
    latents = latents_of(family)
    prior = latents.prior()
    assert torch.allclose(prior.kl(), torch.zeros(1, N), atol=1e-6)
    assert torch.equal(prior.values, latents.category_values)
    codes = latents.sample_prior(500, torch.Generator().manual_seed(0))
    for latent in range(N):
        assert set(codes[:, latent].tolist()) == set(latents.category_values[latent].tolist())


@pytest.mark.parametrize("family", FAMILIES)
def test_batches_are_joined_in_their_order(family: FamilyName) -> None:
    config = ModelConfig(latents=family, num_latents=N, num_categories=K)
    latents = build_latents(config)
    parameters = torch.randn(7, latents.head_size, generator=torch.Generator().manual_seed(0))
    whole: Posterior = latents.posterior(parameters)
    parts = joined([latents.posterior(part) for part in parameters.split(3)])
    assert type(parts) is type(whole)
    assert torch.equal(parts.mean_code(), whole.mean_code())
    assert torch.equal(parts.kl(), whole.kl())


@pytest.mark.parametrize("family", POINTS)
def test_logits_as_an_export_has_them_give_the_same_points(family: FamilyName) -> None:
    latents = latents_of(family, (2, 4))
    values = [
        row[:count].tolist()
        for row, count in zip(latents.category_values, latents.category_counts, strict=True)
    ]
    again = CategoricalLatents.at_values(values, draws="nearest")
    x = scalars()
    found = again.posterior(latents.logits(x).flatten(1))
    assert isinstance(found, PointPosterior)
    assert torch.equal(found.mean_code(), point(latents, x).mean_code())


@pytest.mark.parametrize("family", DISCRETE)
def test_only_learnt_values_are_parameters(family: FamilyName) -> None:
    config = ModelConfig(latents=family, num_latents=N, num_categories=K)
    model = build_model(config, (1, 32, 32), torch.Generator().manual_seed(0))
    shapes = [tuple(parameter.shape) for parameter in model.latents.parameters()]
    assert shapes == {"qvae": [(1, K)], "quantized": [(N, K)]}.get(family, [])


def test_a_distribution_is_what_a_point_is_the_mode_of() -> None:
    latents, x = latents_of("quantized"), scalars()
    distribution = latents.distribution(x)
    assert isinstance(distribution, CategoricalPosterior)
    assert torch.equal(distribution.mode_code(), point(latents, x).mode_code().detach())
