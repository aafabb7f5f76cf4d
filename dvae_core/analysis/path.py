"""Two codes of one model: which latents differ, and a path that changes one latent at a time."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dvae_core.analysis.traversal import (
    DECODE_BATCH,
    check_latent,
    decode_codes,
    interpolate_by_latent,
)
from dvae_core.errors import ConfigError
from dvae_core.models.vae import VAE


@dataclass(frozen=True)
class LatentChange:
    """A latent that differs between two codes.

    Attributes:
        latent: its index.
        change: its value in the second code minus that in the first.
        share: of the sum of squared changes, in [0, 1].
    """

    latent: int
    change: float
    share: float


def latent_changes(
    code_a: Tensor, code_b: Tensor, scales: NDArray[np.floating] | None = None
) -> list[LatentChange]:
    """The latents that differ between two codes (N,), by descending share of the change.

    The share of a latent is its squared change over the sum of all squared changes. Of equal shares
    the lower latent comes first.

    Args:
        code_a: (N,).
        code_b: (N,).
        scales: factors of the changes in the shares, (N,), such as `EncodedSet.scales()` or
            `LatentProfile.scales()`, by which a latent that is not active has the share 0; None for
            codes as they are.

    Raises:
        ConfigError: the arrays are not of equal length, or not finite.
    """
    _check_codes(code_a, code_b)
    changes = (code_b.double() - code_a.double()).cpu().numpy()
    weights = np.ones(len(changes)) if scales is None else np.asarray(scales, dtype=np.float64)
    if weights.shape != changes.shape or not np.isfinite(weights).all():
        raise ConfigError(f"scales are {weights.shape}, but must be {len(changes)} finite numbers")
    squares = np.square(changes * weights)
    shares = squares / (squares.sum() or 1.0)
    return [
        LatentChange(latent, float(changes[latent]), float(shares[latent]))
        for latent in np.argsort(-shares, kind="stable").tolist()
        if changes[latent] != 0
    ]


def leading_changes(changes: Sequence[LatentChange], share: float = 0.9) -> list[LatentChange]:
    """The fewest changes that have together at least a share of the sum of squared changes.

    Args:
        changes: from `latent_changes`.
        share: in [0, 1].

    Raises:
        ConfigError: the share is outside [0, 1].
    """
    if not 0 <= share <= 1:
        raise ConfigError(f"the share is {share:g}, but must be in [0, 1]")
    totals = np.cumsum([change.share for change in changes])
    # Shares that are rounded may sum to less than 1.
    return list(changes[: int(np.searchsorted(totals, share - 1e-9)) + 1])


@dataclass(frozen=True)
class LatentPath:
    """A path from one code to another that changes one latent per step.

    Attributes:
        codes: float32 (steps + 1, N), from the first code to the second.
        latents: the latent that each step changes, int64 (steps,); -1 for a last step that changes
            all latents that are left.
        distances: mean squared difference between the image of each code and that of the second
            code, float64 (steps + 1,), in [0, 1]; the last is 0.
        images: decoded, float32 (steps + 1, C, H, W) in [0, 1].
    """

    codes: Tensor
    latents: NDArray[np.int64]
    distances: NDArray[np.float64]
    images: Tensor


@torch.inference_mode()
def path_between(
    model: VAE, code_a: Tensor, code_b: Tensor, latents: Sequence[int] | None = None
) -> LatentPath:
    """A path from code A to code B that sets one latent to its value in B at each step.

    Each step takes the latent after which the decoded image has the least mean squared distance to
    the decoded B, over pixels and channels; of equal distances the lower latent. The choice is
    greedy: another order may have lower distances later. D latents that differ need
    D (D + 1) / 2 decoded images, in batches.

    Args:
        model: on the device of the codes.
        code_a: (N,).
        code_b: (N,).
        latents: to change one at a time; the last step changes all others that differ. None for
            all latents.

    Raises:
        ConfigError: the codes are not finite, or not of the model's N latents, or the model has no
            such latent.
    """
    _check_codes(code_a, code_b)
    if len(code_a) != model.latents.num_latents:
        raise ConfigError(
            f"codes have {len(code_a)} latents, but the model has {model.latents.num_latents}"
        )
    target = decode_codes(model, code_b)
    differing = torch.nonzero(code_a != code_b).flatten().tolist()
    for latent in latents or ():
        check_latent(model, latent)
    left = [latent for latent in differing if latents is None or latent in latents]
    others = len(left) < len(differing)
    code, taken = code_a.clone(), []
    while left:
        candidates = code.repeat(len(left), 1)
        for candidate, latent in zip(candidates, left, strict=True):
            candidate[latent] = code_b[latent]
        nearest = int(_distances(model, candidates, target).argmin())
        code = candidates[nearest]
        taken.append(left.pop(nearest))
    codes = interpolate_by_latent(code_a, code_b, taken)
    if others:
        codes = torch.cat([codes, code_b.unsqueeze(0)])
    images = decode_codes(model, codes)
    return LatentPath(
        codes=codes,
        latents=np.array([*taken, *([-1] if others else [])], dtype=np.int64),
        distances=image_distances(images, images[-1]),
        images=images,
    )


def image_distances(images: Tensor, target: Tensor) -> NDArray[np.float64]:
    """Mean squared difference between each image and one image, over pixels and channels.

    Args:
        images: (B, C, H, W) in [0, 1].
        target: (C, H, W) in [0, 1].

    Returns:
        float64 (B,), in [0, 1].
    """
    return (images.double() - target.double()).square().flatten(1).mean(1).cpu().numpy()


def _distances(model: VAE, codes: Tensor, target: Tensor) -> NDArray[np.float64]:
    """Mean squared distances (B,) of the images of codes (B, N) to one image (C, H, W)."""
    return np.concatenate(
        [image_distances(decode_codes(model, part), target) for part in codes.split(DECODE_BATCH)]
    )


def _check_codes(code_a: Tensor, code_b: Tensor) -> None:
    if code_a.ndim != 1 or code_a.shape != code_b.shape:
        raise ConfigError(
            f"codes have the shapes {tuple(code_a.shape)} and {tuple(code_b.shape)}, but must be "
            f"(N,) both"
        )
    if not (code_a.isfinite().all() and code_b.isfinite().all()):
        raise ConfigError("codes are not finite: encode the images with a model that has trained")
