"""The networks: one architecture for all data sets and both latent families.

Sizes and initialisation follow the reference implementation of Friede et al. 2023 (Haiku), which
took them from disentanglement_lib. Images of 32x32 lose one stage in each network, so that both
sizes meet at (B, 64, 4, 4).
"""

from itertools import pairwise
from math import sqrt

import torch
from torch import Tensor, nn

from dvae_core.errors import ConfigError

HIDDEN_UNITS = 256
MAP_CHANNELS, MAP_SIZE = 64, 4  # the smallest feature map, (B, 64, 4, 4)
IMAGE_SIZES = (32, 64)


class Encoder(nn.Module):
    """Images (B, C, H, W) to the parameters of the latents (B, head_size)."""

    def __init__(self, image_shape: tuple[int, int, int], head_size: int) -> None:
        super().__init__()
        channels = _checked_channels(image_shape)
        stages = [_halving(channels, 32, kernel=4), _halving(32, 32, kernel=4)]
        if image_shape[1] == 64:
            stages += [_halving(32, 64, kernel=2), _halving(64, 64, kernel=2)]
        else:
            stages += [_halving(32, 64, kernel=2)]
        self.convolutions = nn.Sequential(*stages)
        self.hidden = nn.Linear(MAP_CHANNELS * MAP_SIZE * MAP_SIZE, HIDDEN_UNITS)
        self.head = nn.Linear(HIDDEN_UNITS, head_size)

    def forward(self, images: Tensor) -> Tensor:
        maps = self.convolutions(images)
        hidden = self.hidden(maps.flatten(1)).relu()  # (B, 64, 4, 4) -> (B, 1024) -> (B, 256)
        return self.head(hidden)


class Decoder(nn.Module):
    """Codes (B, N) to image logits (B, C, H, W). Reads the N scalars, never one-hots."""

    def __init__(self, image_shape: tuple[int, int, int], num_latents: int) -> None:
        super().__init__()
        channels = _checked_channels(image_shape)
        self.hidden = nn.Linear(num_latents, HIDDEN_UNITS)
        self.maps = nn.Linear(HIDDEN_UNITS, MAP_CHANNELS * MAP_SIZE * MAP_SIZE)
        widths = [64, 64, 32, 32] if image_shape[1] == 64 else [64, 32, 32]
        stages: list[nn.Module] = []
        for width_in, width_out in pairwise(widths):
            stages += [_doubling(width_in, width_out), nn.ReLU(inplace=True)]
        stages.append(_doubling(widths[-1], channels))
        self.convolutions = nn.Sequential(*stages)

    def forward(self, codes: Tensor) -> Tensor:
        hidden = self.maps(self.hidden(codes).relu()).relu()
        maps = hidden.unflatten(1, (MAP_CHANNELS, MAP_SIZE, MAP_SIZE))  # (B, 1024) -> (B, 64, 4, 4)
        return self.convolutions(maps)


class Discriminator(nn.Module):
    """Codes (B, N) to two logits (B, 2): drawn jointly, or permuted latent by latent.

    The density ratio behind the total correlation of FactorVAE (Kim & Mnih 2018, section 3).
    """

    def __init__(self, num_latents: int, width: int = 1000, num_hidden: int = 6) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for layer in range(num_hidden):
            layers.append(nn.Linear(num_latents if layer == 0 else width, width))
            # The slope of the reference implementation; disentanglement_lib has 0.2.
            layers.append(nn.LeakyReLU(0.01))
        layers.append(nn.Linear(width, 2))
        self.layers = nn.Sequential(*layers)

    def forward(self, codes: Tensor) -> Tensor:
        return self.layers(codes)


def initialize_weights(module: nn.Module, generator: torch.Generator) -> None:
    """Draw all weights anew: normal of standard deviation 1/sqrt(fan in), cut off at two of them;
    biases zero. Haiku's default, which is not PyTorch's."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear):
            fan_in = layer.in_features
        elif isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            fan_in = layer.in_channels * layer.kernel_size[0] * layer.kernel_size[1]
        else:
            continue
        deviation = 1.0 / sqrt(fan_in)
        nn.init.trunc_normal_(
            layer.weight, std=deviation, a=-2 * deviation, b=2 * deviation, generator=generator
        )
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)


def _halving(channels_in: int, channels_out: int, kernel: int) -> nn.Sequential:
    # "Same" padding of an even size at stride 2: one pixel a side for 4x4, none for 2x2.
    convolution = nn.Conv2d(channels_in, channels_out, kernel, stride=2, padding=(kernel - 2) // 2)
    return nn.Sequential(convolution, nn.ReLU(inplace=True))


def _doubling(channels_in: int, channels_out: int) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(channels_in, channels_out, kernel_size=4, stride=2, padding=1)


def _checked_channels(image_shape: tuple[int, int, int]) -> int:
    channels, height, width = image_shape
    if height != width or height not in IMAGE_SIZES:
        raise ConfigError(
            f"images are {height}x{width}, but the networks take "
            f"{' or '.join(f'{size}x{size}' for size in IMAGE_SIZES)}"
        )
    return channels
