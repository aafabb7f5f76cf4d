"""A trial of a model whose weights come from a file."""

import torch
from torch import Tensor

from dvae_core.errors import RunError
from dvae_core.models.vae import VAE

_LARGEST = 1e6  # of any code, logit or divergence; squares of it are far from overflow


@torch.inference_mode()
def try_model(path: object, model: VAE) -> None:
    """Check that a model gives finite numbers of a plausible size on a black, a white and a random
    image, and at the ends of all latents.

    Weights that are finite one by one can still overflow together.

    Args:
        path: of the weights, for the message.
        model: in eval mode, with an encoder.

    Raises:
        RunError: it does not, or the values of a latent do not ascend.
    """
    spans = [model.latents.traversal_values(i) for i in range(model.latents.num_latents)]
    if not all(len(row) and (row.diff() > 0).all() for row in spans):
        raise RunError(f"{path}: the category values of a latent do not ascend")
    images = torch.rand(3, *model.image_shape, generator=torch.Generator().manual_seed(0))
    images[0], images[1] = 0.0, 1.0
    posterior = model.encode(images)
    ends = torch.stack([torch.stack([row[0], row[-1]]) for row in spans], dim=1)  # (2, N)
    codes = torch.cat([posterior.mean_code(), ends])
    results: dict[str, Tensor] = {
        "category values": torch.tensor(model.latents.code_range),
        "codes": codes,
        "variances": posterior.code_variance(),
        "KL": posterior.kl(),
        "images": model.decode(codes),
    }
    for name, values in results.items():
        if not (values.abs() < _LARGEST).all():
            raise RunError(
                f"{path}: the model gives {name} that are not finite or above {_LARGEST:.0e} on a "
                f"trial image: the weights are damaged, or the training diverged"
            )
