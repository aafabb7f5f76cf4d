"""The families of latents, with a common interface.

A *family* turns the encoder's output into a *posterior* over the codes of a batch, and defines the
prior. `GaussianLatents` is one; `CategoricalLatents` are all that have categories, by three choices
(`CategoryChoices` in dvae_core/config.py). The posteriors of all families have:

    mean_code()      (B, N)   the noise-free code, used by the metrics
    mode_code()      (B, N)   the most likely code
    code_variance()  (B, N)   variance of the code
    discrete_code()  (B, N)   most likely category, int64; None without categories
    probabilities()  (B, N, K) of the categories; None without categories
    sample(...)      (B, N)   a random code, differentiable
    kl()             (B, N)   divergence from the prior, in nats
    sampled_kl(s)    (B, N)   the same for the category that noise of scale s selects
    density(...)     (B, P) for each latent, at P given values

`CategoricalPosterior` and `GaussianPosterior` are distributions. `PointPosterior` is a certain
category: mean and mode are the same code, and its KL is ln K for every image. Latents whose
posteriors are points say so by `is_deterministic`.

Latents may have different numbers of categories: if K_j of latent j is below K, the logits after
the first K_j are masked. `category_counts` gives the numbers, and `category_values` (N, K) the
scalars that the decoder reads.

Noise can be drawn separately, so that it can be an input of a compiled step.
"""

from collections.abc import Sequence
from dataclasses import fields, replace

import torch
from torch import Tensor

from dvae_core.config import FAMILIES, ModelConfig
from dvae_core.models.latents.categorical import ABSENT, CategoricalLatents, imported_latents
from dvae_core.models.latents.gaussian import GAUSSIAN_SPANS, GaussianLatents, GaussianPosterior
from dvae_core.models.latents.posteriors import CategoricalPosterior, PointPosterior

__all__ = [
    "ABSENT",
    "GAUSSIAN_SPANS",
    "CategoricalLatents",
    "CategoricalPosterior",
    "GaussianLatents",
    "GaussianPosterior",
    "Latents",
    "PointPosterior",
    "Posterior",
    "build_latents",
    "imported_latents",
    "joined",
]

Latents = CategoricalLatents | GaussianLatents
Posterior = CategoricalPosterior | PointPosterior | GaussianPosterior

_PER_IMAGE = ("logits", "categories", "scalars", "mean", "log_variance")


def build_latents(config: ModelConfig) -> Latents:
    """The family of a config."""
    choices = FAMILIES[config.latents].categories
    if choices is None:
        return GaussianLatents(config.num_latents)
    return CategoricalLatents(
        config.num_latents, config.num_categories, config.cardinalities, choices
    )


def joined(posteriors: Sequence[Posterior]) -> Posterior:
    """The posterior of the images of several batches, of one model."""
    first = posteriors[0]
    tensors: dict[str, Tensor] = {}
    for name in (field.name for field in fields(first) if field.name in _PER_IMAGE):
        parts = [getattr(posterior, name) for posterior in posteriors]
        if parts[0] is not None:
            tensors[name] = torch.cat(parts)
    return replace(first, **tensors)  # type: ignore[arg-type]
