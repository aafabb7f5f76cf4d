"""How good a model's latents are, in numbers that say how they were made.

Metrics on plain arrays take codes (points, N) and integer factors (points, F). `evaluate` runs
them, and those that need the model, on a run folder.
"""

from dvae_core.evaluation.beta_vae_score import beta_vae_score
from dvae_core.evaluation.dci import DCI, dci
from dvae_core.evaluation.factor_vae_score import factor_vae_score
from dvae_core.evaluation.infomec import InfoMEC, infomec
from dvae_core.evaluation.latent_statistics import LatentStatistics, latent_statistics
from dvae_core.evaluation.mig import mig
from dvae_core.evaluation.modularity import modularity
from dvae_core.evaluation.mutual_information import (
    latent_information_matrix,
    measure_information,
    mutual_information_matrix,
)
from dvae_core.evaluation.protocol import EvaluationProgress, evaluate, is_measured
from dvae_core.evaluation.representation import Representation, encode_dataset, encode_points
from dvae_core.evaluation.results import (
    FAST_METRICS,
    METRICS,
    PAPER_METRICS,
    Evaluation,
    EvaluationSettings,
    Metric,
    ProtocolName,
    Score,
    Table,
    read_evaluation,
)
from dvae_core.evaluation.sap import sap
from dvae_core.evaluation.straight_through_gap import StraightThroughGap, straight_through_gap

__all__ = [
    "DCI",
    "FAST_METRICS",
    "METRICS",
    "PAPER_METRICS",
    "Evaluation",
    "EvaluationProgress",
    "EvaluationSettings",
    "InfoMEC",
    "LatentStatistics",
    "Metric",
    "ProtocolName",
    "Representation",
    "Score",
    "StraightThroughGap",
    "Table",
    "beta_vae_score",
    "dci",
    "encode_dataset",
    "encode_points",
    "evaluate",
    "factor_vae_score",
    "infomec",
    "is_measured",
    "latent_information_matrix",
    "latent_statistics",
    "measure_information",
    "mig",
    "modularity",
    "mutual_information_matrix",
    "read_evaluation",
    "sap",
    "straight_through_gap",
]
