"""Each regularizer against the authors' formula, computed by loops in numpy, and its gradient."""

from itertools import product
from math import log

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dvae_core.config import FamilyName, RunConfig
from dvae_core.errors import ConfigError
from dvae_core.models.latents import PointPosterior, build_latents
from dvae_core.models.networks import Decoder
from dvae_core.regularizers import (
    Regularizers,
    code_deviations,
    codebook_loss,
    commitment_loss,
    hessian_share,
    multiinformation,
)

Floats = NDArray[np.float64]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def config(**settings: object) -> RunConfig:
    fixed = {"dataset": "circles", "image_size": 32, "num_latents": 3, "num_categories": 5}
    return RunConfig.model_validate(fixed | settings)


def test_codebook_and_commitment_are_one_distance_with_two_gradients() -> None:
    latents = build_latents(config(latents="quantized", num_latents=2, num_categories=3))
    values = next(iter(latents.parameters()))  # -0.5, 0, 0.5 for both latents
    x = torch.tensor([[0.1, 0.4], [-0.7, 0.2]], requires_grad=True)
    posterior = latents.posterior(x)
    assert isinstance(posterior, PointPosterior)
    # To 0, 0.5, -0.5 and 0: 0.01, 0.01, 0.04 and 0.04.
    for loss in (codebook_loss, commitment_loss):
        assert loss(posterior).item() == pytest.approx((0.01 + 0.01 + 0.04 + 0.04) / 4)
    to_values, to_x = torch.autograd.grad(codebook_loss(posterior), (values, x), allow_unused=True)
    assert to_x is None
    # d/dv of the mean of four squares is (v - x) / 2, added up over the images of a value.
    expected = [[0.1, -0.05, 0.0], [0.0, -0.1, 0.05]]
    torch.testing.assert_close(to_values, torch.tensor(expected))
    posterior = latents.posterior(x)
    assert isinstance(posterior, PointPosterior)
    to_values, to_x = torch.autograd.grad(
        commitment_loss(posterior), (values, x), allow_unused=True
    )
    assert to_values is None
    torch.testing.assert_close(to_x, torch.tensor([[0.05, -0.05], [-0.1, 0.1]]))


def multiinformation_by_loops(code: Floats, deviations: Floats) -> float:
    count, latents = code.shape
    silverman = (4 / (latents + 2)) ** (1 / (latents + 4)) * count ** (-1 / (latents + 4))

    def density(distance: float, deviation: float) -> float:
        height = 1 / (deviation * np.sqrt(2 * np.pi))
        return float(height * np.exp(-0.5 * (distance / deviation) ** 2))

    total = 0.0
    for at in code:
        joint = 0.0
        for other in code:
            kernel = 1.0
            for i in range(latents):
                kernel *= density(at[i] - other[i], silverman * deviations[i])
            joint += kernel / count
        total += log(joint)
        for i in range(latents):
            marginal = [density(at[i] - other[i], deviations[i]) for other in code]
            total -= log(sum(marginal) / count)
    return total / count


def test_multiinformation_is_that_of_the_kernels() -> None:
    code = torch.randn(9, 3, generator=generator(), dtype=torch.float64).requires_grad_()
    deviations = torch.tensor([0.7, 1.3, 0.2], dtype=torch.float64)
    found = multiinformation(code, deviations)
    assert found.item() == pytest.approx(
        multiinformation_by_loops(code.detach().numpy(), deviations.numpy())
    )
    assert torch.autograd.gradcheck(lambda code: multiinformation(code, deviations), code)


def test_multiinformation_of_equal_latents_is_above_that_of_shuffled_ones() -> None:
    column = torch.linspace(-1, 1, 64)
    shuffled = column[torch.randperm(64, generator=generator())]
    same, apart = (torch.stack([column, other], 1) for other in (column, shuffled))
    deviation = column.std(0, correction=0).repeat(2)
    assert multiinformation(same, deviation) > multiinformation(apart, deviation) + 0.3


def test_bandwidths_are_those_of_the_code_before_rounding() -> None:
    latents = build_latents(config(latents="fsq"))
    x = torch.randn(40, 3, generator=generator())
    posterior = latents.posterior(x)
    expected = np.tanh(x.numpy()).std(0)
    found = code_deviations(posterior, posterior.sample())
    np.testing.assert_allclose(found, expected, rtol=1e-4)


class Quadratic(nn.Module):
    """Units z'A z for symmetric matrices A (units, N, N): second derivatives are 2 A."""

    def __init__(self, matrices: Tensor) -> None:
        super().__init__()
        self.matrices = matrices

    def forward(self, code: Tensor) -> list[Tensor]:
        return [torch.einsum("bi,uij,bj->bu", code, self.matrices, code)]


def all_signs(count: int, images: int) -> Tensor:
    """Every direction of signs, (2^N, B, N)."""
    signs = torch.tensor(list(product((-1.0, 1.0), repeat=count)), dtype=torch.float64)
    return signs[:, None].expand(-1, images, -1)


def hessian_by_loops(matrices: Floats, directions: Floats) -> float:
    """Of one image, from exact second derivatives."""
    variances = []
    for kind in directions:
        of_units = [[v @ (2 * a) @ v for v in kind[:, 0]] for a in matrices]
        variances.append(np.mean(np.var(of_units, axis=1)))
    return float(variances[0] / (variances[1] + 1e-10))


def test_the_hessian_share_is_the_ratio_of_the_variances() -> None:
    random = torch.randn(4, 3, 3, generator=generator(), dtype=torch.float64)
    matrices = random + random.transpose(1, 2)
    directions = torch.randn(2, 2, 1, 3, generator=generator(1), dtype=torch.float64)
    directions[0] = directions[0].sign()
    code = torch.randn(1, 3, generator=generator(2), dtype=torch.float64)
    found = hessian_share(Quadratic(matrices), code, directions)
    expected = hessian_by_loops(matrices.numpy(), directions.numpy())
    assert found.item() == pytest.approx(expected, rel=1e-6)


def test_latents_that_never_mix_have_no_hessian_share() -> None:
    diagonal = torch.diag_embed(torch.rand(5, 3, generator=generator(), dtype=torch.float64))
    normal = torch.randn(8, 6, 3, generator=generator(), dtype=torch.float64)
    directions = torch.stack([all_signs(3, 6), normal])
    code = torch.randn(6, 3, generator=generator(1), dtype=torch.float64)
    assert hessian_share(Quadratic(diagonal), code, directions).item() == pytest.approx(0, abs=1e-9)
    mixed = 1 - torch.eye(3, dtype=torch.float64).expand(5, -1, -1)
    # Signs give twice the sum of the squares off the diagonal: all there is, but for chance.
    assert hessian_share(Quadratic(mixed), code, directions).item() > 0.3


def test_the_hessian_share_has_the_gradient_of_its_differences() -> None:
    decoder = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 5)).double()
    directions = torch.randn(2, 2, 2, 3, generator=generator(), dtype=torch.float64)
    code = torch.randn(2, 3, generator=generator(1), dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda code: hessian_share(lambda moved: [decoder(moved)], code, directions), code
    )


def test_the_layers_of_a_decoder_are_those_on_the_way_to_its_image() -> None:
    decoder = Decoder((1, 32, 32), 3)
    codes = torch.randn(2, 3, generator=generator())
    layers = decoder.hidden_layers(codes)
    assert [tuple(layer.shape) for layer in layers] == [
        (2, 256),
        (2, 1024),
        (2, 32, 8, 8),
        (2, 32, 16, 16),
    ]
    assert all((layer >= 0).all() for layer in layers)
    torch.testing.assert_close(decoder.convolutions[-1](layers[-1]), decoder(codes))


@pytest.mark.parametrize(
    ("latents", "settings", "names"),
    [
        ("categorical", {}, ()),
        ("quantized", {}, ("codebook", "commitment")),
        ("fsq", {"multiinformation_weight": 1.0}, ("multiinformation",)),
        ("gaussian", {"hessian_weight": 1.0}, ("hessian",)),
        ("qvae", {"hessian_weight": 1, "multiinformation_weight": 1}, None),
    ],
)
def test_a_config_has_the_regularizers_that_it_weights(
    latents: FamilyName, settings: dict[str, float], names: tuple[str, ...] | None
) -> None:
    found = Regularizers(config(latents=latents, **settings)).term_names
    assert found == (names if names is not None else ("multiinformation", "hessian"))


def test_weights_multiply_what_is_no_information() -> None:
    settings = {"latents": "quantized", "codebook_weight": 2.0, "commitment_weight": 3.0}
    weighted = config(**settings, multiinformation_weight=5.0)
    latents, decoder = build_latents(weighted), Decoder((1, 32, 32), 3)
    posterior = latents.posterior(torch.randn(7, 3, generator=generator()))
    assert isinstance(posterior, PointPosterior)
    code = posterior.sample()
    total, terms = Regularizers(weighted)(posterior, code, decoder, None)
    distance = codebook_loss(posterior).item()
    kernels = multiinformation(code, code_deviations(posterior, code)).item()
    assert terms["codebook"].item() == pytest.approx(2 * distance)
    assert terms["commitment"].item() == pytest.approx(3 * distance)
    assert terms["multiinformation"].item() == pytest.approx(kernels)
    assert total.item() == pytest.approx(5 * distance + 5 * kernels, rel=1e-5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"latents": "fsq", "objective": "beta"}, "the KL of a point is the same"),
        ({"latents": "quantized", "objective": "annealed"}, "cannot follow a capacity"),
        ({"latents": "fsq", "objective": "tc"}, "points have no densities"),
        ({"latents": "fsq", "objective": "dip_ii"}, "points have no variance"),
        ({"latents": "qvae", "objective": "dip_i"}, "moves with the learnt values"),
        ({"multiinformation_weight": 1, "objective": "factor"}, "already penalises the same"),
        ({"multiinformation_weight": 1, "objective": "tc"}, "already penalises the same"),
        ({"hessian_weight": 1, "num_latents": 1}, "num_latents of at least 2"),
        ({"latents": "qvae", "cardinalities": [3]}, "share their categories"),
    ],
)
def test_a_combination_without_sense_is_refused_with_the_reason(
    settings: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigError, match=message) as refusal:
        config(**settings)
    assert "\n" not in str(refusal.value)
