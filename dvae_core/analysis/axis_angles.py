"""The angles between the grid of two factors and the axes of two latents."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dvae_core.analysis.linking import latents_of_factors
from dvae_core.data.dataset import Dataset
from dvae_core.errors import EvaluationError
from dvae_core.evaluation.information import information_of_countable
from dvae_core.evaluation.representation import Encoder, Representation

MAX_VALUES = 16
_BATCH = 256


@dataclass(frozen=True)
class FactorGrid:
    """Images of all pairs of values of two factors, with the other factors fixed.

    Attributes:
        pair: the two factors; the first varies over rows, the second over columns.
        values: the values of each factor in the grid.
        images: (rows, columns, C, H, W).
    """

    pair: tuple[int, int]
    values: tuple[list[int], list[int]]
    images: Tensor

    @torch.inference_mode()
    def encoded(self, model: Encoder) -> NDArray[np.float32]:
        """Mean codes, (rows, columns, N)."""
        rows, columns = self.images.shape[:2]
        flat = self.images.flatten(0, 1)  # (rows, columns, C, H, W) -> (B, C, H, W)
        codes = torch.cat([model.encode(batch).mean_code() for batch in flat.split(_BATCH)])
        return codes.reshape(rows, columns, -1).cpu().numpy()


def factor_grid(
    dataset: Dataset, factors: Sequence[int], pair: tuple[int, int], max_values: int = MAX_VALUES
) -> FactorGrid:
    """The grid of a pair of factors, with the others fixed at the values of `factors` (F,).

    Takes at most `max_values` evenly spaced values of each factor.

    Raises:
        EvaluationError: both factors are the same, or one has a single value.
        DataError: a combination does not exist.
    """
    if pair[0] == pair[1]:
        raise EvaluationError(
            f"factor {dataset.factor_names[pair[0]]} is chosen twice: a grid needs two factors"
        )
    values = []
    for factor in pair:
        size = dataset.factor_sizes[factor]
        if size < 2:
            raise EvaluationError(
                f"factor {dataset.factor_names[factor]} has a single value: a grid needs two"
            )
        values.append(np.unique(np.linspace(0, size - 1, max_values).round().astype(int)).tolist())
    rows, columns = values
    grid = torch.tensor(list(factors)).repeat(len(rows), len(columns), 1)  # (rows, columns, F)
    grid[..., pair[0]] = torch.tensor(rows)[:, None]
    grid[..., pair[1]] = torch.tensor(columns)
    generator = torch.Generator(dataset.device).manual_seed(0)  # of what factors do not determine
    images = dataset.images(grid.flatten(0, 1).to(dataset.device), generator)
    return FactorGrid(pair, (rows, columns), images.unflatten(0, (len(rows), len(columns))))


def best_latents(information: NDArray[np.float64], pair: tuple[int, int]) -> tuple[int, int] | None:
    """The two latents with the most information about a pair of factors, in their order; None for
    one latent. `information` (N, F) is in nats or shares of entropy."""
    first, second = latents_of_factors(information[:, list(pair)])
    return None if first is None or second is None else (first, second)


@dataclass(frozen=True)
class AxisAngles:
    """A linear map from two factors to two latents, fitted by least squares.

    Attributes:
        matrix: (2, 2); column f is the change of both latents over the whole range of factor f.
        centre: (2,), the mapped centre of the grid.
        r_squared: share of the codes' variance that the map explains, at most 1. If it is low, the
            grid is curved and its angles mean little.
        angles: (2,), radians in [0, pi / 4], between each factor's column and the nearest latent
            axis.
    """

    matrix: NDArray[np.float64]
    centre: NDArray[np.float64]
    r_squared: float
    angles: NDArray[np.float64]


def axis_angles(codes: NDArray[np.floating]) -> AxisAngles:
    """Fit codes = matrix . factors + offset to the codes (rows, columns, 2) of a `FactorGrid`.

    Raises:
        EvaluationError: the codes do not vary.
    """
    rows, columns, _ = codes.shape
    # Centred factors with a range of 1, so that the offset is the centre.
    down, across = np.meshgrid(
        np.linspace(-0.5, 0.5, rows), np.linspace(-0.5, 0.5, columns), indexing="ij"
    )
    design = np.stack([down.ravel(), across.ravel(), np.ones(rows * columns)], axis=1)
    flat = codes.reshape(-1, 2).astype(np.float64)  # (rows, columns, 2) -> (points, 2)
    variance = ((flat - flat.mean(axis=0)) ** 2).sum()
    if variance < 1e-12:
        raise EvaluationError(
            "the two latents do not change over the grid of these factors: choose other factors"
        )
    solution = np.linalg.lstsq(design, flat, rcond=None)[0]  # (3, 2)
    residual = ((flat - design @ solution) ** 2).sum()
    matrix = solution[:2].T
    along, beside = np.sort(np.abs(matrix), axis=0)[::-1]  # (F,) each
    return AxisAngles(
        matrix, solution[2], float(1 - residual / variance), np.arctan2(beside, along)
    )


@dataclass(frozen=True)
class FactorPlane:
    """The grid of two factors in the plane of the two latents that encode them: the latent of each
    factor, the codes (rows, columns, 2), and the fitted map."""

    latents: tuple[int, int]
    codes: NDArray[np.float32]
    fitted: AxisAngles

    @property
    def own_shares(self) -> NDArray[np.float64]:
        """Share of the variance of each latent over the grid that its own factor explains, (2,): 1
        if the latent follows that factor alone, in whatever order of its values."""
        codes = self.codes.astype(np.float64)
        means = codes[..., 0].mean(axis=1), codes[..., 1].mean(axis=0)
        variances = codes.var(axis=(0, 1))
        return np.array([mean.var() for mean in means]) / np.maximum(variances, 1e-12)


def factor_plane(model: Encoder, points: Representation, grid: FactorGrid) -> FactorPlane:
    """Find the latents of a grid's factors by mutual information (20 bins) and encode the grid.

    Raises:
        EvaluationError: the model has one latent, or its codes do not vary over the grid.
    """
    information = information_of_countable(points.codes, points.factors).matrix
    latents = best_latents(information, grid.pair)
    if latents is None:
        raise EvaluationError("the model has one latent, but a plane needs two")
    codes = grid.encoded(model)[..., list(latents)]
    return FactorPlane(latents, codes, axis_angles(codes))
