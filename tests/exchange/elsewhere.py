"""Models built from scratch the way other repositories build theirs: their layers, names and
layouts, none of their code. Untrained, but with weights large enough to tell images apart."""

import sys
from collections import OrderedDict
from itertools import pairwise
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor, nn

Shape = tuple[int, int, int]


def stage_down(width_in: int, width_out: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(width_in, width_out, 4, 2, 1), nn.ReLU())


def stage_up(width_in: int, width_out: int) -> nn.Module:
    return nn.Sequential(nn.ConvTranspose2d(width_in, width_out, 4, 2, 1), nn.ReLU())


class Plain(nn.Module):
    """A convolutional VAE as one writes it: means and log variances from two heads, logits out."""

    def __init__(self, shape: Shape = (1, 64, 64), latent_dim: int = 10) -> None:
        super().__init__()
        channels, size, _ = shape
        side = size // 8
        self.down = nn.Sequential(stage_down(channels, 8), stage_down(8, 8), stage_down(8, 8))
        self.mean = nn.Linear(8 * side * side, latent_dim)
        self.log_variance = nn.Linear(8 * side * side, latent_dim)
        self.start = nn.Linear(latent_dim, 8 * side * side)
        self.up = nn.Sequential(
            nn.Unflatten(1, (8, side, side)),
            stage_up(8, 8),
            stage_up(8, 8),
            nn.ConvTranspose2d(8, channels, 4, 2, 1),
        )

    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        hidden = self.down(images).flatten(1)
        return self.mean(hidden), self.log_variance(hidden)

    def decode(self, codes: Tensor) -> Tensor:
        return self.up(self.start(codes).relu())


class InterleavedEncoder(nn.Module):
    """One layer says pairs of mean and log variance, and a view takes them apart."""

    def __init__(self, shape: Shape, latent_dim: int) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.convolutions = nn.Sequential(
            stage_down(shape[0], 32), stage_down(32, 32), stage_down(32, 32)
        )
        self.lin = nn.Linear(32 * (shape[1] // 8) ** 2, 256)
        self.mu_logvar_gen = nn.Linear(256, 2 * latent_dim)

    def pairs(self, x: Tensor) -> Tensor:
        batch_size = x.size(0)
        return self.mu_logvar_gen(self.lin(self.convolutions(x).view(batch_size, -1)).relu())

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_variance = self.pairs(x).view(-1, self.latent_dim, 2).unbind(-1)
        return mean, log_variance


class SigmoidDecoder(nn.Module):
    def __init__(self, shape: Shape, latent_dim: int) -> None:
        super().__init__()
        self.side = shape[1] // 8
        self.lin = nn.Linear(latent_dim, 32 * self.side**2)
        self.up = nn.Sequential(stage_up(32, 32), stage_up(32, 32))
        self.last = nn.ConvTranspose2d(32, shape[0], 4, 2, 1)

    def forward(self, z: Tensor) -> Tensor:
        batch_size = z.size(0)
        x = self.lin(z).relu().view(batch_size, 32, self.side, self.side)
        return torch.sigmoid(self.last(self.up(x)))


class Disentangling(nn.Module):
    """As disentangling-vae has it."""

    def __init__(self, img_size: Shape = (1, 32, 32), latent_dim: int = 10) -> None:
        super().__init__()
        self.img_size, self.latent_dim = img_size, latent_dim
        self.encoder = InterleavedEncoder(img_size, latent_dim)
        self.decoder = SigmoidDecoder(img_size, latent_dim)


class VanillaVAE(nn.Module):
    """As PyTorch-VAE has it: batch normalisation, a list of two outputs, images by tanh."""

    def __init__(self, in_channels: int, latent_dim: int) -> None:
        super().__init__()
        widths = [in_channels, 8, 16, 32, 32, 32]
        self.encoder = nn.Sequential(
            *(
                nn.Sequential(nn.Conv2d(a, b, 3, 2, 1), nn.BatchNorm2d(b), nn.LeakyReLU())
                for a, b in pairwise(widths)
            )
        )
        self.fc_mu = nn.Linear(32 * 4, latent_dim)
        self.fc_var = nn.Linear(32 * 4, latent_dim)
        self.decoder_input = nn.Linear(latent_dim, 32 * 4)
        self.decoder = nn.Sequential(
            *(
                nn.Sequential(
                    nn.ConvTranspose2d(a, b, 3, 2, 1, output_padding=1),
                    nn.BatchNorm2d(b),
                    nn.LeakyReLU(),
                )
                for a, b in [(32, 32), (32, 32), (32, 16), (16, 8), (8, 8)]
            )
        )
        self.final_layer = nn.Sequential(nn.Conv2d(8, in_channels, 3, padding=1), nn.Tanh())

    def encode(self, input: Tensor) -> list[Tensor]:
        result = torch.flatten(self.encoder(input), start_dim=1)
        return [self.fc_mu(result), self.fc_var(result)]

    def decode(self, z: Tensor) -> Tensor:
        return self.final_layer(self.decoder(self.decoder_input(z).view(-1, 32, 2, 2)))


class ModelOutput(OrderedDict[str, Any]):
    """A named output, as pythae's networks give it."""


class NamedEncoder(nn.Module):
    def __init__(self, shape: Shape, latent_dim: int) -> None:
        super().__init__()
        self.pixels = shape[0] * shape[1] * shape[2]
        self.layers = nn.ModuleList([nn.Sequential(nn.Linear(self.pixels, 64), nn.ReLU())])
        self.embedding, self.log_var = nn.Linear(64, latent_dim), nn.Linear(64, latent_dim)

    def forward(self, x: Tensor) -> ModelOutput:
        out = self.layers[0](x.reshape(-1, self.pixels))
        return ModelOutput(embedding=self.embedding(out), log_covariance=self.log_var(out))


class NamedDecoder(nn.Module):
    def __init__(self, shape: Shape, latent_dim: int) -> None:
        super().__init__()
        self.shape = shape
        pixels = shape[0] * shape[1] * shape[2]
        self.layers = nn.Sequential(
            nn.Linear(latent_dim, 64), nn.ReLU(), nn.Linear(64, pixels), nn.Sigmoid()
        )

    def forward(self, z: Tensor) -> ModelOutput:
        return ModelOutput(reconstruction=self.layers(z).reshape((z.shape[0], *self.shape)))


class Pythae(nn.Module):
    """As pythae has it."""

    def __init__(self, shape: Shape = (1, 64, 64), latent_dim: int = 6) -> None:
        super().__init__()
        self.model_config = ModuleType("config")
        self.model_config.input_dim = shape  # type: ignore[attr-defined]
        self.latent_dim = latent_dim
        self.encoder, self.decoder = (
            NamedEncoder(shape, latent_dim),
            NamedDecoder(shape, latent_dim),
        )


class Disent(nn.Module):
    """As disent has it: all means, then all log variances, in one output; no activation."""

    def __init__(self, shape: Shape = (3, 64, 64), z_size: int = 6) -> None:
        super().__init__()
        self.x_shape, self.z_size = shape, z_size
        self._plain = Plain(shape, z_size)

    def encode(self, x: Tensor, chunk: bool = False) -> Tensor | tuple[Tensor, ...]:
        z = torch.cat(self._plain.encode(x), dim=-1)
        assert z.shape == (x.size(0), 2 * self.z_size)
        return z.split(self.z_size, dim=-1) if chunk else z

    def decode(self, z: Tensor) -> Tensor:
        return self._plain.decode(z)


def made(model: nn.Module, seed: int = 0) -> Any:
    """The model with weights and statistics of a seed, in eval mode."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                fan_in = parameter[0].numel()
                parameter.copy_(torch.randn(parameter.shape, generator=generator) / fan_in**0.5)
            else:
                parameter.add_(0.1 * torch.rand(parameter.shape, generator=generator))
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                assert module.running_mean is not None
                module.running_mean.copy_(
                    0.1 * torch.randn(module.num_features, generator=generator)
                )
    return model.eval()


def pretend_module(monkeypatch: pytest.MonkeyPatch, name: str, **contents: object) -> None:
    """Let `import name` find these contents, whatever is installed."""
    for end in [i for i, letter in enumerate(name) if letter == "."]:
        monkeypatch.setitem(sys.modules, name[:end], ModuleType(name[:end]))
    module = ModuleType(name)
    vars(module).update(contents)
    monkeypatch.setitem(sys.modules, name, module)
