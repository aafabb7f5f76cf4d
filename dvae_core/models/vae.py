"""The variational autoencoder: encoder, latents, decoder."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dvae_core.config import ModelConfig
from dvae_core.errors import ModelError
from dvae_core.models.latents import Latents, Posterior, build_latents
from dvae_core.models.networks import Decoder, Encoder, initialize_weights


class VAE(nn.Module):
    """A variational autoencoder: images to posteriors, codes to images.

    Attributes:
        image_shape: (C, H, W).
        encoder: images (B, C, H, W) to parameters of the posterior (B, head_size); None for a model
            that was imported without one.
        latents: the family; `latents.num_latents` is N.
        decoder: codes (B, N) to image logits (B, C, H, W).
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        encoder: nn.Module | None,
        latents: Latents,
        decoder: nn.Module,
    ) -> None:
        super().__init__()
        self.image_shape = image_shape
        self.encoder = encoder
        self.latents = latents
        self.decoder = decoder

    def encode(self, images: Tensor, noise_scale: float | Tensor = 1.0) -> Posterior:
        """Posterior over the codes of images (B, C, H, W).

        Raises:
            ModelError: the model has no encoder.
        """
        if self.encoder is None:
            raise ModelError(
                "this needs an encoder, but the model was imported as a decoder alone: import it "
                "again with both, or explore it from samples of the prior"
            )
        return self.latents.posterior(self.encoder(images), noise_scale)

    def prior(self) -> Posterior:
        """The prior as the posterior of a batch of one."""
        return self.latents.prior()

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
    """The model of a config for images of `image_shape` (C, H, W).

    The channels-last layout halves the time of convolutions on a CPU. Without a generator the
    weights are arbitrary and must be loaded.
    """
    latents = build_latents(config)
    model = VAE(
        image_shape,
        Encoder(image_shape, latents.head_size),
        latents,
        Decoder(image_shape, latents.num_latents),
    )
    if generator is not None:
        initialize_weights(model, generator)
    return model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def reconstruction_loss(image_logits: Tensor, images: Tensor) -> Tensor:
    """Bernoulli cross entropy of each image in nats, (B,), summed over pixels and channels."""
    losses = F.binary_cross_entropy_with_logits(image_logits, images, reduction="none")
    return losses.flatten(1).sum(1)  # (B, C, H, W) -> (B, C * H * W) -> (B,)
