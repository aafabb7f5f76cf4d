"""Caching wrappers of what Compare and Method measure; see `ui.cached`."""

from dataclasses import replace

import streamlit as st
import torch

from dvae_core.evaluation.representation import Representation, draw_batches
from dvae_core.evaluation.results import EvaluationSettings
from dvae_core.evaluation.subject import Subject
from dvae_core.models.latents import CategoricalPosterior, GaussianPosterior, Posterior
from dvae_core.run import Run
from ui.cached import _load_model, st_load_dataset, stamp

AGGREGATE_IMAGES = 1024


def st_encode_points(run: Run, dataset_name: str) -> Representation:
    """Codes of a run for images of a data set, which need not be its own."""
    return _encode_points(str(run.path), stamp(run), dataset_name, run.record.image_size)


@st.cache_resource(max_entries=32, show_spinner="Encoding images …")
def _encode_points(path: str, stamp: int, dataset_name: str, image_size: int) -> Representation:
    dataset = st_load_dataset(dataset_name, image_size)
    # The points of the protocol, so that what is counted here is what a table of scores says.
    return Subject(Run(path), dataset, "paper", EvaluationSettings(), num_workers=None).train


def st_encode_images(run: Run, dataset_name: str) -> Posterior:
    """Posterior of a run for some images of a data set: together, its aggregate."""
    return _encode_images(str(run.path), stamp(run), dataset_name, run.record.image_size)


@st.cache_resource(max_entries=16, show_spinner="Encoding images …")
def _encode_images(path: str, stamp: int, dataset_name: str, image_size: int) -> Posterior:
    model, dataset = _load_model(path, stamp), st_load_dataset(dataset_name, image_size)
    with torch.inference_mode():
        posteriors = [
            model.encode(images) for _, images in draw_batches(dataset, AGGREGATE_IMAGES, seed=0)
        ]
    if isinstance(posteriors[0], CategoricalPosterior):
        logits = torch.cat([p.logits for p in posteriors if isinstance(p, CategoricalPosterior)])
        return replace(posteriors[0], logits=logits)
    gaussian = [p for p in posteriors if isinstance(p, GaussianPosterior)]
    return GaussianPosterior(
        torch.cat([p.mean for p in gaussian]), torch.cat([p.log_variance for p in gaussian])
    )
