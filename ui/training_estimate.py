"""How long the next run will take, found out by a process of its own while the page lives on."""

import threading
from typing import Any

import streamlit as st

from dvae_core.config import RunConfig
from dvae_core.errors import TrainingError
from dvae_core.training.estimate import Estimate
from dvae_core.training.estimate_process import EstimateProcess

MAX_KEPT = 100
# Settings that change what is computed, but not how long it takes.
_TIMELESS = (
    "seed",
    "learning_rate",
    "discriminator_learning_rate",
    "noise_scale_start",
    "noise_scale_end",
    "beta",
    "gamma",
    "dip_weight",
    "capacity_weight",
    "capacity_max",
    "capacity_steps",
    "log_every",
    "checkpoint_seconds",
)


class Estimates:
    """What is known of the times of configs on this machine. One is timed at a time."""

    def __init__(self) -> None:
        self._known: dict[Any, Estimate | str] = {}
        self._running: tuple[Any, EstimateProcess] | None = None
        self._lock = threading.Lock()

    def ask(self, config: RunConfig) -> Estimate | str | None:
        """The estimate of a config, or why there is none; None while it is not known: ask again."""
        key = tuple(sorted(config.model_dump(exclude=set(_TIMELESS)).items()))
        with self._lock:
            self._collect()
            if key not in self._known and self._running is None:
                self._running = (key, EstimateProcess(config))
            return self._known.get(key)

    def _collect(self) -> None:
        if self._running is None or self._running[1].is_running:
            return
        key, process = self._running
        self._running = None
        while len(self._known) >= MAX_KEPT:
            del self._known[next(iter(self._known))]
        try:
            self._known[key] = process.result()
        except TrainingError as error:
            self._known[key] = str(error)


@st.cache_resource
def st_estimates() -> Estimates:
    """Of this server, for all sessions."""
    return Estimates()


def await_estimate(config: RunConfig) -> Estimate | str | None:
    """What is known of the time that a config takes: as `Estimates.ask`. While it is not known the
    page looks again each second, and is drawn anew when it is."""
    answer = st_estimates().ask(config)
    if answer is None:
        st.fragment(run_every=1.0)(_look_again)(config)
    return answer


def in_words(answer: Estimate | str | None) -> str:
    """An answer of `Estimates` in one line."""
    if answer is None or isinstance(answer, str):
        return answer or "Timing some steps on this machine …"
    return f"Takes {answer.in_words()}; {answer.images_per_second:,.0f} images a second."


def _look_again(config: RunConfig) -> None:
    if st_estimates().ask(config) is not None:
        st.rerun(scope="app")
