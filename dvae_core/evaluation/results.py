"""evaluation.json: scores and tables, with the settings that they depend on."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import PydanticCustomError

from dvae_core.config import explain
from dvae_core.errors import EvaluationError, RunError
from dvae_core.evaluation.metrics import METRIC_NAMES

if TYPE_CHECKING:  # keeps the command line's help fast
    import numpy as np
    from numpy.typing import NDArray

    from dvae_core.runs.run import Run

ProtocolName = Literal["paper", "native"]


def _check_metric(name: str) -> str:
    if name not in METRIC_NAMES:
        raise PydanticCustomError("metric", f"input should be {', '.join(METRIC_NAMES)}")
    return name


Metric = Annotated[str, AfterValidator(_check_metric)]


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class EvaluationSettings(_Record):
    """Seed and numbers of points."""

    seed: int = Field(0, ge=0, le=2**31 - 1, description="decides points, noise and ties")
    points: int = Field(10_000, ge=1, description="points that a metric is computed on")
    test_points: int = Field(5_000, ge=1, description="points that classifiers are tested on")
    gap_batches: int = Field(1_000, ge=1, description="batches of 64 for the straight-through gap")


class Result(_Record):
    """Fields that scores and tables share."""

    metric: Metric = Field(description="metric that gave the result")
    name: str = Field(description="of this score or table")
    protocol: ProtocolName
    points: int
    test_points: int = Field(description="0 for metrics without test points")
    seed: int
    step: int = Field(description="training steps of the weights")
    estimator: str = Field(description="codes and method, in words")
    seconds: float = Field(description="of the metric, with encoding if it came first")
    note: str = Field("", description="remark, such as factors left out")

    @property
    def measured_on(self) -> str:
        """The codes, the method and the points, in words."""
        points = f"{self.points:,} points"
        if self.test_points:
            points += f", {self.test_points:,} for testing"
        return f"{self.estimator} · {points} · seed {self.seed} · step {self.step:,}"


class Score(Result):
    """One number, or the reason why it is undefined."""

    value: float | None
    reason: str = Field("", description="why value is None")


class Table(Result):
    """One matrix, such as mutual information (N, F) in nats. A vector is stored as one row."""

    values: list[list[float]]
    columns: list[str] = Field(description="factor names if columns are factors, else []")


class Evaluation(_Record):
    """evaluation.json: all results of a run."""

    format_version: Literal[1] = 1
    scores: list[Score] = []
    tables: list[Table] = []

    def score(self, name: str, protocol: ProtocolName) -> Score | None:
        """The score of this name, or None if it was not evaluated."""
        found = (s for s in self.scores if (s.name, s.protocol) == (name, protocol))
        return next(found, None)

    def table(self, name: str, protocol: ProtocolName) -> Table | None:
        """The table of this name, or None if it was not evaluated."""
        found = (t for t in self.tables if (t.name, t.protocol) == (name, protocol))
        return next(found, None)

    def matrix(self, name: str, protocol: ProtocolName) -> "NDArray[np.float64]":
        """The values of a table.

        Raises:
            EvaluationError: it was not evaluated, or is undefined.
        """
        import numpy as np

        table = self.table(name, protocol)
        if table is None:
            reasons = [s.reason for s in self.scores if s.metric == name and s.reason]
            raise EvaluationError(reasons[0] if reasons else f"{name} was not evaluated")
        return np.array(table.values)

    def information_shares(self, protocol: ProtocolName) -> "NDArray[np.float64]":
        """Mutual information as a share of each factor's entropy, (N, F), in [0, 1].

        Raises:
            EvaluationError: it was not measured, or is not defined.
        """
        entropy = self.matrix("factor_entropy", protocol)
        return self.matrix("mutual_information", protocol) / entropy.clip(1e-9)

    def columns(self, name: str, protocol: ProtocolName) -> list[str]:
        """The names of the factors in the columns of a table."""
        table = self.table(name, protocol)
        return list(table.columns) if table is not None else []

    def replaced(
        self,
        metric: Metric,
        protocol: ProtocolName,
        scores: Sequence[Score],
        tables: Sequence[Table],
    ) -> "Evaluation":
        """A copy with new results of a metric under a protocol."""

        def is_other(entry: Result) -> bool:
            return (entry.metric, entry.protocol) != (metric, protocol)

        return Evaluation(
            scores=[*filter(is_other, self.scores), *scores],
            tables=[*filter(is_other, self.tables), *tables],
        )


def read_evaluation(run: "Run") -> Evaluation:
    """evaluation.json of a run; empty if nothing was evaluated.

    Raises:
        RunError: the file is damaged or of another version.
    """
    try:
        return Evaluation.model_validate(run.read_evaluation())
    except ValidationError as error:
        raise RunError(f"{run.path / 'evaluation.json'}: {explain(error)}") from None
