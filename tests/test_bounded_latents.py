"""The control of docs/method.md: truncated normal posteriors with a uniform prior."""

from math import log

import pytest
import torch
from scipy.stats import truncnorm

from benchmarks.bounded_latents import BoundedLatents, BoundedPosterior, comparison, runs_table

SHAPES = [(0.3, 0.5), (-0.99, 0.05), (0.9, 0.2), (1.0, 1.5), (0.0, 0.01)]


def posterior_of(shapes: list[tuple[float, float]]) -> BoundedPosterior:
    mean, deviation = torch.tensor(shapes).T
    return BoundedPosterior(mean[None], 2 * deviation.log()[None])


def test_moments_and_kl_are_those_of_truncated_normals() -> None:
    posterior = posterior_of(SHAPES)
    for latent, (mean, deviation) in enumerate(SHAPES):
        normal = truncnorm((-1 - mean) / deviation, (1 - mean) / deviation, mean, deviation)
        kl = log(2) - normal.entropy()
        assert posterior.mean_code()[0, latent].item() == pytest.approx(normal.mean(), abs=1e-5)
        assert posterior.code_variance()[0, latent].item() == pytest.approx(normal.var(), rel=1e-3)
        assert posterior.kl()[0, latent].item() == pytest.approx(kl, abs=1e-5)


def test_samples_have_these_moments_and_stay_in_the_square() -> None:
    posterior = posterior_of(SHAPES)
    noise = torch.randn(100_000, len(SHAPES), generator=torch.Generator().manual_seed(0))
    samples = posterior.sample(noise=noise)
    assert samples.abs().max() <= 1
    torch.testing.assert_close(samples.mean(0), posterior.mean_code()[0], atol=5e-3, rtol=0)
    torch.testing.assert_close(samples.var(0), posterior.code_variance()[0], atol=5e-3, rtol=0)


def test_gradients_are_finite_at_the_borders() -> None:
    parameters = torch.tensor([[30.0, -30.0, 0.0, 40.0, 0.0, -20.0]], requires_grad=True)
    posterior = BoundedLatents(3).posterior(parameters)
    noise = torch.tensor([[6.0, 6.0, -6.0]])
    (posterior.sample(noise=noise).sum() + posterior.kl().sum()).backward()
    assert parameters.grad is not None
    assert parameters.grad.isfinite().all()


def test_the_prior_has_no_kl() -> None:
    widest = BoundedLatents(1).posterior(torch.tensor([[0.0, 100.0]]))
    assert widest.kl().item() == pytest.approx(0, abs=1e-3)
    assert widest.code_variance().item() == pytest.approx(1 / 3, rel=0.05)


def test_the_tables_have_each_run_and_compare_with_the_study() -> None:
    scores = [
        {
            "mig": 0.1 * seed,
            "modularity": 0.5,
            "infom": 0.2,
            "kl": 8.0 - seed,
            "reconstruction": 9.0 + seed,
        }
        for seed in range(3)
    ]
    head, first, *_ = runs_table([(10, 0.002), (11, 0.002), (12, 0.002)], scores)
    assert head[-1] == "loss, nats"
    assert first == ["10", "0.002", "0.000", "8.00", "9.00", "17.00"]
    rows = comparison(scores)
    assert rows[0] == [
        "score",
        "bounded: median (95 %)",
        "gaussian",
        "categorical",
        "p, gaussian",
        "p, categorical",
    ]
    assert rows[-2][1] == "10.00 (9.00 to 11.00)"
    assert rows[-2][-1] == "0.0070"  # below all ten runs: 2 / C(13, 3)
    assert rows[-1][0] == "rho of MIG and KL (95 %)"
    assert rows[-1][1].startswith("-1.00")
