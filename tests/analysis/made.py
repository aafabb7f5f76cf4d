"""Encoded sets made of given arrays, without a model."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dvae_core.analysis.encoded import EncodedSet, EncodingOrigin


def made_set(
    codes: ArrayLike,
    *,
    factors: ArrayLike | None = None,
    names: Sequence[str] = (),
    categories: ArrayLike | None = None,
    probabilities: ArrayLike | None = None,
    counts: Sequence[int] = (),
    kl: ArrayLike = 1.0,
    losses: ArrayLike = 0.0,
    deviations: ArrayLike = 1.0,
    information: ArrayLike | None = None,
    dataset: str = "made",
    numbers: ArrayLike | None = None,
    num_images: int | None = None,
) -> EncodedSet:
    """A set with these codes (n, N); numbers fill whole arrays."""
    filled: NDArray[np.float32] = np.array(codes, np.float32)
    rows = len(filled)
    labels = np.zeros((rows, 0), np.int64) if factors is None else np.array(factors, np.int64)

    def whole(values: ArrayLike) -> NDArray[np.float32]:
        return np.broadcast_to(np.array(values, np.float32), filled.shape).copy()

    return EncodedSet(
        origin=EncodingOrigin(
            weights="0", step=0, dataset=dataset, images="0", count=max(rows, 1), seed=0
        ),
        num_images=num_images or rows,
        factor_names=tuple(names),
        factor_sizes=tuple(int(column.max()) + 1 for column in labels.T),
        category_counts=tuple(counts),
        numbers=np.arange(rows) if numbers is None else np.array(numbers, np.int64),
        factors=labels,
        codes=filled,
        deviations=whole(deviations),
        categories=None if categories is None else np.array(categories, np.int32),
        probabilities=None
        if categories is None
        else whole(1.0 if probabilities is None else probabilities),
        kl=whole(kl),
        losses=np.broadcast_to(np.array(losses, np.float32), (rows,)).copy(),
        image_information=whole(kl if information is None else information).mean(0, np.float64),
    )


def random_set(rows: int, latents: int, seed: int = 0, values: int = 4) -> EncodedSet:
    """Categorical latents and two factors without any relation."""
    draw = np.random.default_rng(seed)
    return made_set(
        draw.normal(size=(rows, latents)),
        factors=draw.integers(0, values, (rows, 2)),
        names=("wall hue", "x"),
        categories=draw.integers(0, 5, (rows, latents)),
        counts=[5] * latents,
        kl=draw.uniform(0.1, 2, (rows, latents)),
        losses=draw.uniform(10, 100, rows),
    )
