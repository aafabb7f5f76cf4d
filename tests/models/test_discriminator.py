import pytest
import torch
from torch.nn import functional as F

from dvae_core.models.discriminator import Discriminator
from dvae_core.models.networks import initialize_weights


@pytest.fixture
def discriminator() -> Discriminator:
    discriminator = Discriminator(4, width=50, num_hidden=3).double()
    initialize_weights(discriminator, torch.Generator().manual_seed(0))
    with torch.no_grad():
        for parameter in discriminator.parameters():
            parameter.mul_(3.0)  # far from the start, where both classes are equally likely
    return discriminator


def test_one_step_gives_the_gradients_of_both_networks(
    discriminator: Discriminator,
) -> None:
    generator = torch.Generator().manual_seed(1)
    codes = torch.randn(16, 4, generator=generator, dtype=torch.float64, requires_grad=True)
    permuted = torch.randn(16, 4, generator=generator, dtype=torch.float64)

    step = discriminator.step(codes, permuted)
    (code_gradient,) = torch.autograd.grad(7.0 * step.log_density_ratio, codes)

    logits = discriminator(codes)
    ratio = (logits[:, 0] - logits[:, 1]).mean()
    joint, marginal = torch.zeros(16, dtype=torch.int64), torch.ones(16, dtype=torch.int64)
    loss = 0.5 * (
        F.cross_entropy(logits, joint) + F.cross_entropy(discriminator(permuted), marginal)
    )
    parameters = list(discriminator.parameters())
    expected = torch.autograd.grad(loss, parameters, retain_graph=True)
    (expected_code_gradient,) = torch.autograd.grad(7.0 * ratio, codes)

    torch.testing.assert_close(step.log_density_ratio, ratio)
    torch.testing.assert_close(discriminator.log_density_ratio(codes), ratio)
    torch.testing.assert_close(code_gradient, expected_code_gradient)
    assert len(step.gradients) == len(parameters)
    for gradient, wanted in zip(step.gradients, expected, strict=True):
        torch.testing.assert_close(gradient, wanted)


def test_a_step_leaves_the_weights_without_a_graph(discriminator: Discriminator) -> None:
    codes = torch.randn(8, 4, dtype=torch.float64)
    step = discriminator.step(codes, codes.flip(0))
    assert not any(gradient.requires_grad for gradient in step.gradients)
