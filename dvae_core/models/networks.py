"""The networks: one architecture for all data sets and latent families.

Sizes and initialisation follow the reference implementation of Friede et al. 2023 (Haiku), which
took them from disentanglement_lib. For 32x32 images each network has one stage less and for 128x128
one more, so that the smallest feature map is (B, 64, 4, 4) for all sizes.
"""

from itertools import pairwise
from math import sqrt

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dvae_core.errors import ConfigError

HIDDEN_UNITS = 256
MAP_CHANNELS, MAP_SIZE = 64, 4  # the smallest feature map, (B, 64, 4, 4)
# By the size of the images: channels and kernel of each stage of the encoder, and channels that
# each stage of the decoder reads.
ENCODER_STAGES = {
    32: ((32, 4), (32, 4), (64, 2)),
    64: ((32, 4), (32, 4), (64, 2), (64, 2)),
    128: ((32, 4), (32, 4), (64, 4), (64, 2), (64, 2)),
}
DECODER_STAGES = {32: (64, 32, 32), 64: (64, 64, 32, 32), 128: (64, 64, 64, 32, 32)}


class Encoder(nn.Module):
    """Images (B, C, H, W) to the parameters of the posterior (B, head_size)."""

    def __init__(self, image_shape: tuple[int, int, int], head_size: int) -> None:
        super().__init__()
        channels = _checked_channels(image_shape)
        stages = []
        for width, kernel in ENCODER_STAGES[image_shape[1]]:
            stages.append(_halving(channels, width, kernel))
            channels = width
        self.convolutions = nn.Sequential(*stages)
        self.hidden = nn.Linear(MAP_CHANNELS * MAP_SIZE * MAP_SIZE, HIDDEN_UNITS)
        self.head = nn.Linear(HIDDEN_UNITS, head_size)

    def forward(self, images: Tensor) -> Tensor:
        maps = self.convolutions(_channels_last(images))
        hidden = self.hidden(maps.flatten(1)).relu()  # (B, 64, 4, 4) -> (B, 1024) -> (B, 256)
        return self.head(hidden)


class Decoder(nn.Module):
    """Codes (B, N) to image logits (B, C, H, W). Reads N scalars, not one-hot vectors."""

    def __init__(self, image_shape: tuple[int, int, int], num_latents: int) -> None:
        super().__init__()
        channels = _checked_channels(image_shape)
        self.hidden = nn.Linear(num_latents, HIDDEN_UNITS)
        self.maps = nn.Linear(HIDDEN_UNITS, MAP_CHANNELS * MAP_SIZE * MAP_SIZE)
        widths = DECODER_STAGES[image_shape[1]]
        stages: list[nn.Module] = []
        for width_in, width_out in pairwise(widths):
            stages += [_doubling(width_in, width_out), nn.ReLU(inplace=True)]
        stages.append(LastTransposedConvolution(widths[-1], channels))
        self.convolutions = nn.Sequential(*stages)

    def forward(self, codes: Tensor) -> Tensor:
        hidden = self.maps(self.hidden(codes).relu()).relu()
        return self.convolutions(self._first_maps(hidden))

    def hidden_layers(self, codes: Tensor) -> list[Tensor]:
        """Activations of all layers but the last for codes (B, N), after their ReLU: (B, units) of
        the linear ones, then (B, C, H, W) of the convolutions."""
        first = self.hidden(codes).relu()
        layers = [first, self.maps(first).relu()]
        maps = self._first_maps(layers[1])
        for layer in list(self.convolutions)[:-1]:
            maps = layer(maps)
            if isinstance(layer, nn.ReLU):
                layers.append(maps)
        return layers

    def _first_maps(self, hidden: Tensor) -> Tensor:
        maps = hidden.unflatten(1, (MAP_CHANNELS, MAP_SIZE, MAP_SIZE))  # (B, 1024) -> (B, 64, 4, 4)
        return _channels_last(maps)


class LastTransposedConvolution(nn.ConvTranspose2d):
    """Maps (B, C_in, H, W) to images (B, C_out, 2H, 2W): a 4x4 transposed convolution of stride 2,
    computed as a 2x2 convolution with four output channels for each channel of the image.

    Each 2x2 block of the result depends on 2x2 pixels of the input, so a plain convolution gives
    the same sums, and its channels are then rearranged in space. With the few channels of an image,
    libraries compute this several times faster (docs/performance.md).
    """

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__(channels_in, channels_out, kernel_size=4, stride=2, padding=1)

    def forward(self, maps: Tensor, output_size: list[int] | None = None) -> Tensor:
        # Row 2p + a of the kernel contributes to row a of the block p blocks further down.
        kernel = self.weight.unflatten(3, (2, 2)).unflatten(2, (2, 2))  # (C_in, C_out, p, a, q, b)
        kernel = kernel.flip(2, 4).permute(1, 3, 5, 0, 2, 4)  # (C_out, a, b, C_in, p, q)
        assert self.bias is not None
        blocks = F.conv2d(
            maps, kernel.flatten(0, 2), self.bias.repeat_interleave(4), padding=1
        )  # (B, 4 C_out, H + 1, W + 1)
        return F.pixel_shuffle(blocks, 2)[..., 1:-1, 1:-1]


def initialize_weights(module: nn.Module, generator: torch.Generator) -> None:
    """Draw weights from a normal with standard deviation 1/sqrt(fan in), truncated at two standard
    deviations, and set biases to zero: Haiku's default, which is not PyTorch's."""
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
    # "Same" padding of an even size at stride 2: one pixel per side for 4x4, none for 2x2.
    convolution = nn.Conv2d(channels_in, channels_out, kernel, stride=2, padding=(kernel - 2) // 2)
    return nn.Sequential(convolution, nn.ReLU(inplace=True))


def _doubling(channels_in: int, channels_out: int) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(channels_in, channels_out, kernel_size=4, stride=2, padding=1)


def _channels_last(maps: Tensor) -> Tensor:
    """The same maps (B, C, H, W) in channels-last memory layout.

    Images of one channel have both layouts. Going through the flat array marks them as channels
    last; otherwise layers would mix both layouts, which slows down every ReLU.
    """
    rows = maps.permute(0, 2, 3, 1).contiguous()
    return rows.flatten().view(rows.shape).permute(0, 3, 1, 2)


def _checked_channels(image_shape: tuple[int, int, int]) -> int:
    channels, height, width = image_shape
    if height != width or height not in ENCODER_STAGES:
        raise ConfigError(
            f"images are {height}x{width}, but the networks take 32x32, 64x64 or 128x128"
        )
    return channels
