"""Draws of images that share the value of a factor, for the FactorVAE and BetaVAE scores."""

from abc import ABC, abstractmethod
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from dvae_core.data.dataset import Dataset
from dvae_core.errors import EvaluationError
from dvae_core.evaluation.checks import check_several_factors
from dvae_core.evaluation.representation import CodeSource

BATCH_SIZE = 64  # images, or pairs of images, behind one point


class Draws(ABC):
    """Images that a score draws from, uniformly and with replacement.

    Attributes:
        factors: indices of the factors that a point may fix, ascending.
    """

    factors: NDArray[np.int64]

    @abstractmethod
    def choose(self, count: int, factors: NDArray[np.int64]) -> NDArray[np.int64]:
        """The factor that each of `count` points fixes, uniform among `factors`."""

    @abstractmethod
    def values(self, fixed: NDArray[np.int64]) -> NDArray[np.int64]:
        """The value at which each point fixes its factor, (points,): that of a random image."""

    @abstractmethod
    def codes(self, count: int) -> NDArray[np.float32]:
        """Codes (count, N) of any images."""

    @abstractmethod
    def codes_with(self, count: int, factor: int, value: int) -> NDArray[np.float32]:
        """Codes (count, N) of images with this value of a factor."""


class DatasetDraws(Draws):
    """Draws from all images of a data set."""

    def __init__(self, dataset: Dataset, source: CodeSource, seed: int, metric: str) -> None:
        self.factors = varying_factors(dataset, metric)
        self._dataset = dataset
        self._source = source
        self._generator = torch.Generator(dataset.device).manual_seed(seed)

    def choose(self, count: int, factors: NDArray[np.int64]) -> NDArray[np.int64]:
        device = self._generator.device
        choice = torch.randint(len(factors), (count,), generator=self._generator, device=device)
        return factors[choice.cpu().numpy()]

    def values(self, fixed: NDArray[np.int64]) -> NDArray[np.int64]:
        drawn = self._dataset.sample_factors(len(fixed), self._generator).cpu().numpy()
        return drawn[np.arange(len(fixed)), fixed]

    def codes(self, count: int) -> NDArray[np.float32]:
        return self._source.codes_of(self._dataset.sample_factors(count, self._generator))

    def codes_with(self, count: int, factor: int, value: int) -> NDArray[np.float32]:
        drawn = self._dataset.sample_factors(count, self._generator, {factor: value})
        return self._source.codes_of(drawn)


class PointDraws(Draws):
    """Draws from given points.

    A factor is fixed only at values that two points have: images that share a value of one image
    do not vary at all.

    Args:
        codes: float32 (points, N).
        factors: int64 (points, F).
        seed: of all draws.
    """

    def __init__(self, codes: NDArray[np.float32], factors: NDArray[np.int64], seed: int) -> None:
        self._codes = codes
        self._factors = factors
        self._draw = np.random.default_rng(seed)
        self._shared = [_shared(column) for column in factors.T]
        self.factors = np.flatnonzero([len(rows) > 0 for rows in self._shared])
        self._rows = dict[tuple[int, int], NDArray[np.int64]]()

    def choose(self, count: int, factors: NDArray[np.int64]) -> NDArray[np.int64]:
        return self._draw.choice(factors, count)

    def values(self, fixed: NDArray[np.int64]) -> NDArray[np.int64]:
        values = np.empty_like(fixed)
        for factor in np.unique(fixed):
            points = np.flatnonzero(fixed == factor)
            rows = self._draw.choice(self._shared[factor], len(points))
            values[points] = self._factors[rows, factor]
        return values

    def codes(self, count: int) -> NDArray[np.float32]:
        return self._codes[self._draw.integers(len(self._codes), size=count)]

    def codes_with(self, count: int, factor: int, value: int) -> NDArray[np.float32]:
        rows = self._rows.get((factor, value))
        if rows is None:
            rows = self._rows[factor, value] = np.flatnonzero(self._factors[:, factor] == value)
        return self._codes[self._draw.choice(rows, count)]


def _shared(column: NDArray[np.int64]) -> NDArray[np.int64]:
    """Positions whose value others have too; none if all have the same."""
    _, inverse, counts = np.unique(column, return_inverse=True, return_counts=True)
    if len(counts) == 1:
        return np.empty(0, dtype=np.int64)
    return np.flatnonzero(counts[inverse] > 1)


def fixable(fit: Draws, test: Draws, metric: str) -> NDArray[np.int64]:
    """Factors that both draws can fix.

    Raises:
        EvaluationError: there are fewer than two.
    """
    both: NDArray[np.int64] = np.intersect1d(fit.factors, test.factors)
    check_several_factors(len(both), metric)
    return both


def varying_factors(dataset: Dataset, metric: str) -> NDArray[np.int64]:
    """Indices of the factors with more than one value.

    Raises:
        EvaluationError: there are fewer than two of them.
    """
    check_has_factors(dataset)
    varying = np.flatnonzero(np.array(dataset.factor_sizes) > 1)
    check_several_factors(len(varying), metric)
    return varying


def check_has_factors(dataset: Dataset) -> None:
    """Raise `EvaluationError` for a data set without factors."""
    if not dataset.factor_sizes:
        raise EvaluationError(
            f"this metric needs ground-truth factors, but {dataset.name} has none"
        )


def group_by_fixed_value(
    fixed: NDArray[np.int64], values: NDArray[np.int64]
) -> Iterator[tuple[int, int, NDArray[np.int64]]]:
    """Factor, value, and the points that fix this factor at this value, in ascending order.

    Args:
        fixed: fixed factor of each point, (points,).
        values: value of that factor, (points,).
    """
    for factor in np.unique(fixed):
        for value in np.unique(values[fixed == factor]):
            yield int(factor), int(value), np.flatnonzero((fixed == factor) & (values == value))
