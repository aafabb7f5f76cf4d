"""Caching wrappers, each named after what it wraps.

What is cached is shared by all sessions and must not be changed by any. Runs are named by folder
and `stamp`, which changes when their files do.
"""

import threading

import streamlit as st

from dvae_core.data import load_dataset
from dvae_core.data.base import Dataset
from dvae_core.evaluation import Evaluation, Metric, ProtocolName, evaluate, read_evaluation
from dvae_core.evaluation.latent_profile import LatentProfile, latent_profile
from dvae_core.memory import keep_freed_memory
from dvae_core.models.vae import VAE
from dvae_core.run import Run

# The server decodes the same 640 frames again and again.
keep_freed_memory()

# Two sessions that decode at once take turns: together each would wait for both.
COMPUTING = threading.Lock()


def stamp(run: Run) -> int:
    """Changes whenever the model of a run does."""
    return sum(path.stat().st_mtime_ns for path in run.model_files() if path.is_file())


def st_load_model(run: Run) -> VAE:
    return _load_model(str(run.path), stamp(run))


@st.cache_resource(max_entries=8, show_spinner="Loading the model …")
def _load_model(path: str, stamp: int) -> VAE:
    return Run(path).load_model()


@st.cache_resource(max_entries=8, show_spinner="Loading the data set …")
def st_load_dataset(name: str, image_size: int) -> Dataset:
    return load_dataset(name, image_size)


def st_latent_profile(run: Run, dataset: Dataset | None, span: str) -> LatentProfile:
    return _latent_profile(str(run.path), stamp(run), dataset is not None, span)


@st.cache_resource(max_entries=32, show_spinner="Looking at what each latent carries …")
def _latent_profile(path: str, stamp: int, has_dataset: bool, span: str) -> LatentProfile:
    record = Run(path).record
    dataset = st_load_dataset(record.dataset, record.image_size) if has_dataset else None
    return latent_profile(_load_model(path, stamp), dataset, span)


def st_information(run: Run, protocol: ProtocolName) -> Evaluation:
    path = run.path / "evaluation.json"
    measured = path.stat().st_mtime_ns if path.is_file() else 0
    return _information(str(run.path), stamp(run) + measured, protocol)


@st.cache_resource(max_entries=32, show_spinner="Counting what each latent tells …")
def _information(path: str, stamp: int, protocol: ProtocolName) -> Evaluation:
    run = Run(path)
    dataset = st_load_dataset(run.record.dataset, run.record.image_size)
    metrics: tuple[Metric, ...] = ("mutual_information", "latent_information", "mig", "kl")
    return evaluate(run, dataset, protocol, metrics, existing=read_evaluation(run))
