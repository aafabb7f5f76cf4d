import numpy as np
import torch
from torch.nn import functional as F

from dvae_core.config import RunConfig
from dvae_core.models.latents import CategoricalLatents, GaussianLatents
from dvae_core.objectives import Factor, build_objective

B, N = 16, 3
STEP = torch.tensor(0)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_the_factor_objective_adds_gamma_times_the_total_correlation() -> None:
    config = RunConfig(objective="factor", gamma=7.0, num_latents=N)
    objective = build_objective(config, generator())
    posterior = CategoricalLatents(N, 4).posterior(torch.randn(B, N * 4, generator=generator()))
    code = posterior.sample(generator())
    penalty = objective(posterior, code, objective.noise((B, N), generator(), code.device), STEP)
    logits = objective.discriminator(code)  # type: ignore[operator]
    total_correlation = (logits[:, 0] - logits[:, 1]).mean()
    expected = posterior.kl().sum(1).mean() + 7.0 * total_correlation
    torch.testing.assert_close(penalty.total, expected)
    torch.testing.assert_close(penalty.terms["total_correlation"], total_correlation)
    torch.testing.assert_close(objective.code_penalty(posterior, code), 7.0 * total_correlation)


def test_the_discriminator_learns_joint_from_permuted_codes() -> None:
    objective = Factor(2, gamma=1.0)
    posterior = GaussianLatents(2).posterior(torch.zeros(4, 4))
    code = torch.tensor([[0.0, 10.0], [1.0, 11.0], [2.0, 12.0], [3.0, 13.0]])
    # The order by column: the first stays, the second is reversed.
    noise = torch.tensor([[0.1, 0.9], [0.2, 0.8], [0.3, 0.7], [0.4, 0.6]])
    permuted = torch.tensor([[0.0, 13.0], [1.0, 12.0], [2.0, 11.0], [3.0, 10.0]])
    penalty = objective(posterior, code, noise, STEP)
    joint_log = F.log_softmax(objective.discriminator(code), 1)[:, 0]
    permuted_log = F.log_softmax(objective.discriminator(permuted), 1)[:, 1]
    loss = -0.5 * (joint_log.mean() + permuted_log.mean())
    expected = torch.autograd.grad(loss, list(objective.parameters()))
    for gradient, wanted in zip(penalty.own_gradients, expected, strict=True):
        torch.testing.assert_close(gradient, wanted)


def test_permuting_keeps_each_latents_values() -> None:
    objective = Factor(N, gamma=1.0)
    noise = objective.noise((B, N), generator(), torch.device("cpu"))
    order = noise.argsort(0).numpy()
    for latent in range(N):
        assert sorted(order[:, latent]) == list(range(B))
    assert not np.array_equal(order[:, 0], order[:, 1])


def test_the_discriminators_loss_moves_no_code() -> None:
    objective = Factor(N, gamma=1.0)
    parameters = torch.randn(B, 2 * N, generator=generator(), requires_grad=True)
    posterior = GaussianLatents(N).posterior(parameters)
    noise = objective.noise((B, N), generator(), parameters.device)
    penalty = objective(posterior, posterior.mean_code(), noise, STEP)
    (gradient,) = torch.autograd.grad(penalty.terms["kl"], parameters, retain_graph=True)
    (with_correlation,) = torch.autograd.grad(penalty.total, parameters)
    assert not torch.equal(gradient, with_correlation)
    assert all(parameter.grad is None for parameter in objective.parameters())
