"""Latents of ordered categories: where their logits come from, their values, and how they draw."""

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

import torch
from torch import Tensor, nn

from dvae_core.config import CategoryChoice, CategoryChoices, count_categories
from dvae_core.errors import ConfigError
from dvae_core.models.latents.posteriors import (
    CategoricalPosterior,
    PointPosterior,
    gumbel_noise,
)

# Logit of a masked category: its probability is exactly 0, and 0 log 0 is 0. With minus infinity
# the result would be nan, and with the least float its gradient times a weight would be.
ABSENT = -1e9
# Learnt values are at least this far apart, relative to the largest and 1: further than floats can
# tell them apart, so that a board has a place for each.
LEAST_DISTANCE = 2**-20


class CategoricalLatents(nn.Module):
    """N latents of ordered categories on a line; uniform prior.

    `CategoryChoices` has three independent choices, which make the families: the source of the
    logits, the values of the categories, and how a code is drawn.

    The number of categories K_j of latent j is its cardinality, if that is known, otherwise K. An
    encoder that gives logits always has K per latent, of which those after K_j are masked, so that
    cardinalities do not change the shapes of weights. (Our implementation of known cardinalities;
    the reference implementation of Friede et al. 2023 has none.)

    Fixed values are the buffer `values`, (N, K), saved with the weights; after K_j they repeat the
    last value. Learnt ones are the parameter `codebook`, (N, K) or (1, K), in any order.
    `category_values` has both in their order. The mask follows from K_j and is not saved.

    Attributes:
        category_counts: K_j of each latent, (N,).
        choices: what makes the family.

    Raises:
        ConfigError: there are more cardinalities than latents, or a number is below 2 or above K.
    """

    values: Tensor
    _counts: Tensor | None
    _absent: Tensor | None

    spans: ClassVar[tuple[str, ...]] = ("categories",)
    """Ranges of a traversal: all categories."""

    def __init__(
        self,
        num_latents: int,
        num_categories: int,
        cardinalities: Sequence[int] = (),
        choices: CategoryChoices = CategoryChoices(),  # noqa: B008 (frozen)
    ) -> None:
        super().__init__()
        self.num_latents = num_latents
        self.num_categories = num_categories
        self.choices = choices
        self.category_counts = count_categories(num_latents, num_categories, cardinalities)
        if choices.values == "grid":
            self.register_buffer("values", _grids(self.category_counts, num_categories))
        elif choices.values == "codebook":
            self.codebook = nn.Parameter(0.5 * _grids(self.category_counts, num_categories))
        else:
            middles = (torch.arange(num_categories) + 0.5) / num_categories
            self.codebook = nn.Parameter(torch.special.ndtri(middles)[None])
        counts, absent = None, None
        if min(self.category_counts) < num_categories:
            counts = torch.tensor(self.category_counts)
            absent = torch.arange(num_categories) >= counts[:, None]  # (N, K)
        self.register_buffer("_counts", counts, persistent=False)
        self.register_buffer("_absent", absent, persistent=False)

    @classmethod
    def at_values(
        cls, values: Sequence[Sequence[float]], draws: CategoryChoice = "gumbel"
    ) -> "CategoricalLatents":
        """Latents of logits with other fixed values than the grid: ascending, N times (K_j,).

        Raises:
            ConfigError: a latent has fewer than two values, or they are not ascending.
        """
        rows = [torch.tensor(row, dtype=torch.float32) for row in values]
        for latent, row in enumerate(rows):
            if not (row.isfinite().all() and (row.diff() > 0).all()):
                raise ConfigError(f"the category values of latent {latent} are not ascending")
        counts = [len(row) for row in rows]
        choices = CategoryChoices(draws=draws)
        latents = cls(len(rows), max(counts, default=0), counts, choices)
        latents.values.copy_(_filled_up(rows, latents.num_categories))
        return latents

    @property
    def is_deterministic(self) -> bool:
        """Whether posteriors are points."""
        return self.choices.draws == "nearest"

    @property
    def category_values(self) -> Tensor:
        """The scalar of each category, which the decoder reads, (N, K): ascending, and after K_j
        repeating the last."""
        if self.choices.values == "grid":
            return self.values
        return self._in_order(self.codebook).expand(self.num_latents, -1)

    @property
    def head_size(self) -> int:
        """Size of the encoder's output: N * K logits, or N scalars."""
        per_latent = self.num_categories if self.choices.logits == "encoder" else 1
        return self.num_latents * per_latent

    def logits(self, parameters: Tensor) -> Tensor:
        """Logits (B, N, K) of the encoder's output (B, head_size), `ABSENT` where masked."""
        if self.choices.logits == "encoder":
            logits = parameters.unflatten(1, (self.num_latents, self.num_categories))
        else:
            scalars = self._scalars(parameters)
            logits = -(scalars.unsqueeze(-1) - self.category_values).square()
        if self._absent is not None:
            logits = logits.masked_fill(self._absent, ABSENT)
        return logits

    def posterior(
        self, parameters: Tensor, noise_scale: float | Tensor = 1.0
    ) -> CategoricalPosterior | PointPosterior:
        """The posterior of the encoder's output (B, head_size)."""
        distribution = self.distribution(parameters, noise_scale)
        if not self.is_deterministic:
            return distribution
        scalars = None if self.choices.logits == "encoder" else self._scalars(parameters)
        categories = distribution.discrete_code()
        return PointPosterior(categories, distribution.values, scalars, self._counts)

    def distribution(
        self, parameters: Tensor, noise_scale: float | Tensor = 1.0
    ) -> CategoricalPosterior:
        """The distribution with these `logits`, whose most likely category is that of a point."""
        logits = self.logits(parameters)
        return CategoricalPosterior(logits, self.category_values, noise_scale, self._counts)

    def prior(self) -> CategoricalPosterior:
        """The prior as the posterior of a batch of one."""
        zeros = torch.zeros(1, self.num_latents, self.num_categories)
        logits = zeros if self._absent is None else zeros.masked_fill(self._absent.cpu(), ABSENT)
        values = self.category_values
        return CategoricalPosterior(logits.to(values), values, category_counts=self._counts)

    def noise(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """Standard Gumbel noise (count, N, K) for `CategoricalPosterior.sample`; (count, 0) where
        nothing is drawn."""
        shape = (self.num_latents, self.num_categories) if not self.is_deterministic else (0,)
        return gumbel_noise(torch.Size((count, *shape)), generator, self.category_values.device)

    @property
    def code_range(self) -> tuple[float, float]:
        """Least and greatest category value."""
        values = self.category_values
        return values.min().item(), values.max().item()

    def traversal_values(
        self,
        latent: int,
        count: int | None = None,
        span: str | None = None,
        codes: Tensor | None = None,
    ) -> Tensor:
        """Ascending values (count,) of a traversal of one latent: all categories, or `count` evenly
        spaced ones. `span` and `codes` have no effect."""
        values = self.category_values[latent, : self.category_counts[latent]]
        if count is None or count >= len(values):
            return values
        return values[torch.linspace(0, len(values) - 1, count).round().long()]

    def sample_prior(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """Codes (count, N) of categories drawn uniformly."""
        device = self.category_values.device
        columns = [
            values[torch.randint(categories, (count,), generator=generator, device=device)]
            for values, categories in zip(self.category_values, self.category_counts, strict=True)
        ]
        return torch.stack(columns, dim=1)

    def _scalars(self, parameters: Tensor) -> Tensor:
        return parameters.tanh() if self.choices.logits == "bounded_distance" else parameters

    def _in_order(self, codebook: Tensor) -> Tensor:
        """Its rows ascending, at least `LEAST_DISTANCE` apart, and after K_j repeating the last."""
        absent = self._absent
        rows = codebook if absent is None else codebook.masked_fill(absent, torch.inf)
        rows = rows.sort(-1).values
        least = LEAST_DISTANCE * (1 + codebook.detach().abs().max())
        too_near = (rows.detach().diff() < least).cumsum(-1)
        rows = rows + least * nn.functional.pad(too_near, (1, 0))
        if absent is None:
            return rows
        assert self._counts is not None
        last = rows.gather(-1, self._counts[:, None] - 1)
        return torch.where(absent, last, rows)


def imported_latents(
    choices: CategoryChoices,
    num_latents: int,
    num_categories: int,
    cardinalities: Sequence[int],
    values: Sequence[Sequence[float]] = (),
) -> CategoricalLatents:
    """Latents of an imported encoder, whose output are logits whatever they were computed from.

    Args:
        choices: of the family; only how it draws counts.
        num_latents: N.
        num_categories: K.
        cardinalities: K_j of the first latents.
        values: of the categories, one row per latent; () for linspace(-1, 1, K_j).
    """
    if values:
        return CategoricalLatents.at_values(values, choices.draws)
    fixed = replace(choices, logits="encoder", values="grid")
    return CategoricalLatents(num_latents, num_categories, cardinalities, fixed)


def _grids(counts: Sequence[int], width: int) -> Tensor:
    """linspace(-1, 1, K_j) of each latent, (N, width), filled up with 1."""
    return _filled_up([torch.linspace(-1.0, 1.0, count) for count in counts], width)


def _filled_up(rows: Sequence[Tensor], width: int) -> Tensor:
    """Rows (K_j,) as one tensor (N, width), padded with the last value of each."""
    return torch.stack([torch.cat([row, row[-1:].expand(width - len(row))]) for row in rows])
