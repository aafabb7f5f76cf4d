"""Naming a new run and starting it, or one of each family."""

import threading
from contextlib import suppress
from typing import Any

import streamlit as st

from dvae_core.config import FAMILIES, FamilyName, RunConfig, why_not
from dvae_core.data.listing import training_image_shape
from dvae_core.errors import ConfigError, RunError, TrainingError
from dvae_core.jobs import overview, queue_root, queue_training, trainings_at_once
from dvae_core.runs.catalog import free_path, own_root
from dvae_core.runs.run import Run, check_run_id
from dvae_core.training.estimate import Estimate, EstimateProcess, duration_in_words
from dvae_core.training.trainer import choose_device
from ui.cached import st_load_dataset
from ui.errors import errors_shown, plain
from ui.link import current_view, set_view
from ui.train.draft import FIRST_PRESET, config_from, draft, settings_of_preset
from ui.train.runs_table import ACTIVE
from ui.train.view import watch_run
from ui.widgets import when_changed, widget_key


def show_start() -> None:
    """The name, the time it will take, and the buttons; or why these settings do not go."""
    try:
        config = config_from(draft())
    except ConfigError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return
    name = current_view().get("name", "")[:64] or _free_name(config)
    key = widget_key("train-name", name)
    st.text_input(
        "Name of the run",
        name,
        key=key,
        on_change=when_changed(key, _keep_name),
        max_chars=64,
        width=460,
        help="Also the name of its folder. 1 to 64 characters: a-z, 0-9, _ and -.",
    )
    waits_for = _waits_for()
    queued = f" It waits until one of {waits_for} trainings ends." if waits_for else ""
    st.caption(f":material/schedule: {plain(in_words(await_estimate(config)) + queued)}")
    with st.container(horizontal=True):
        st.button(
            "Add to queue" if waits_for else "Train",
            icon=":material/play_arrow:",
            type="primary",
            key="train-start",
            on_click=_start_draft,
            args=(key,),
        )
        st.button(
            "Train each family",
            icon=":material/compare:",
            key="train-start-both",
            on_click=_start_both,
            args=(key,),
            help="One run of each family that the objective goes with, one after the other: "
            + ", ".join(FAMILIES[family].label for family in _families(config))
            + ".",
        )


def _families(config: RunConfig) -> list[FamilyName]:
    """Those that the objective of a config goes with."""
    return [name for name, info in FAMILIES.items() if not why_not(config.objective, info)]


def show_first_start() -> None:
    """One button for somebody who has no run yet."""
    config = config_from(settings_of_preset(FIRST_PRESET))
    answer = await_estimate(config)
    time = ""
    if answer is not None and not isinstance(answer, str):
        time = f" (about {duration_in_words(answer.seconds)})"
    st.button(
        f"Train a first model{time}",
        icon=":material/play_arrow:",
        type="primary",
        key="train-first",
        on_click=_start_first,
        args=(_free_name(config), config),
    )


def _waits_for() -> int:
    """How many trainings run or wait before a new one; 0 where it starts at once."""
    with suppress(RunError):  # the table of runs says what is damaged
        active = sum(entry.state in ACTIVE for entry in overview(own_root()))
        return active if active >= trainings_at_once(queue_root(own_root())) else 0
    return 0


def _free_name(config: RunConfig) -> str:
    """A name that describes the settings and that no own run has."""
    plain_name = f"{config.dataset}-{config.latents}-{config.objective}-{config.seed}"
    return free_path(own_root(), plain_name[:64]).name


def _keep_name(name: str) -> None:
    """Until a person gives a name, it follows the settings."""
    set_view(name=name)


def _start_first(name: str, config: RunConfig) -> None:
    with errors_shown():
        _start({name: config})


def _start_draft(name_key: str) -> None:
    with errors_shown():
        _start({st.session_state[name_key]: config_from(draft())})


def _start_both(name_key: str) -> None:
    with errors_shown():
        settings, name = draft(), st.session_state[name_key]
        _start(
            {
                _name_for(family, name, settings["latents"]): config_from(
                    settings | {"latents": family}
                )
                for family in _families(config_from(settings))
            }
        )


def _name_for(family: FamilyName, name: str, named: FamilyName) -> str:
    """The name of a run for another family: with its name in place of the last `named`, which is
    no part of the data set's name, or at the end."""
    words = name.split("-")
    if named not in words:
        return f"{name}-{family}"
    words[len(words) - 1 - words[::-1].index(named)] = family
    return "-".join(words)


def _start(configs: dict[str, RunConfig]) -> None:
    """Make the runs and queue them; where one is refused, none is made."""
    for run_id, config in configs.items():
        check_run_id(run_id)  # it came from the browser
        if (own_root() / run_id).exists():
            raise RunError(f"a run named {run_id} already exists: choose another name")
        choose_device(config.device, config.compiled)
    for config in configs.values():
        st_load_dataset(config.dataset, config.image_size)  # refuses what is missing or damaged
    shapes = {
        run_id: training_image_shape(config.dataset, config.image_size)
        for run_id, config in configs.items()
    }
    runs = [
        Run.create(own_root() / run_id, config, shapes[run_id])
        for run_id, config in configs.items()
    ]
    for run in runs:
        queue_training(run)
    watch_run(runs[0])
    set_view(name="")


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
    "encoder_delay",
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
    page looks again each second, and is drawn again when it is."""
    answer = st_estimates().ask(config)
    if answer is None:
        st.fragment(run_every=1.0)(_look_again)(config)
    return answer


def in_words(answer: Estimate | str | None) -> str:
    """An answer of `Estimates` in one line."""
    if answer is None or isinstance(answer, str):
        return answer or "Timing some steps on this machine …"
    return f"Takes {answer.in_words()}; {answer.images_per_second:,.0f} images per second."


def _look_again(config: RunConfig) -> None:
    if st_estimates().ask(config) is not None:
        st.rerun(scope="app")
