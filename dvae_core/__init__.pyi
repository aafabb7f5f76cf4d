"""The names that notebooks and scripts build on, and where each one is defined."""

from .analysis.code_files import export_codes as export_codes
from .analysis.conditions import slice_of as slice_of
from .analysis.embedding import Embedding as Embedding
from .analysis.embedding import latent_plane as latent_plane
from .analysis.embedding import principal_components as principal_components
from .analysis.embedding import umap_embedding as umap_embedding
from .analysis.encoded import EncodedSet as EncodedSet
from .analysis.encoded import EncodingOrigin as EncodingOrigin
from .analysis.encoded import cached_encoded_set as cached_encoded_set
from .analysis.encoded import encode_set as encode_set
from .analysis.encoded import images_of as images_of
from .analysis.encoded import read_encoded_set as read_encoded_set
from .analysis.image_table import image_csv as image_csv
from .analysis.image_table import image_table as image_table
from .analysis.latent_data import CategoryImages as CategoryImages
from .analysis.latent_data import CounterfactualPair as CounterfactualPair
from .analysis.latent_data import LatentData as LatentData
from .analysis.latent_data import category_images as category_images
from .analysis.latent_data import counterfactual_pair as counterfactual_pair
from .analysis.latent_data import latent_data as latent_data
from .analysis.linking import diagonal_order as diagonal_order
from .analysis.neighbours import Neighbours as Neighbours
from .analysis.neighbours import nearest_images as nearest_images
from .analysis.path import LatentChange as LatentChange
from .analysis.path import LatentPath as LatentPath
from .analysis.path import image_distances as image_distances
from .analysis.path import latent_changes as latent_changes
from .analysis.path import leading_changes as leading_changes
from .analysis.path import path_between as path_between
from .analysis.reconstruction import Reconstruction as Reconstruction
from .analysis.reconstruction import read_image as read_image
from .analysis.reconstruction import reconstruct as reconstruct
from .analysis.slices import SliceReport as SliceReport
from .analysis.slices import slice_report as slice_report
from .analysis.slices import worst_reconstructions as worst_reconstructions
from .analysis.traversal import decode_codes as decode_codes
from .analysis.traversal import film_strip as film_strip
from .analysis.traversal import interpolate as interpolate
from .analysis.traversal import interpolate_by_latent as interpolate_by_latent
from .analysis.traversal import to_pixels as to_pixels
from .analysis.traversal import traversal_rows as traversal_rows
from .analysis.traversal import traverse_all as traverse_all
from .analysis.traversal import traverse_latent as traverse_latent
from .analysis.traversal import traverse_pair as traverse_pair
from .config import RunConfig as RunConfig
from .data import dataset_names as dataset_names
from .data import load_dataset as load_dataset
from .data.dataset import Dataset as Dataset
from .data.dataset import factor_variation as factor_variation
from .errors import ConfigError as ConfigError
from .errors import CoreError as CoreError
from .errors import DataError as DataError
from .errors import EvaluationError as EvaluationError
from .errors import ModelError as ModelError
from .errors import RunError as RunError
from .errors import TrainingError as TrainingError
from .evaluation.information import (
    latent_information_matrix as latent_information_matrix,
)
from .evaluation.information import (
    mutual_information_matrix as mutual_information_matrix,
)
from .evaluation.latent_statistics import LatentStatistics as LatentStatistics
from .evaluation.latent_statistics import latent_statistics as latent_statistics
from .evaluation.metrics.beta_vae import beta_vae_score as beta_vae_score
from .evaluation.metrics.dci import DCI as DCI
from .evaluation.metrics.dci import dci as dci
from .evaluation.metrics.factor_vae import factor_vae_score as factor_vae_score
from .evaluation.metrics.infomec import InfoMEC as InfoMEC
from .evaluation.metrics.infomec import infomec as infomec
from .evaluation.metrics.mig import mig as mig
from .evaluation.metrics.modularity import modularity as modularity
from .evaluation.metrics.sap import sap as sap
from .evaluation.metrics.straight_through_gap import StraightThroughGap as StraightThroughGap
from .evaluation.metrics.straight_through_gap import straight_through_gap as straight_through_gap
from .evaluation.metrics.udr import (
    unsupervised_disentanglement_ranking as unsupervised_disentanglement_ranking,
)
from .evaluation.protocol import evaluate as evaluate
from .evaluation.reference_codes import ReferenceScore as ReferenceScore
from .evaluation.reference_codes import reference_scores as reference_scores
from .evaluation.representation import Representation as Representation
from .evaluation.representation import encode_points as encode_points
from .evaluation.results import Evaluation as Evaluation
from .evaluation.results import EvaluationSettings as EvaluationSettings
from .evaluation.results import read_evaluation as read_evaluation
from .exchange.onnx_export import export_model as export_model
from .exchange.onnx_import import Imported as Imported
from .exchange.onnx_import import import_model as import_model
from .figures.information import information_heatmap as information_heatmap
from .figures.information import latent_information_heatmap as latent_information_heatmap
from .figures.latent_data import category_bars as category_bars
from .figures.latent_data import embedding_scatter as embedding_scatter
from .figures.latent_data import factor_given_category as factor_given_category
from .figures.latent_data import path_curve as path_curve
from .figures.latent_plane import PlanePicture as PlanePicture
from .figures.latent_plane import draw_plane as draw_plane
from .figures.selection import group_boxes as group_boxes
from .figures.training import RunCurve as RunCurve
from .figures.training import curve_figure as curve_figure
from .figures.training import series as series
from .figures.traversal_export import Exported as Exported
from .figures.traversal_export import export_traversals as export_traversals
from .figures.traversal_sheet import traversal_sheet as traversal_sheet
from .models.latents import CategoricalLatents as CategoricalLatents
from .models.latents import CategoricalPosterior as CategoricalPosterior
from .models.latents import GaussianLatents as GaussianLatents
from .models.latents import GaussianPosterior as GaussianPosterior
from .models.vae import VAE as VAE
from .onnx.description import OnnxLayout as OnnxLayout
from .runs.catalog import all_runs as all_runs
from .runs.catalog import load_run as load_run
from .runs.names import FoundLatent as FoundLatent
from .runs.names import LatentName as LatentName
from .runs.names import LatentNames as LatentNames
from .runs.names import find_latents as find_latents
from .runs.names import latent_names as latent_names
from .runs.names import name_latent as name_latent
from .runs.names import undo_name as undo_name
from .runs.run import Run as Run
from .runs.run import State as State
from .selection.gap import GapCorrelation as GapCorrelation
from .selection.gap import GapPick as GapPick
from .selection.gap import gap_correlations as gap_correlations
from .selection.gap import gap_picks as gap_picks
from .selection.study import Study as Study
from .selection.study import StudyRun as StudyRun
from .selection.study import read_study as read_study
from .training.extension import extend_run as extend_run
from .training.trainer import train as train
from .web.page import export_page as export_page

__all__: list[str]
