"""The description of a metric: how it is computed, and what its scores mean."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from numpy.typing import NDArray

from dvae_core.evaluation.results import EvaluationSettings

if TYPE_CHECKING:  # so that a metric on plain arrays loads without torch
    from dvae_core.evaluation.inputs import EvaluationInputs
    from dvae_core.runs.run import Run


@dataclass(frozen=True)
class ScoreSpec:
    """One number of a metric.

    Attributes:
        name: in evaluation.json.
        label: in tables and figures, with the unit.
        meaning: one sentence.
        better: the better direction, or "".
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
    """The results of a metric: scores in the order of its spec, and tables by name.

    An undefined score is a string with the reason. A table is a matrix, or a vector that is stored
    as a matrix of one row.
    """

    def __init__(self, *scores: float | str, **tables: NDArray) -> None:
        self.scores = scores
        self.tables = tables


def values_or_reasons(result: Any, *names: str) -> tuple[float | str, ...]:
    """Attributes of a result; those listed in its `undefined` are replaced by the reason."""
    return tuple(result.undefined.get(name, getattr(result, name)) for name in names)


@dataclass(frozen=True)
class MetricSpec:
    """A metric. Its name is the name of its file.

    Attributes:
        measure: computes it. The message of an `EvaluationError` becomes the reason for missing
            scores.
        scores: its scores; () for a metric that has only tables.
        estimator: codes and method in words. Results with the same estimator, points, seed and
            weights are valid under both protocols.
        seconds: approximate time at the default settings on two cores. Metrics are computed in this
            order; those under ten seconds form the set `fast`.
        seconds_per_value: the same for each value of a factor, if the time grows with them.
        source: author and year of the paper, or "".
        needs_factors: whether it compares latents with factors. The columns of its tables are then
            factors; factors with a single value are left out.
        depends_on_protocol: whether its results differ between the protocols.
        in_paper: whether it is one of the six metrics of Friede et al. (2023).
        is_tested: whether it needs separate test points.
        points: number of points that it is computed on.
        compared: for a metric that compares the run with others of its folder, these runs in words,
            at the end of its estimator; None for the other metrics.
    """

    measure: Callable[["EvaluationInputs"], Measurement]
    scores: tuple[ScoreSpec, ...]
    estimator: Callable[["EvaluationInputs"], str]
    seconds: float
    seconds_per_value: float = 0.0
    source: str = ""
    needs_factors: bool = True
    depends_on_protocol: bool = True
    in_paper: bool = False
    is_tested: bool = False
    points: Callable[[EvaluationSettings], int] = lambda settings: settings.points
    compared: Callable[["Run"], str] | None = None
