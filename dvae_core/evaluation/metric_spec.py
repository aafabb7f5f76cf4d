"""What a metric says of itself: how it is measured, and what its scores mean."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from numpy.typing import NDArray

from dvae_core.evaluation.results import EvaluationSettings

if TYPE_CHECKING:  # so that a metric on plain arrays loads without torch
    from dvae_core.evaluation.inputs import EvaluationInputs


@dataclass(frozen=True)
class ScoreSpec:
    """One number of a metric.

    Attributes:
        name: in evaluation.json.
        label: in tables and figures, with the unit.
        meaning: one sentence.
        better: the better direction; "" where neither is.
    """

    name: str
    label: str
    meaning: str
    better: Literal["higher", "lower", ""] = "higher"

    @property
    def label_with_arrow(self) -> str:
        """The label and the better direction, such as "MIG ↑"."""
        return self.label + {"higher": " ↑", "lower": " ↓", "": ""}[self.better]


class Measurement:
    """What a metric gave: its scores in the order of its spec, and its tables by name.

    A score that is not defined is the reason in words. A table is a matrix, or a vector that is
    stored as a matrix of one row.
    """

    def __init__(self, *scores: float | str, **tables: NDArray) -> None:
        self.scores = scores
        self.tables = tables


def values_or_reasons(result: Any, *names: str) -> tuple[float | str, ...]:
    """Those attributes of a result, each replaced by its entry in `undefined` where it has one."""
    return tuple(result.undefined.get(name, getattr(result, name)) for name in names)


@dataclass(frozen=True)
class MetricSpec:
    """A metric. Its name is the name of its file.

    Attributes:
        measure: computes it. An `EvaluationError` becomes the reason why there are no scores.
        scores: what it gives; () where it gives tables alone.
        estimator: codes and method in words. Results of the same estimator, points, seed and
            weights hold for both protocols.
        seconds: about how long it takes at the default settings on two cores. Metrics are
            measured in this order, and those under ten seconds are the set `fast`.
        source: author and year of the paper; "" where there is none to name.
        needs_factors: whether it compares latents with factors. Then the columns of its tables are
            factors, and those with a single value are left out.
        in_paper: whether it is one of the six of Friede et al. (2023).
        is_tested: whether it tests what it fits on other points.
        points: number of points that it is computed on.
    """

    measure: Callable[["EvaluationInputs"], Measurement]
    scores: tuple[ScoreSpec, ...]
    estimator: Callable[["EvaluationInputs"], str]
    seconds: float
    source: str = ""
    needs_factors: bool = True
    in_paper: bool = False
    is_tested: bool = False
    points: Callable[[EvaluationSettings], int] = lambda settings: settings.points
