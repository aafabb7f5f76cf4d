"""evaluation.json: scores and tables, each with what a reader must know to believe it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dvae_core.config import explain
from dvae_core.errors import ConfigError, EvaluationError, RunError

if TYPE_CHECKING:  # else the command line's help waits for torch
    from dvae_core.runs.run import Run

ProtocolName = Literal["paper", "native"]

Metric = Literal[
    "mutual_information",
    "latent_information",
    "mig",
    "modularity",
    "sap",
    "dci_fast",
    "kl",
    "reconstruction",
    "infomec",
    "straight_through_gap",
    "factor_vae",
    "beta_vae",
    "dci",
]
METRICS: tuple[Metric, ...] = get_args(Metric)
"""Every metric, the quick ones first."""

PAPER_METRICS: tuple[Metric, ...] = ("mig", "modularity", "sap", "factor_vae", "beta_vae", "dci")
"""The six of the paper."""

FAST_METRICS: tuple[Metric, ...] = METRICS[: METRICS.index("infomec")]
"""Those that take seconds, with the labelled stand-in for DCI."""


def metrics_named(names: str) -> tuple[Metric, ...]:
    """Metrics from their names joined by commas, or from one of the sets all, fast and paper.

    Raises:
        ConfigError: there is no such metric.
    """
    sets = {"all": METRICS, "fast": FAST_METRICS, "paper": PAPER_METRICS}
    if names in sets:
        return sets[names]
    wanted = [name.strip() for name in names.split(",")]
    for name in wanted:
        if name not in METRICS:
            raise ConfigError(
                f"no metric is called {name[:40]!r}: there are {', '.join(METRICS)}, "
                f"and the sets {', '.join(sets)}"
            )
    return tuple(metric for metric in METRICS if metric in wanted)


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class EvaluationSettings(_Record):
    """How much is drawn, and from which seed."""

    seed: int = Field(0, ge=0, le=2**31 - 1, description="decides points, noise and ties")
    points: int = Field(10_000, ge=1, description="points that a metric is computed on")
    test_points: int = Field(5_000, ge=1, description="points that classifiers are tested on")
    gap_batches: int = Field(1_000, ge=1, description="batches of 64 for the straight-through gap")


class Result(_Record):
    """What every result says about itself."""

    metric: Metric = Field(description="what was asked for")
    name: str = Field(description="which of the metric's results this is")
    protocol: ProtocolName
    points: int
    test_points: int = Field(description="0 where nothing is tested")
    seed: int
    step: int = Field(description="training steps of the weights")
    estimator: str = Field(description="codes and method, in words")
    seconds: float = Field(description="that the metric took, encoding included if it came first")
    note: str = Field("", description="what a reader has to know, such as factors left out")


class Score(Result):
    """One number, or the reason why there is none."""

    value: float | None
    reason: str = Field("", description="why value is None")


class Table(Result):
    """One matrix, such as mutual information (N, F) in nats; a vector is its only row."""

    values: list[list[float]]
    columns: list[str] = Field(description="factor names where columns are factors, else []")


class Evaluation(_Record):
    """evaluation.json: everything that was measured of a run."""

    format_version: Literal[1] = 1
    scores: list[Score] = []
    tables: list[Table] = []

    def score(self, name: str, protocol: ProtocolName) -> Score | None:
        """The score of that name, or None where it was not measured."""
        found = (s for s in self.scores if (s.name, s.protocol) == (name, protocol))
        return next(found, None)

    def table(self, name: str, protocol: ProtocolName) -> Table | None:
        """The table of that name, or None where it was not measured."""
        found = (t for t in self.tables if (t.name, t.protocol) == (name, protocol))
        return next(found, None)

    def matrix(self, name: str, protocol: ProtocolName) -> NDArray[np.float64]:
        """The values of a table.

        Raises:
            EvaluationError: it was not measured, or is not defined.
        """
        table = self.table(name, protocol)
        if table is None:
            reasons = [s.reason for s in self.scores if s.metric == name and s.reason]
            raise EvaluationError(reasons[0] if reasons else f"{name} was not measured")
        return np.array(table.values)

    def columns(self, name: str, protocol: ProtocolName) -> list[str]:
        """The factors that the columns of a table are."""
        table = self.table(name, protocol)
        return list(table.columns) if table is not None else []

    def replaced(
        self,
        metric: Metric,
        protocol: ProtocolName,
        scores: Sequence[Score],
        tables: Sequence[Table],
    ) -> "Evaluation":
        """This with a metric's results in place of those it had under the protocol."""

        def is_other(entry: Result) -> bool:
            return (entry.metric, entry.protocol) != (metric, protocol)

        return Evaluation(
            scores=[*filter(is_other, self.scores), *scores],
            tables=[*filter(is_other, self.tables), *tables],
        )


def read_evaluation(run: "Run") -> Evaluation:
    """evaluation.json of a run; empty where nothing was measured yet.

    Raises:
        RunError: the file is damaged, or of another version.
    """
    try:
        return Evaluation.model_validate(run.read_evaluation())
    except ValidationError as error:
        raise RunError(f"{run.path / 'evaluation.json'}: {explain(error)}") from None


@dataclass(frozen=True)
class Meaning:
    """What a score says.

    Attributes:
        label: its name in the field.
        better: "higher", "lower", or "" where neither is.
        words: one sentence.
    """

    label: str
    better: str
    words: str


MEANINGS = {
    "mig": Meaning(
        "MIG", "higher", "How far one latent is ahead of all others in telling each factor."
    ),
    "modularity": Meaning(
        "Modularity", "higher", "Whether each latent tells about one factor only."
    ),
    "sap": Meaning(
        "SAP", "higher", "How far one latent is ahead of all others in classifying each factor."
    ),
    "dci_disentanglement": Meaning(
        "DCI disentanglement", "higher", "Whether trees need each latent for one factor only."
    ),
    "dci_completeness": Meaning(
        "DCI completeness", "higher", "Whether trees need one latent only for each factor."
    ),
    "dci_informativeness": Meaning(
        "DCI informativeness", "higher", "How well trees tell the factors from all latents."
    ),
    "dci_fast_disentanglement": Meaning(
        "DCI disentanglement (fast)", "higher", "The same, with a random forest as a stand-in."
    ),
    "dci_fast_completeness": Meaning(
        "DCI completeness (fast)", "higher", "The same, with a random forest as a stand-in."
    ),
    "dci_fast_informativeness": Meaning(
        "DCI informativeness (fast)", "higher", "The same, with a random forest as a stand-in."
    ),
    "factor_vae": Meaning(
        "FactorVAE score",
        "higher",
        "Whether the latent that varies least names the factor that was fixed.",
    ),
    "beta_vae": Meaning(
        "BetaVAE score",
        "higher",
        "Whether differences of codes tell linearly which factor was fixed.",
    ),
    "infom": Meaning("InfoM", "higher", "Modularity by normalised information, active latents."),
    "infoe": Meaning("InfoE", "higher", "How well the factors are told linearly from all latents."),
    "infoc": Meaning("InfoC", "higher", "Compactness: whether one latent tells each factor."),
    "straight_through_gap": Meaning(
        "Straight-through gap, nats",
        "lower",
        "Change of the loss when the most likely categories are decoded; needs no labels.",
    ),
    "straight_through_gap_reconstruction": Meaning(
        "Gap of the reconstruction, nats", "lower", "The same for the reconstruction alone."
    ),
    "kl": Meaning("KL, nats", "", "What all latents together say about an image, on average."),
    "active_latents": Meaning("Active latents", "", "Latents with a mean KL above 0.05 nats."),
    "reconstruction": Meaning(
        "Reconstruction, nats", "lower", "Cross entropy of an image, summed over its pixels."
    ),
    "latent_information": Meaning(
        "Information between latents, nats", "lower", "Mean over all pairs of latents."
    ),
}
