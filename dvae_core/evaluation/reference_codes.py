"""Scores of a perfect code and of a random one, which tell what a score of a model is worth.

The perfect code has one latent per factor, which is the factor itself. Some metrics do not give it
1: SAP, for example, separates the values of a factor along a line, so many values lower it. The
shuffled code is the same code in random order, so it says nothing about the factors.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import files
from types import SimpleNamespace
from typing import Any, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from dvae_core.data.dataset import Dataset
from dvae_core.errors import EvaluationError
from dvae_core.evaluation.catalog import METRIC_SPECS
from dvae_core.evaluation.checks import check_points
from dvae_core.evaluation.information import countable
from dvae_core.evaluation.inputs import (
    EvaluationInputs,
    in_random_order,
    split_images,
    takes_each_once,
)
from dvae_core.evaluation.representation import Representation
from dvae_core.evaluation.results import EvaluationSettings, Metric, ProtocolName
from dvae_core.progress import no_progress

INSTANT: tuple[Metric, ...] = ("mig", "modularity")
"""Metrics that take less than a second."""

SHIPPED: tuple[Metric, ...] = (*INSTANT, "sap", "dci_fast", "infomec")
"""Metrics whose scores of full grids are shipped, see `python -m benchmarks.reference_scores`."""


@dataclass(frozen=True)
class ReferenceScore:
    """A score, at most 1, of both codes; None if it is undefined.

    Attributes:
        perfect: of the code with one latent per factor, which is the factor itself.
        shuffled: of the same code in random order.
    """

    perfect: float | None
    shuffled: float | None


def reference_scores(
    train_factors: NDArray[np.int64],
    test_factors: NDArray[np.int64],
    protocol: ProtocolName,
    metrics: Sequence[Metric] = INSTANT,
) -> dict[str, ReferenceScore]:
    """Scores of the perfect and the shuffled code, by name.

    Args:
        train_factors: (points, F), as drawn for an evaluation; factors with a single value are left
            out.
        test_factors: (test points, F).
        protocol: "native" scores the values as categories, "paper" as numbers in [-1, 1].
        metrics: those that need codes and factors only: mig, modularity, sap, dci_fast, infomec.

    Raises:
        EvaluationError: a metric needs a model, the protocol is unknown, or the factors are
            malformed.
    """
    if protocol not in get_args(ProtocolName):
        raise EvaluationError(
            f"{str(protocol)[:60]!r} is not a protocol: use {' or '.join(get_args(ProtocolName))}"
        )
    for factors in (train_factors, test_factors):
        check_points(factors, factors)
    if train_factors.shape[1] != test_factors.shape[1]:
        raise EvaluationError(
            f"the training points have {train_factors.shape[1]} factors and the test points "
            f"{test_factors.shape[1]}: give the same factors for both"
        )
    for metric in metrics:
        if metric not in SHIPPED:
            raise EvaluationError(
                f"{str(metric)[:60]!r} is not a metric of codes alone: use {', '.join(SHIPPED)}"
            )
    counted = countable(train_factors)
    if not counted.any():
        return {}
    drawn = (train_factors[:, counted], test_factors[:, counted])
    shuffle = np.random.default_rng(0).permutation
    perfect = _CodeInputs(drawn, drawn, protocol)
    shuffled = _CodeInputs(tuple(map(shuffle, drawn)), drawn, protocol)
    scores = {}
    for metric in metrics:
        found = [_measured(inputs, metric) for inputs in (perfect, shuffled)]
        for spec, *values in zip(METRIC_SPECS[metric].scores, *found, strict=True):
            scores[spec.name] = ReferenceScore(*values)
    return scores


def reference_scores_of(dataset: Dataset, protocol: ProtocolName) -> Mapping[str, ReferenceScore]:
    """The shipped scores if the data set is a full grid that has them, else those of the instant
    metrics on its factors, of which an evaluation draws as many; {} without factors, or if there
    are fewer than three images."""
    sizes = dataset.factor_sizes
    if not sizes or dataset.num_images < 3:
        return {}
    each_once = takes_each_once(dataset, protocol, EvaluationSettings())
    shipped = shipped_scores(sizes, protocol, each_once=each_once) if dataset.is_grid else None
    return shipped or reference_scores(*reference_factors(dataset, protocol), protocol)


def reference_factors(
    dataset: Dataset, protocol: ProtocolName
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Factors of as many points as an evaluation of the data set draws, and of its test points,
    (points, F) each."""
    settings = EvaluationSettings()
    counts = settings.points, settings.test_points
    if takes_each_once(dataset, protocol, settings):
        sides = split_images(dataset, in_random_order(dataset, settings.seed))
        generator = torch.Generator(dataset.device).manual_seed(settings.seed)
        drawn = [
            dataset.points_at(torch.from_numpy(side[:count]).to(dataset.device), generator)[0]
            for side, count in zip(sides, counts, strict=True)
        ]
    else:
        drawn = [
            dataset.sample_factors(count, torch.Generator(dataset.device).manual_seed(seed))
            for seed, count in enumerate(counts)
        ]
    train, test = (factors.cpu().numpy() for factors in drawn)
    return train, test


def grid_factors(sizes: Sequence[int], count: int, seed: int) -> NDArray[np.int64]:
    """Factors drawn uniformly from a full grid, (count, F)."""
    drawn: NDArray[np.int64] = np.random.default_rng(seed).integers(0, sizes, (count, len(sizes)))
    return drawn


def shipped_scores(
    sizes: Sequence[int], protocol: ProtocolName, *, each_once: bool = False
) -> Mapping[str, ReferenceScore] | None:
    """The shipped scores of a full grid of these factor sizes, or None; those of points with each
    image once if the protocol takes it so."""
    found = _shipped_file().get(name_of_grid(sizes, each_once=each_once), {}).get(protocol)
    return found and {name: ReferenceScore(*values) for name, values in found.items()}


def name_of_grid(sizes: Sequence[int], *, each_once: bool = False) -> str:
    """The key of a grid in the shipped file, such as "32x32" or "32x32, each image once"."""
    return "x".join(map(str, sizes)) + (", each image once" if each_once else "")


@cache
def _shipped_file() -> dict[str, Any]:
    path = files("dvae_core.evaluation") / "reference_scores.json"
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


class _CodeInputs(EvaluationInputs):
    """The inputs of metrics for given codes instead of a model."""

    def __init__(
        self,
        codes: tuple[NDArray[np.int64], ...],
        factors: tuple[NDArray[np.int64], ...],
        protocol: ProtocolName,
    ) -> None:
        self.protocol = protocol
        self.settings = EvaluationSettings()
        self.num_workers = 1
        self.progress = no_progress
        self._counts = tuple(int(count) for count in factors[0].max(axis=0) + 1)
        self.dataset = SimpleNamespace(  # type: ignore[assignment]
            name="the grid",
            is_grid=True,
            is_noisy=True,  # nothing is drawn, so nothing twice
            factor_sizes=self._counts,
            factor_names=("",) * len(self._counts),
        )
        self._codes, self._factors = codes, factors

    @property
    def category_counts(self) -> tuple[int, ...]:
        return self._counts

    @property
    def holds_images_out(self) -> bool:
        return self.protocol == "native"

    def _representation(self, part: int) -> Representation:
        categories = self._codes[part]
        top = np.maximum(1, np.array(self._counts) - 1)
        codes = (2 * categories / top - 1).astype(np.float32)
        return Representation(codes, codes, categories, self._factors[part])

    @cached_property
    def train(self) -> Representation:
        return self._representation(0)

    @cached_property
    def fit(self) -> Representation:
        return self.train

    @cached_property
    def test(self) -> Representation:
        return self._representation(1)


def _measured(inputs: EvaluationInputs, metric: Metric) -> list[float | None]:
    spec = METRIC_SPECS[metric]
    try:
        values = spec.measure(inputs).scores
    except EvaluationError:
        return [None] * len(spec.scores)
    return [value if isinstance(value, float) else None for value in values]
