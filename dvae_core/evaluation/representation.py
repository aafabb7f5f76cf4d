"""Codes of a data set's images, with the factors of these images."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dvae_core.data.dataset import Dataset
from dvae_core.errors import EvaluationError
from dvae_core.models.latents import Posterior
from dvae_core.progress import Progress, no_progress

# The encoder's first feature maps of this many images fit a processor's cache.
ENCODING_BATCH = 128

# Largest ratio of factor combinations to images for which codes are kept in a table.
MAX_SPARSITY = 100

CodeKind = Literal["mean", "mode"]
"""The noise-free expectation, or the value of the most likely category."""


class Encoder(Protocol):
    """The part of a model that metrics need."""

    def encode(self, images: Tensor) -> Posterior:
        """Posterior over the codes of images (B, C, H, W)."""
        ...


@dataclass(frozen=True)
class Representation:
    """Codes of images drawn from a data set, and the factors of these images.

    Attributes:
        codes: mean codes, float32 (points, N).
        mode_codes: values of the most likely categories, float32 (points, N); without categories
            the mean codes.
        categories: most likely categories, int64 (points, N); None without categories.
        factors: int64 (points, F).
    """

    codes: NDArray[np.float32]
    mode_codes: NDArray[np.float32]
    categories: NDArray[np.int64] | None
    factors: NDArray[np.int64]

    def codes_of_kind(self, kind: CodeKind) -> NDArray[np.float32]:
        """`codes` or `mode_codes`."""
        return self.codes if kind == "mean" else self.mode_codes


def encode_points(
    model: Encoder,
    dataset: Dataset,
    count: int,
    seed: int,
    progress: Progress = no_progress,
) -> Representation:
    """Codes of `count` images drawn uniformly with replacement.

    Raises:
        EvaluationError: a code is not finite.
    """
    return _encoded(model, draw_batches(dataset, count, seed, progress))


def encode_images(
    model: Encoder,
    dataset: Dataset,
    numbers: NDArray[np.int64],
    seed: int,
    progress: Progress = no_progress,
) -> Representation:
    """Codes of the images at these numbers, as in `Dataset.points_at`.

    Raises:
        EvaluationError: a code is not finite.
    """

    def batches() -> Iterator[tuple[Tensor, Tensor]]:
        generator = torch.Generator(dataset.device).manual_seed(seed)
        for start in range(0, len(numbers), ENCODING_BATCH):
            progress(start, len(numbers))
            part = torch.from_numpy(numbers[start : start + ENCODING_BATCH]).to(dataset.device)
            yield dataset.points_at(part, generator)
        progress(len(numbers), len(numbers))

    return _encoded(model, batches())


def _encoded(model: Encoder, batches: Iterator[tuple[Tensor, Tensor]]) -> Representation:
    codes, mode_codes, categories, factors = [], [], [], []
    with torch.inference_mode():
        for batch_factors, images in batches:
            posterior = model.encode(images)
            factors.append(batch_factors.cpu())
            codes.append(posterior.mean_code().cpu())
            mode_codes.append(posterior.mode_code().cpu())
            discrete = posterior.discrete_code()
            if discrete is not None:
                categories.append(discrete.cpu())
    return Representation(
        codes=_finite(torch.cat(codes)),
        mode_codes=_finite(torch.cat(mode_codes)),
        categories=torch.cat(categories).numpy() if categories else None,
        factors=torch.cat(factors).numpy(),
    )


def draw_batches(
    dataset: Dataset,
    count: int,
    seed: int,
    progress: Progress = no_progress,
    batch_size: int = ENCODING_BATCH,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Factors (B, F) and images (B, C, H, W) of `count` points, drawn uniformly with replacement,
    in batches. F is 0 for a set without factors. The seed also draws the noise in images."""
    generator = torch.Generator(dataset.device).manual_seed(seed)
    for start in range(0, count, batch_size):
        progress(start, count)
        size = min(batch_size, count - start)
        yield dataset.sample_points(size, generator)
    progress(count, count)


class CodeSource(Protocol):
    """Codes of given factors, for metrics that fix a factor."""

    def codes_of(self, factors: Tensor) -> NDArray[np.float32]:
        """Codes float32 (B, N) of factors int64 (B, F)."""
        ...


class EncodedCodes:
    """A `CodeSource` that makes and encodes an image for every draw, noise included."""

    def __init__(
        self, model: Encoder, dataset: Dataset, seed: int, kind: CodeKind = "mean"
    ) -> None:
        self._model = model
        self._dataset = dataset
        self._kind = kind
        # Independent of the factors that a metric draws with the same seed.
        noise_seed = int(np.random.SeedSequence([seed, 1]).generate_state(1)[0])
        self._generator = torch.Generator(dataset.device).manual_seed(noise_seed)

    def codes_of(self, factors: Tensor) -> NDArray[np.float32]:
        """Codes float32 (B, N) of factors int64 (B, F)."""
        with torch.inference_mode():
            batches = [
                _codes(self._model.encode(self._dataset.images(part, self._generator)), self._kind)
                for part in factors.split(ENCODING_BATCH)
            ]
        return _finite(torch.cat(batches))


class LookedUpCodes:
    """A `CodeSource` with a table of the codes of all images."""

    def __init__(self, factor_sizes: tuple[int, ...], table: NDArray[np.float32]) -> None:
        self._strides = _strides(factor_sizes)
        self._table = table  # (product of the factor sizes, N)

    def codes_of(self, factors: Tensor) -> NDArray[np.float32]:
        """Codes float32 (B, N) of factors int64 (B, F)."""
        return self._table[factors.cpu().numpy() @ self._strides]


def encode_dataset(
    model: Encoder, dataset: Dataset, kind: CodeKind = "mean", progress: Progress = no_progress
) -> LookedUpCodes:
    """Encode every image of a data set once.

    Raises:
        EvaluationError: the images are noisy, so that factors do not determine codes, or a code is
            not finite.
    """
    if dataset.is_noisy:
        raise EvaluationError(
            f"images of {dataset.name} hold noise, so their factors do not determine their codes"
        )
    strides = _strides(dataset.factor_sizes)
    table = None
    with torch.inference_mode():
        indices = torch.arange(len(dataset), device=dataset.device)
        for part in indices.split(ENCODING_BATCH):
            progress(int(part[0]), len(dataset))
            codes = _finite(_codes(model.encode(dataset.images_at(part)), kind))
            if table is None:
                # Missing combinations are never read, and calloc allocates no memory for them.
                rows = int(np.prod(dataset.factor_sizes))
                table = np.zeros((rows, codes.shape[1]), dtype=np.float32)
            table[dataset.factors_at(part).cpu().numpy() @ strides] = codes
    progress(len(dataset), len(dataset))
    assert table is not None
    return LookedUpCodes(dataset.factor_sizes, table)


def code_source(
    model: Encoder,
    dataset: Dataset,
    num_draws: int,
    seed: int,
    kind: CodeKind = "mean",
    progress: Progress = no_progress,
) -> CodeSource:
    """The source that encodes fewer images for `num_draws` draws."""
    # The table covers all combinations of factors, of which few may have an image.
    grid = prod(dataset.factor_sizes)
    if dataset.is_noisy or len(dataset) > num_draws or grid > max(MAX_SPARSITY * len(dataset), 1):
        return EncodedCodes(model, dataset, seed, kind)
    return encode_dataset(model, dataset, kind, progress)


def _codes(posterior: Posterior, kind: CodeKind) -> Tensor:
    return (posterior.mean_code() if kind == "mean" else posterior.mode_code()).cpu()


def _finite(codes: Tensor) -> NDArray[np.float32]:
    if not codes.isfinite().all():
        raise EvaluationError("the model's codes are not finite: it has diverged, train it again")
    return codes.numpy()


def _strides(factor_sizes: tuple[int, ...]) -> NDArray[np.int64]:
    """Strides of the factors in the table of all combinations, (F,)."""
    return np.cumprod([1, *factor_sizes[:0:-1]], dtype=np.int64)[::-1]
