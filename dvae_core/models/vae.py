"""The variational autoencoder: encoder, latents, decoder."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dvae_core.config import ModelConfig
from dvae_core.models.latents import CategoricalLatents, GaussianLatents, Latents, Posterior
from dvae_core.models.networks import Decoder, Encoder, initialize_weights


class VAE(nn.Module):
    """Images to posteriors to codes to images.

    Attributes:
        image_shape: (C, H, W).
        latents: the family; `latents.num_latents` is N.
    """

    def __init__(self, image_shape: tuple[int, int, int], latents: Latents) -> None:
        super().__init__()
        self.image_shape = image_shape
        self.encoder = Encoder(image_shape, latents.head_size)
        self.latents = latents
        self.decoder = Decoder(image_shape, latents.num_latents)

    def encode(self, images: Tensor, noise_scale: float | Tensor = 1.0) -> Posterior:
        """Posterior over the codes of images (B, C, H, W)."""
        return self.latents.posterior(self.encoder(images), noise_scale)

    def decode(self, codes: Tensor) -> Tensor:
        """Image logits (B, C, H, W) of codes (B, N)."""
        return self.decoder(codes)

    def decode_images(self, codes: Tensor) -> Tensor:
        """Mean images (B, C, H, W) in [0, 1] of codes (B, N)."""
        return self.decoder(codes).sigmoid()


def build_model(
    config: ModelConfig,
    image_shape: tuple[int, int, int],
    generator: torch.Generator | None = None,
) -> VAE:
    """The model that a config describes, in channels-last layout, which halves the time of its
    convolutions on a processor.

    Args:
        config: family, N and K.
        image_shape: (C, H, W).
        generator: draws the weights; without it they are arbitrary, to be loaded.
    """
    latents: Latents
    if config.latents == "categorical":
        latents = CategoricalLatents(config.num_latents, config.num_categories)
    else:
        latents = GaussianLatents(config.num_latents)
    model = VAE(image_shape, latents)
    if generator is not None:
        initialize_weights(model, generator)
    return model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def reconstruction_loss(image_logits: Tensor, images: Tensor) -> Tensor:
    """Bernoulli cross entropy of each image in nats, (B,), summed over pixels and channels."""
    losses = F.binary_cross_entropy_with_logits(image_logits, images, reduction="none")
    return losses.flatten(1).sum(1)  # (B, C, H, W) -> (B, C * H * W) -> (B,)
