"""Variational autoencoders whose latents are ordered categories on a grid, beside Gaussian ones.

Everything that a notebook or a script needs is a name of this module; `docs/api.md` shows how it
goes together. A name is imported from its home when it is first asked for, so that
`import dvae_core` alone costs nothing, and plotting waits for no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # the same names as below, for type checkers and editors
    from dvae_core.config import RunConfig as RunConfig
    from dvae_core.curves import series as series
    from dvae_core.data import dataset_names as dataset_names
    from dvae_core.data import load_dataset as load_dataset
    from dvae_core.data.base import Dataset as Dataset
    from dvae_core.data.variation import factor_variation as factor_variation
    from dvae_core.errors import ConfigError as ConfigError
    from dvae_core.errors import CoreError as CoreError
    from dvae_core.errors import DataError as DataError
    from dvae_core.errors import EvaluationError as EvaluationError
    from dvae_core.errors import ModelError as ModelError
    from dvae_core.errors import RunError as RunError
    from dvae_core.errors import TrainingError as TrainingError
    from dvae_core.evaluation import DCI as DCI
    from dvae_core.evaluation import Evaluation as Evaluation
    from dvae_core.evaluation import EvaluationSettings as EvaluationSettings
    from dvae_core.evaluation import InfoMEC as InfoMEC
    from dvae_core.evaluation import LatentStatistics as LatentStatistics
    from dvae_core.evaluation import Representation as Representation
    from dvae_core.evaluation import StraightThroughGap as StraightThroughGap
    from dvae_core.evaluation import beta_vae_score as beta_vae_score
    from dvae_core.evaluation import dci as dci
    from dvae_core.evaluation import encode_points as encode_points
    from dvae_core.evaluation import evaluate as evaluate
    from dvae_core.evaluation import factor_vae_score as factor_vae_score
    from dvae_core.evaluation import infomec as infomec
    from dvae_core.evaluation import latent_information_matrix as latent_information_matrix
    from dvae_core.evaluation import latent_statistics as latent_statistics
    from dvae_core.evaluation import mig as mig
    from dvae_core.evaluation import modularity as modularity
    from dvae_core.evaluation import mutual_information_matrix as mutual_information_matrix
    from dvae_core.evaluation import read_evaluation as read_evaluation
    from dvae_core.evaluation import sap as sap
    from dvae_core.evaluation import straight_through_gap as straight_through_gap
    from dvae_core.evaluation.pairing import diagonal_order as diagonal_order
    from dvae_core.exchange import Imported as Imported
    from dvae_core.exchange import export_model as export_model
    from dvae_core.exchange import import_model as import_model
    from dvae_core.figures import information_heatmap as information_heatmap
    from dvae_core.figures import latent_information_heatmap as latent_information_heatmap
    from dvae_core.figures_selection import group_boxes as group_boxes
    from dvae_core.figures_training import RunCurve as RunCurve
    from dvae_core.figures_training import curve_figure as curve_figure
    from dvae_core.latent_plane import PlanePicture as PlanePicture
    from dvae_core.latent_plane import draw_plane as draw_plane
    from dvae_core.models.latents import CategoricalLatents as CategoricalLatents
    from dvae_core.models.latents import CategoricalPosterior as CategoricalPosterior
    from dvae_core.models.latents import GaussianLatents as GaussianLatents
    from dvae_core.models.latents import GaussianPosterior as GaussianPosterior
    from dvae_core.models.vae import VAE as VAE
    from dvae_core.onnx.description import OnnxLayout as OnnxLayout
    from dvae_core.reconstruction import Reconstruction as Reconstruction
    from dvae_core.reconstruction import read_image as read_image
    from dvae_core.reconstruction import reconstruct as reconstruct
    from dvae_core.run import Run as Run
    from dvae_core.run import State as State
    from dvae_core.run import all_runs as all_runs
    from dvae_core.run import load_run as load_run
    from dvae_core.selection.gap import GapCorrelation as GapCorrelation
    from dvae_core.selection.gap import GapPick as GapPick
    from dvae_core.selection.gap import gap_correlations as gap_correlations
    from dvae_core.selection.gap import gap_picks as gap_picks
    from dvae_core.selection.study import Study as Study
    from dvae_core.selection.study import StudyRun as StudyRun
    from dvae_core.selection.study import read_study as read_study
    from dvae_core.sheets import traversal_sheet as traversal_sheet
    from dvae_core.training.extension import extend_run as extend_run
    from dvae_core.training.trainer import train as train
    from dvae_core.traversal import decode_codes as decode_codes
    from dvae_core.traversal import film_strip as film_strip
    from dvae_core.traversal import interpolate as interpolate
    from dvae_core.traversal import interpolate_by_latent as interpolate_by_latent
    from dvae_core.traversal import to_pixels as to_pixels
    from dvae_core.traversal import traversal_rows as traversal_rows
    from dvae_core.traversal import traverse_all as traverse_all
    from dvae_core.traversal import traverse_latent as traverse_latent
    from dvae_core.traversal import traverse_pair as traverse_pair

_HOMES = {
    # runs
    "dvae_core.run": ("Run", "State", "all_runs", "load_run"),
    "dvae_core.config": ("RunConfig",),
    "dvae_core.training.trainer": ("train",),
    "dvae_core.training.extension": ("extend_run",),
    "dvae_core.exchange": ("Imported", "export_model", "import_model"),
    "dvae_core.onnx.description": ("OnnxLayout",),
    # data
    "dvae_core.data": ("dataset_names", "load_dataset"),
    "dvae_core.data.base": ("Dataset",),
    "dvae_core.data.variation": ("factor_variation",),
    "dvae_core.reconstruction": ("Reconstruction", "read_image", "reconstruct"),
    # models and what they make
    "dvae_core.models.vae": ("VAE",),
    "dvae_core.models.latents": (
        "CategoricalLatents",
        "CategoricalPosterior",
        "GaussianLatents",
        "GaussianPosterior",
    ),
    "dvae_core.traversal": (
        "decode_codes",
        "film_strip",
        "interpolate",
        "interpolate_by_latent",
        "to_pixels",
        "traversal_rows",
        "traverse_all",
        "traverse_latent",
        "traverse_pair",
    ),
    # how good a model is
    "dvae_core.evaluation": (
        "DCI",
        "Evaluation",
        "EvaluationSettings",
        "InfoMEC",
        "LatentStatistics",
        "Representation",
        "StraightThroughGap",
        "beta_vae_score",
        "dci",
        "encode_points",
        "evaluate",
        "factor_vae_score",
        "infomec",
        "latent_information_matrix",
        "latent_statistics",
        "mig",
        "modularity",
        "mutual_information_matrix",
        "read_evaluation",
        "sap",
        "straight_through_gap",
    ),
    "dvae_core.evaluation.pairing": ("diagonal_order",),
    # many runs
    "dvae_core.selection.study": ("Study", "StudyRun", "read_study"),
    "dvae_core.selection.gap": ("GapCorrelation", "GapPick", "gap_correlations", "gap_picks"),
    # pictures
    "dvae_core.figures": ("information_heatmap", "latent_information_heatmap"),
    "dvae_core.figures_training": ("RunCurve", "curve_figure"),
    "dvae_core.figures_selection": ("group_boxes",),
    "dvae_core.curves": ("series",),
    "dvae_core.latent_plane": ("PlanePicture", "draw_plane"),
    "dvae_core.sheets": ("traversal_sheet",),
    # what goes wrong
    "dvae_core.errors": (
        "ConfigError",
        "CoreError",
        "DataError",
        "EvaluationError",
        "ModelError",
        "RunError",
        "TrainingError",
    ),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = sorted(_HOME_OF)


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOME_OF[name]), name)
    globals()[name] = value  # next time it is found without asking here
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
