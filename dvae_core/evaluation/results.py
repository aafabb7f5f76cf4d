"""evaluation.json: scores and tables, with the settings that they depend on."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    FailFast,
    Field,
    ValidationError,
    model_validator,
)
from pydantic_core import PydanticCustomError

from dvae_core.config import OneLine, explain
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

_MAX_RESULTS = 1_000
_MAX_ROWS, _MAX_COLUMNS = 512, 10_000
MAX_TEXT = 1_000
_Text = Annotated[OneLine, Field(max_length=MAX_TEXT)]
_Number = Annotated[float, Field(ge=-1e12, le=1e12)]
_Count = Annotated[int, Field(ge=0, lt=2**31)]
_Row = Annotated[list[_Number], Field(min_length=1, max_length=_MAX_COLUMNS), FailFast()]


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class EvaluationSettings(_Record):
    """Seed and numbers of points."""

    seed: int = Field(0, ge=0, le=2**31 - 1, description="decides points, noise and ties")
    points: int = Field(
        10_000, ge=1, le=10_000_000, description="points that a metric is computed on"
    )
    test_points: int = Field(
        5_000, ge=1, le=10_000_000, description="points that classifiers are tested on"
    )
    gap_batches: int = Field(
        1_000, ge=1, le=1_000_000, description="batches of 64 for the straight-through gap"
    )


class Result(_Record):
    """Fields that scores and tables share."""

    metric: Metric = Field(description="metric that gave the result")
    name: _Text = Field(description="of this score or table")
    protocol: ProtocolName
    points: _Count
    test_points: _Count = Field(description="0 for metrics without test points")
    seed: _Count
    step: _Count = Field(description="training steps of the weights")
    estimator: _Text = Field(description="codes and method, in words")
    seconds: _Number = Field(description="of the metric, with encoding if it came first")
    note: _Text = Field("", description="remark, such as factors left out")

    @property
    def measured_on(self) -> str:
        """The codes, the method and the points, in words."""
        points = f"{self.points:,} points"
        if "each image once" in self.estimator:  # there may be fewer
            points = f"at most {self.points:,} images"
        if self.test_points:
            points += f", {self.test_points:,} for testing"
        return f"{self.estimator} · {points} · seed {self.seed} · step {self.step:,}"


class Score(Result):
    """One number, or the reason why it is undefined."""

    value: _Number | None
    reason: _Text = Field("", description="why value is None")


class Table(Result):
    """One matrix, such as mutual information (N, F) in nats. A vector is stored as one row."""

    values: Annotated[list[_Row], Field(min_length=1, max_length=_MAX_ROWS), FailFast()]
    columns: Annotated[list[_Text], Field(max_length=_MAX_COLUMNS), FailFast()] = Field(
        description="factor names if columns are factors, else []"
    )

    @model_validator(mode="after")
    def _is_rectangular(self) -> "Table":
        width = len(self.values[0])
        if any(len(row) != width for row in self.values) or len(self.columns) not in (0, width):
            raise PydanticCustomError("table", "all rows and names must be as many as columns")
        return self


class Evaluation(_Record):
    """evaluation.json: all results of a run."""

    format_version: Literal[1] = 1
    scores: Annotated[list[Score], Field(max_length=_MAX_RESULTS), FailFast()] = []
    tables: Annotated[list[Table], Field(max_length=_MAX_RESULTS), FailFast()] = []

    @model_validator(mode="after")
    def _each_is_there_once(self) -> "Evaluation":
        for results in (self.scores, self.tables):
            if len({(result.name, result.protocol) for result in results}) < len(results):
                raise PydanticCustomError("twice", "A score or a table is there twice")
        return self

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


# Rows and columns of tables that belong together: N latents, F factors.
_SHAPES: dict[str, tuple[Literal["N", 1], Literal["N", "F"]]] = {
    "mutual_information": ("N", "F"),
    "factor_entropy": (1, "F"),
    "latent_information": ("N", "N"),
    "kl": (1, "N"),
}


def read_evaluation(run: "Run") -> Evaluation:
    """evaluation.json of a run; empty if nothing was evaluated.

    Raises:
        RunError: the file is damaged, of another version, or has tables of another model.
    """
    path = run.path / "evaluation.json"
    try:
        evaluation = Evaluation.model_validate(run.read_evaluation())
    except ValidationError as error:
        raise RunError(f"{path}: {explain(error)}") from None
    for table in evaluation.tables:
        if table.name in _SHAPES and (wrong := _misfit(evaluation, table, run.record.num_latents)):
            raise RunError(f"{path}: the table {table.name} {wrong}: evaluate the run again")
    return evaluation


def _misfit(evaluation: Evaluation, table: Table, num_latents: int) -> str:
    """How the shape of a table differs from the model and the other tables, or ""."""
    information = evaluation.table("mutual_information", table.protocol)
    sizes: dict[object, int] = {1: 1, "N": num_latents}
    if information is not None:
        sizes["F"] = len(information.values[0])
    found = len(table.values), len(table.values[0])
    for axis, size, what in zip(_SHAPES[table.name], found, ("rows", "columns"), strict=True):
        if sizes.get(axis, size) != size:
            return f"has {size} {what}, not {sizes[axis]}"
    return ""
