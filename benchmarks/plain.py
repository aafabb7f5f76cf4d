"""A reference training step made of PyTorch's own layers in their default memory layout, with one
autograd pass per gradient and plain Adam. Benchmarks compare its speed, tests its losses."""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dvae_core.config import RunConfig
from dvae_core.models.vae import VAE
from dvae_core.training.trainer import Training


class PlainEncoder(nn.Module):
    """Images (B, C, H, W) of 32 or 64 pixels to the parameters of the latents."""

    def __init__(self, channels: int, size: int, head_size: int) -> None:
        super().__init__()
        kernels = [(channels, 32, 4), (32, 32, 4), (32, 64, 2), (64, 64, 2)]
        self.convolutions = nn.Sequential(
            *(
                nn.Sequential(nn.Conv2d(wide, wider, kernel, 2, (kernel - 2) // 2), nn.ReLU())
                for wide, wider, kernel in kernels[: 4 if size == 64 else 3]
            )
        )
        self.hidden, self.head = nn.Linear(1024, 256), nn.Linear(256, head_size)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.hidden(self.convolutions(images).reshape(-1, 1024)).relu())


class PlainDecoder(nn.Module):
    """Codes (B, N) to image logits (B, C, H, W)."""

    def __init__(self, channels: int, size: int, num_latents: int) -> None:
        super().__init__()
        self.hidden, self.maps = nn.Linear(num_latents, 256), nn.Linear(256, 1024)
        widths = [64, 64, 32, 32] if size == 64 else [64, 32, 32]
        layers: list[nn.Module] = []
        for wide, narrow in pairwise(widths):
            layers += [nn.ConvTranspose2d(wide, narrow, 4, 2, 1), nn.ReLU()]
        self.convolutions = nn.Sequential(*layers, nn.ConvTranspose2d(32, channels, 4, 2, 1))

    def forward(self, codes: Tensor) -> Tensor:
        hidden = self.maps(self.hidden(codes).relu()).relu()
        return self.convolutions(hidden.reshape(-1, 64, 4, 4))


class PlainStep:
    """The step of a `Training`, from its current weights and random states."""

    def __init__(self, training: Training, channels_last: bool = False) -> None:
        config, model = training.config, training.model
        channels, size, _ = model.image_shape
        self.config: RunConfig = config
        self.model: VAE = model
        self.dataset = training.dataset
        self.generators = {
            name: torch.Generator().set_state(generator.get_state())
            for name, generator in training.generators.items()
        }
        self.encoder = PlainEncoder(channels, size, model.latents.head_size)
        assert model.encoder is not None
        self.encoder.load_state_dict(model.encoder.state_dict())
        self.decoder = PlainDecoder(channels, size, config.num_latents)
        self.decoder.load_state_dict(model.decoder.state_dict())
        self.order = torch.channels_last if channels_last else torch.contiguous_format
        for network in (self.encoder, self.decoder):
            network.to(memory_format=self.order)  # type: ignore[call-overload]
        self.weights = [*self.encoder.parameters(), *self.decoder.parameters()]
        self.adam = torch.optim.Adam(self.weights, lr=config.learning_rate)
        self.discriminator: nn.Sequential | None = None
        if config.objective == "factor":
            layers: list[nn.Module] = []
            for width in [config.num_latents] + 5 * [1000]:
                layers += [nn.Linear(width, 1000), nn.LeakyReLU(0.01)]
            self.discriminator = nn.Sequential(*layers, nn.Linear(1000, 2))
            self.discriminator.load_state_dict(
                {
                    key.removeprefix("discriminator.layers."): value
                    for key, value in training.objective.state_dict().items()
                }
            )
            self.discriminator_adam = torch.optim.Adam(
                self.discriminator.parameters(),
                lr=config.discriminator_learning_rate,
                betas=(0.5, 0.9),
            )

    def __call__(self) -> Tensor:
        """One update; the loss before it, nats per image."""
        config = self.config
        images = self.dataset.sample_images(config.batch_size, self.generators["data"])
        code, kl = self._code(self.encoder(images.contiguous(memory_format=self.order)))
        reconstruction = F.binary_cross_entropy_with_logits(
            self.decoder(code), images, reduction="none"
        )
        loss = reconstruction.sum((1, 2, 3)).mean() + kl
        if self.discriminator is None:
            self._update(self.adam, self.weights, torch.autograd.grad(loss, self.weights))
            return loss.detach()
        order = torch.rand(code.shape, generator=self.generators["noise"]).argsort(0)
        logits = self.discriminator(code)
        loss = loss + config.gamma * (logits[:, 0] - logits[:, 1]).mean()
        shuffled = self.discriminator(code.detach().gather(0, order))
        joint = torch.zeros(config.batch_size, dtype=torch.int64)
        game = 0.5 * (F.cross_entropy(logits, joint) + F.cross_entropy(shuffled, joint + 1))
        players = list(self.discriminator.parameters())
        gradients = torch.autograd.grad(loss, self.weights, retain_graph=True)
        own_gradients = torch.autograd.grad(game, players)
        self._update(self.adam, self.weights, gradients)
        self._update(self.discriminator_adam, players, own_gradients)
        return loss.detach()

    def _code(self, parameters: Tensor) -> tuple[Tensor, Tensor]:
        config = self.config
        noise = self.model.latents.noise(config.batch_size, self.generators["noise"])
        if config.latents == "gaussian":
            mean, log_variance = parameters.chunk(2, 1)
            kl = 0.5 * (mean**2 + log_variance.exp() - log_variance - 1).sum(1).mean()
            return mean + log_variance.exp().sqrt() * noise, kl
        logits = parameters.reshape(config.batch_size, config.num_latents, -1)
        noisy = logits + config.noise_scale_end * noise
        values = torch.linspace(-1, 1, config.num_categories)
        uniform = torch.tensor(1.0 / config.num_categories)
        log_q = logits.log_softmax(-1)
        kl = (log_q.exp() * (log_q - uniform.log())).sum((1, 2)).mean()
        return (noisy.softmax(-1) * values).sum(-1), kl

    @staticmethod
    def _update(
        adam: torch.optim.Optimizer, weights: list[nn.Parameter], gradients: tuple[Tensor, ...]
    ) -> None:
        for weight, gradient in zip(weights, gradients, strict=True):
            weight.grad = gradient
        adam.step()
