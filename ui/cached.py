"""Caching wrappers, each named after what it wraps.

What is cached is shared by all sessions and must not be changed by any. Runs are named by folder
and `stamp`, which changes when their files do.
"""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import NamedTuple

import numpy as np
import streamlit as st
import torch

from dvae_core.analysis.encoded import EncodedSet
from dvae_core.analysis.latent_data import CategoryImages, LatentData, category_images
from dvae_core.analysis.latent_profile import LatentProfile, run_profile
from dvae_core.analysis.rotation import RotationCosts, rotation_costs
from dvae_core.config import ImageSize
from dvae_core.data import load_dataset
from dvae_core.data.dataset import Dataset
from dvae_core.data.imported.dataset import imported_at
from dvae_core.evaluation.inputs import EvaluationInputs
from dvae_core.evaluation.protocol import evaluate
from dvae_core.evaluation.reference_codes import ReferenceScore, reference_scores_of
from dvae_core.evaluation.representation import Representation, draw_batches
from dvae_core.evaluation.results import (
    Evaluation,
    EvaluationSettings,
    Metric,
    ProtocolName,
    read_evaluation,
)
from dvae_core.models.latents import Posterior, joined
from dvae_core.models.vae import VAE
from dvae_core.runs.run import Run
from dvae_core.selection.study import Study, StudyReader
from dvae_core.system.memory import keep_freed_memory
from ui.background import Turns
from ui.kept import kept

# The server decodes the same 640 frames again and again.
keep_freed_memory()

# Two sessions that decode at once take turns: together each would wait for both. What takes long is
# done in parts, so that the release of a handle waits for one part only.
COMPUTING = Turns()


def modified_at(run: Run) -> int:
    """Changes whenever the model of a run does."""
    return sum(path.stat().st_mtime_ns for path in run.model_files() if path.is_file())


def st_load_model(run: Run) -> VAE:
    return _load_model(str(run.path), modified_at(run))


@kept("Loading the model …")
def _load_model(path: str, modified_at: int) -> VAE:
    return Run(path).load_model()


class _Images(NamedTuple):
    """Names the images of a data set, also after an import of the same name has replaced them."""

    dataset: str
    size: ImageSize
    imported_at: int


def _images(dataset: str, size: ImageSize) -> _Images:
    return _Images(dataset, size, imported_at(dataset))


def images_of_run(run: Run) -> _Images:
    """Names the images of a run's data set; equal names have equal images."""
    return _images(run.record.dataset, run.record.image_size)


def st_load_dataset(name: str, image_size: ImageSize) -> Dataset:
    return _load_dataset(_images(name, image_size))


@kept("Loading the data set …")
def _load_dataset(images: _Images) -> Dataset:
    return load_dataset(images.dataset, images.size)


def st_latent_profile(run: Run, dataset: Dataset | None, span: str) -> LatentProfile:
    versions = modified_at(run) + _evaluated_at(run)
    images = _images(run.record.dataset, run.record.image_size) if dataset is not None else None
    return _latent_profile(str(run.path), versions, images, span)


@kept("Measuring each latent …")
def _latent_profile(
    path: str, modified_at: int, images: _Images | None, span: str
) -> LatentProfile:
    dataset = _load_dataset(images) if images is not None else None
    return run_profile(Run(path), st_load_model(Run(path)), dataset, span)


def st_information(run: Run, protocol: ProtocolName) -> Evaluation:
    images = _images(run.record.dataset, run.record.image_size)
    return _information(str(run.path), modified_at(run) + _evaluated_at(run), images, protocol)


def _evaluated_at(run: Run) -> int:
    path = run.path / "evaluation.json"
    return path.stat().st_mtime_ns if path.is_file() else 0


@kept("Computing mutual information …")
def _information(
    path: str, modified_at: int, images: _Images, protocol: ProtocolName
) -> Evaluation:
    run, dataset = Run(path), _load_dataset(images)
    metrics: tuple[Metric, ...] = ("mutual_information", "latent_information", "mig", "kl")
    settings = EvaluationSettings()
    return evaluate(run, dataset, protocol, metrics, settings, existing=read_evaluation(run))


def st_read_evaluation(run: Run) -> Evaluation:
    return _read_evaluation(str(run.path), _evaluated_at(run))


@kept(None)
def _read_evaluation(path: str, evaluated_at: int) -> Evaluation:
    return read_evaluation(Run(path))


def st_reference_scores(
    dataset_name: str, image_size: ImageSize, protocol: ProtocolName
) -> Mapping[str, ReferenceScore]:
    return _reference_scores(_images(dataset_name, image_size), protocol)


@kept("Scoring a perfect code …")
def _reference_scores(images: _Images, protocol: ProtocolName) -> Mapping[str, ReferenceScore]:
    return reference_scores_of(_load_dataset(images), protocol)


def st_read_study(runs: Sequence[Run], protocol: ProtocolName) -> Study:
    return _study_reader().read(runs, protocol)


@st.cache_resource
def _study_reader() -> StudyReader:
    return StudyReader()


AGGREGATE_IMAGES = 1024


def st_encode_points(run: Run, dataset_name: str) -> Representation:
    """Codes of a run for images of a data set, which need not be its own."""
    images = _images(dataset_name, run.record.image_size)
    return _encode_points(str(run.path), modified_at(run), images)


@kept("Encoding images …")
def _encode_points(path: str, modified_at: int, images: _Images) -> Representation:
    dataset = _load_dataset(images)
    # The points of the protocol, so that what is counted here is what a table of scores says.
    return EvaluationInputs(
        Run(path), dataset, "paper", EvaluationSettings(), num_workers=None
    ).train


def st_category_images(
    run: Run, encoded: EncodedSet, data: LatentData, categories: Sequence[int]
) -> CategoryImages:
    """Mean and spread of the images of some categories of a latent of an encoded set."""
    key = encoded.origin, len(encoded), data.latent, tuple(categories)
    return _category_images(images_of_run(run), repr(key), encoded, data, tuple(categories))


@kept("Averaging images …")
def _category_images(
    images: _Images,
    key: str,
    _encoded: EncodedSet,
    _data: LatentData,
    _categories: tuple[int, ...],
) -> CategoryImages:
    return category_images(_load_dataset(images), _encoded, _data, _categories)


ROTATION_IMAGES = 64


def st_rotation_costs(
    run: Run, dataset_name: str, latents: tuple[int, int], degrees: tuple[int, ...]
) -> RotationCosts:
    images = _images(dataset_name, run.record.image_size)
    return _rotation_costs(str(run.path), modified_at(run), images, latents, degrees)


@kept("Rotating the codes …")
def _rotation_costs(
    path: str,
    modified_at: int,
    images: _Images,
    latents: tuple[int, int],
    degrees: tuple[int, ...],
) -> RotationCosts:
    model, dataset = _load_model(path, modified_at), _load_dataset(images)
    drawn = dataset.sample_images(ROTATION_IMAGES, torch.Generator(dataset.device).manual_seed(0))
    costs = []
    for image in drawn:
        with COMPUTING:
            costs.append(rotation_costs(model, image[None], latents, np.radians(degrees)))
    names = (field.name for field in fields(RotationCosts))
    return RotationCosts(
        *(np.mean([getattr(each, name) for each in costs], axis=0) for name in names)
    )


def st_encode_images(run: Run, dataset_name: str) -> Posterior:
    """Posterior of a run for some images of a data set: together, its aggregate."""
    images = _images(dataset_name, run.record.image_size)
    return _encode_images(str(run.path), modified_at(run), images)


@kept("Encoding images …")
def _encode_images(path: str, modified_at: int, images: _Images) -> Posterior:
    model, dataset = _load_model(path, modified_at), _load_dataset(images)
    with torch.inference_mode():
        return joined(
            [model.encode(batch) for _, batch in draw_batches(dataset, AGGREGATE_IMAGES, seed=0)]
        )
