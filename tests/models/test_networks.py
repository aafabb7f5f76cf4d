from math import sqrt
from typing import get_args

import pytest
import torch
from torch import nn

from dvae_core.config import ModelConfig, TrainedSize
from dvae_core.data import TRAINED_SIZES
from dvae_core.errors import ConfigError
from dvae_core.models.discriminator import Discriminator
from dvae_core.models.networks import (
    DECODER_STAGES,
    ENCODER_STAGES,
    Encoder,
    LastTransposedConvolution,
    initialize_weights,
)
from dvae_core.models.vae import build_model, reconstruction_loss


def count_parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize(
    ("latents", "channels", "expected"),
    [
        ("categorical", 1, 849_857),
        ("gaussian", 1, 690_517),
        ("categorical", 3, 851_907),
        ("gaussian", 3, 692_567),
    ],
)
def test_parameter_counts_are_the_reference_implementations(
    latents: str, channels: int, expected: int
) -> None:
    config = ModelConfig(latents=latents)
    assert count_parameters(build_model(config, (channels, 64, 64))) == expected


def test_the_discriminator_has_the_reference_implementations_size() -> None:
    assert count_parameters(Discriminator(10)) == 5_018_002


@pytest.mark.parametrize("size", [32, 64, 128])
@pytest.mark.parametrize("channels", [1, 3])
def test_an_image_comes_back_in_its_own_shape(size: int, channels: int) -> None:
    model = build_model(ModelConfig(), (channels, size, size), torch.Generator().manual_seed(0))
    images = torch.rand(2, channels, size, size)
    decoded = model.decode_images(model.encode(images).mean_code())
    assert decoded.shape == images.shape
    assert 0 <= decoded.min() <= decoded.max() <= 1


def test_configs_data_sets_and_networks_have_the_same_sizes() -> None:
    assert get_args(TrainedSize) == TRAINED_SIZES == tuple(ENCODER_STAGES) == tuple(DECODER_STAGES)


def test_other_image_sizes_are_refused_in_words() -> None:
    with pytest.raises(ConfigError, match="48x48, but the networks take 32x32, 64x64 or 128x128"):
        Encoder((1, 48, 48), 20)


def test_weights_have_a_deviation_of_one_over_the_root_of_their_inputs() -> None:
    layer = nn.Linear(400, 500)
    initialize_weights(layer, torch.Generator().manual_seed(0))
    # Cutting a normal off at two deviations leaves 0.880 of its deviation.
    assert layer.weight.std().item() == pytest.approx(0.880 / sqrt(400), rel=0.01)
    assert layer.weight.abs().max() <= 2 / sqrt(400)
    assert not layer.bias.any()


def test_weights_follow_their_generator_alone() -> None:
    first, second, other = (
        build_model(ModelConfig(), (1, 32, 32), torch.Generator().manual_seed(seed))
        for seed in (1, 1, 2)
    )
    drawn = [model.get_parameter("encoder.head.weight") for model in (first, second, other)]
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


def test_reconstruction_sums_cross_entropy_over_pixels_and_channels() -> None:
    logits, images = torch.zeros(2, 3, 4, 4), torch.rand(2, 3, 4, 4)
    # At logit 0 each pixel costs ln 2 whatever its value.
    expected = torch.full((2,), 3 * 16 * torch.log(torch.tensor(2.0)).item())
    torch.testing.assert_close(reconstruction_loss(logits, images), expected)


@pytest.mark.parametrize("channels", [1, 3])
def test_the_last_layer_is_a_transposed_convolution(channels: int) -> None:
    layer = LastTransposedConvolution(8, channels).double()
    maps = torch.randn(2, 8, 5, 7, dtype=torch.float64, requires_grad=True)
    outside = torch.randn(2, channels, 10, 14, dtype=torch.float64)
    assert layer.bias is not None
    variables = (maps, layer.weight, layer.bias)
    ours = layer(maps)
    plain = nn.functional.conv_transpose2d(maps, layer.weight, layer.bias, stride=2, padding=1)
    torch.testing.assert_close(ours, plain)
    for gradient, expected in zip(
        torch.autograd.grad(ours, variables, outside),
        torch.autograd.grad(plain, variables, outside),
        strict=True,
    ):
        torch.testing.assert_close(gradient, expected)


@pytest.mark.parametrize("channels", [1, 3])
def test_maps_keep_one_memory_order_through_both_networks(channels: int) -> None:
    """One layer in another order costs a strided pass over its maps, forward and backward."""
    model = build_model(ModelConfig(), (channels, 64, 64), torch.Generator().manual_seed(0))
    orders: list[bool] = []
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            module.register_forward_hook(
                lambda _module, _inputs, maps: orders.append(maps.stride(1) == 1)
            )
    model.decode(model.encode(torch.rand(2, channels, 64, 64)).mean_code())
    assert len(orders) == 8
    assert all(orders)
