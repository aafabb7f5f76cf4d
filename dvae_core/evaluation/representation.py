"""What a model makes of a data set: codes beside the factors they came from."""

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
from dvae_core.models.latents import CategoricalPosterior, Posterior
from dvae_core.progress import Progress, no_progress

# As many images as keep the encoder's first maps in a processor's cache.
ENCODING_BATCH = 128

# How many times larger than its images a set's full grid may be, to be looked up.
MAX_SPARSITY = 100

CodeKind = Literal["mean", "mode"]
"""The noise-free expectation, or the value of the most likely category."""


class Encoder(Protocol):
    """What a metric asks of a model."""

    def encode(self, images: Tensor) -> Posterior:
        """Posterior over the codes of images (B, C, H, W)."""
        ...


@dataclass(frozen=True)
class Representation:
    """Codes of images drawn from a data set, and the factors of these images.

    Attributes:
        codes: mean codes, float32 (points, N).
        mode_codes: values of the most likely categories, float32 (points, N); the mean codes where
            there are no categories.
        categories: most likely categories, int64 (points, N); None where there are none.
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
    """Codes of images drawn uniformly with replacement.

    Args:
        model: on the device of the data set.
        dataset: where images come from.
        count: number of points.
        seed: decides which points, and the noise in their images.
        progress: told of images encoded.

    Raises:
        EvaluationError: a code is not finite.
    """
    codes, mode_codes, categories, factors = [], [], [], []
    with torch.inference_mode():
        for batch_factors, images in draw_batches(dataset, count, seed, progress):
            posterior = model.encode(images)
            factors.append(batch_factors.cpu())
            codes.append(posterior.mean_code().cpu())
            mode_codes.append(posterior.mode_code().cpu())
            if isinstance(posterior, CategoricalPosterior):
                categories.append(posterior.discrete_code().cpu())
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
    """Factors (B, F) and images (B, C, H, W) of `count` points, uniform with replacement.

    Args:
        dataset: with F = 0 factors its images are drawn directly.
        count: number of points.
        seed: decides which points, and the noise in their images.
        progress: told of points drawn so far.
        batch_size: greatest B.
    """
    generator = torch.Generator(dataset.device).manual_seed(seed)
    for start in range(0, count, batch_size):
        progress(start, count)
        size = min(batch_size, count - start)
        if dataset.factor_sizes:
            factors = dataset.sample_factors(size, generator)
            yield factors, dataset.images(factors, generator)
        else:
            yield torch.empty(size, 0, dtype=torch.int64), dataset.sample_images(size, generator)
    progress(count, count)


class CodeSource(Protocol):
    """Codes of given factors, as metrics that fix a factor need them."""

    def codes_of(self, factors: Tensor) -> NDArray[np.float32]:
        """Codes float32 (B, N) of factors int64 (B, F)."""
        ...


class EncodedCodes:
    """A `CodeSource` that makes and encodes the image of every draw, noise included."""

    def __init__(
        self, model: Encoder, dataset: Dataset, seed: int, kind: CodeKind = "mean"
    ) -> None:
        self._model = model
        self._dataset = dataset
        self._kind = kind
        # Not the stream from which a metric of the same seed draws its factors.
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
    """A `CodeSource` over a set whose every image was encoded once."""

    def __init__(self, factor_sizes: tuple[int, ...], table: NDArray[np.float32]) -> None:
        self._strides = _strides(factor_sizes)
        self._table = table  # (product of the factor sizes, N)

    def codes_of(self, factors: Tensor) -> NDArray[np.float32]:
        """Codes float32 (B, N) of factors int64 (B, F)."""
        return self._table[factors.cpu().numpy() @ self._strides]


def encode_dataset(
    model: Encoder, dataset: Dataset, kind: CodeKind = "mean", progress: Progress = no_progress
) -> LookedUpCodes:
    """Every image of a data set encoded once.

    Args:
        model: on the device of the data set.
        dataset: one without noise in its images, or an image would stand for all of its kind.
        kind: which code to keep.
        progress: told of images encoded.

    Raises:
        EvaluationError: the set is noisy, or a code is not finite.
    """
    if dataset.is_noisy:
        raise EvaluationError(
            f"the images of {dataset.name} hold noise, so that one code cannot stand for all "
            "images of its factors"
        )
    strides = _strides(dataset.factor_sizes)
    table = None
    with torch.inference_mode():
        indices = torch.arange(len(dataset), device=dataset.device)
        for part in indices.split(ENCODING_BATCH):
            progress(int(part[0]), len(dataset))
            codes = _finite(_codes(model.encode(dataset.images_at(part)), kind))
            if table is None:
                # Combinations that do not exist stay unread; calloc gives them no memory.
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
    """The source that encodes fewer images for `num_draws` draws; arguments as in each."""
    # Codes are looked up by their place in the full grid, of which little may exist.
    grid = prod(dataset.factor_sizes)
    if dataset.is_noisy or len(dataset) > num_draws or grid > max(MAX_SPARSITY * len(dataset), 1):
        return EncodedCodes(model, dataset, seed, kind)
    return encode_dataset(model, dataset, kind, progress)


def _codes(posterior: Posterior, kind: CodeKind) -> Tensor:
    return (posterior.mean_code() if kind == "mean" else posterior.mode_code()).cpu()


def _finite(codes: Tensor) -> NDArray[np.float32]:
    if not codes.isfinite().all():
        raise EvaluationError(
            "the model gives codes that are not finite: it has diverged, train it again"
        )
    return codes.numpy()


def _strides(factor_sizes: tuple[int, ...]) -> NDArray[np.int64]:
    """Distance in the list of all combinations between neighbouring values of each factor."""
    return np.cumprod([1, *factor_sizes[:0:-1]], dtype=np.int64)[::-1]
