import numpy as np
import pytest
import torch

from dvae_core.config import RunConfig
from dvae_core.models.latents import CategoricalLatents, GaussianLatents, Posterior
from dvae_core.objectives import AnnealedCapacity, Objective, Penalty, WeightedKl, build_objective

# 0.5 * mean^2 at unit variance: 0.5 and 2.0, in the mean 1.25 nats.
GAUSSIAN = GaussianLatents(2).posterior(torch.tensor([[1.0, 0, 0, 0], [0, 2.0, 0, 0]]))


def price(objective: Objective, posterior: Posterior, step: int = 0) -> Penalty:
    penalty = objective(posterior, posterior.mean_code(), None, torch.tensor(step))
    assert isinstance(penalty, Penalty)
    return penalty


def test_the_elbo_adds_the_kl_summed_over_latents() -> None:
    penalty = price(WeightedKl(), GAUSSIAN)
    assert penalty.total.item() == 1.25
    assert penalty.terms["kl"].item() == 1.25


def test_beta_weighs_the_kl_and_logs_it_unweighted() -> None:
    penalty = price(WeightedKl(6.0), GAUSSIAN)
    assert penalty.total.item() == 7.5
    assert penalty.terms["kl"].item() == 1.25


def test_the_kl_of_categories_is_that_from_the_uniform() -> None:
    logits = np.random.default_rng(0).normal(size=(3, 2, 4))
    probabilities = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    expected = sum(
        q * (np.log(q) - np.log(1 / 4))
        for image in probabilities
        for latent in image
        for q in latent
    )
    posterior = CategoricalLatents(2, 4).posterior(torch.tensor(logits).flatten(1))
    assert price(WeightedKl(2.0), posterior).total.item() == pytest.approx(2.0 * expected / 3)


@pytest.mark.parametrize(
    ("step", "capacity"), [(0, 0.0), (25, 2.0), (50, 4.0), (100, 8.0), (1000, 8.0)]
)
def test_the_capacity_rises_linearly_and_then_stays(step: int, capacity: float) -> None:
    penalty = price(AnnealedCapacity(weight=10.0, maximum=8.0, steps=100), GAUSSIAN, step)
    assert penalty.terms["capacity"].item() == capacity
    assert penalty.terms["capacity_distance"].item() == abs(1.25 - capacity)
    assert penalty.total.item() == 10.0 * abs(1.25 - capacity)


@pytest.mark.parametrize(("step", "sign"), [(0, 1.0), (100, -1.0)])
def test_a_kl_below_capacity_is_pushed_up_and_one_above_down(step: int, sign: float) -> None:
    parameters = torch.tensor([[1.0, 0.5]], requires_grad=True)  # KL 0.57 nats
    posterior = GaussianLatents(1).posterior(parameters)
    penalty = price(AnnealedCapacity(weight=3.0, maximum=2.0, steps=100), posterior, step)
    (gradient,) = torch.autograd.grad(penalty.total, parameters)
    # d KL / d mean = mean, d KL / d log variance = (variance - 1) / 2.
    expected = sign * 3.0 * torch.tensor([[1.0, (np.exp(0.5) - 1) / 2]], dtype=torch.float32)
    torch.testing.assert_close(gradient, expected)


@pytest.mark.parametrize(("steps", "expected"), [(400, 400), (5_000, 1_000)])
def test_the_capacity_rises_over_all_steps_of_a_short_run(steps: int, expected: int) -> None:
    config = RunConfig(objective="annealed", capacity_steps=1_000, steps=steps)
    objective = build_objective(config)
    assert isinstance(objective, AnnealedCapacity)
    assert objective.steps == expected
