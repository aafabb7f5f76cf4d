"""The form of a new run, made from the config classes: what they can say, it can ask."""

from collections.abc import Iterable
from types import NoneType
from typing import Any, Literal, get_args, get_origin

import streamlit as st

from dvae_core.config import (
    OBJECTIVE_SETTINGS,
    PRESETS,
    RunConfig,
    available_cores,
    preset_settings,
    settings_of,
)
from dvae_core.data import dataset_states
from dvae_core.data.dataset import known_cardinalities
from dvae_core.data.listing import dataset_info
from dvae_core.runs.run import RunRecord
from ui.errors import errors_shown
from ui.state import set_widget, when_changed

# Three groups in the order of a thought; all other settings are for those who look for them.
WHAT = ("dataset", "image_size", "latents", "objective")
SIZE = ("num_latents", "num_categories", "noise_scale_start", "noise_scale_end")
COURSE = ("steps", "seed")
# Those of a preset, and of an extended run: the form starts neither.
HIDDEN = ("noise_steps",)

LABELS = {
    "dataset": "Data set",
    "image_size": "Image size, pixels",
    "latents": "Family of the latents",
    "num_latents": "Latents N",
    "num_categories": "Categories K",
    "noise_scale_start": "Noise scale, first step",
    "noise_scale_end": "Noise scale, last step",
    "cardinalities": "Known cardinalities",
    "dip_weight": "DIP weight",
}
NAMES = {
    "elbo": "elbo: the bound itself",
    "beta": "beta: heavier KL",
    "annealed": "annealed: KL up to a capacity",
    "factor": "factor: less total correlation, by a discriminator",
    "tc": "tc: less total correlation, estimated from the batch",
    "dip_i": "dip_i: uncorrelated means",
    "dip_ii": "dip_ii: uncorrelated codes",
    "straight_through": "straight through",
}


def show_form() -> None:
    """All settings that matter for the family and the objective in hand."""
    settings = draft()
    preset = next((name for name in PRESETS if settings == settings_of_preset(name)), None)
    key = set_widget("train-preset", preset)
    st.segmented_control(
        "Begin with",
        list(PRESETS),
        format_func=lambda name: {"quick": "quick: minutes", "paper": "paper: days"}[name],
        key=key,
        on_change=when_changed(key, _begin_with_preset),
        help="Sets everything below. Change what you like afterwards.",
    )
    heeded = settings_of(settings["objective"], settings["latents"])
    weights = OBJECTIVE_SETTINGS[settings["objective"]]
    _show_row(WHAT)
    _show_row(weights)
    _show_row(name for name in SIZE if name in heeded)
    _show_row(COURSE)
    shown = {*WHAT, *weights, *SIZE, *COURSE, *HIDDEN}
    with st.expander("Advanced", icon=":material/settings:", key="train-advanced"):
        advanced = [name for name in heeded if name not in shown]
        _show_row(advanced)
        if "cardinalities" in advanced:
            st.button(
                "Take the cardinalities from the data set",
                icon=":material/format_list_numbered:",
                key="train-take-cardinalities",
                on_click=_take_cardinalities,
                help="Latent j then has as many categories as factor j has values.",
            )


def _show_row(names: Iterable[str]) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        for name in names:
            _show_setting(name)


def _show_setting(name: str) -> None:
    """The widget that the type of a setting asks for, at the value in hand."""
    field = RunConfig.model_fields[name]
    value = draft()[name]
    kind = field.annotation
    is_tuple = get_origin(kind) is tuple
    key = set_widget(f"train-{name}", " ".join(map(str, value)) if is_tuple else value)
    limits = _limits(name)

    def keep(value: Any) -> None:
        if value is not None:
            draft()[name] = _parse_numbers(value) if is_tuple else value

    options: dict[str, Any] = {
        "label": LABELS.get(name, name.replace("_", " ").capitalize()),
        "key": key,
        "help": _help(field.description or "", limits),
        "on_change": when_changed(key, keep),
        "width": 220,
    }
    if name == "dataset":
        ready = [info.name for info in _dataset_states() if info.state == "ready"]
        choices = ready if value in ready else [*ready, value]
        st.selectbox(options=choices, **options)
    elif get_origin(kind) is Literal:
        st.selectbox(
            options=get_args(kind),
            format_func=lambda value: NAMES.get(value, str(value)),
            **options,
        )
    elif kind is bool:
        st.toggle(**options)
    elif is_tuple:
        st.text_input(placeholder="none", **options)
    else:
        low, high = limits
        is_whole = kind is not float
        st.number_input(
            min_value=int(low) if is_whole else low,
            max_value=int(high) if is_whole else high,
            value=None if NoneType in get_args(kind) else "min",
            step=_step(name, high, is_whole),
            format="%d" if is_whole else "%g",
            **options,
        )


def _begin_with_preset(name: str | None) -> None:
    if name is not None:
        apply_preset(name)


def _take_cardinalities() -> None:
    with errors_shown():
        settings = draft()
        settings["cardinalities"] = known_cardinalities(dataset_info(settings["dataset"]))


def _parse_numbers(text: str) -> tuple[Any, ...]:
    """Whole numbers; what is none is left to the config to refuse."""
    return tuple(
        int(part) if part.isdecimal() else part for part in text[:1000].replace(",", " ").split()
    )


def _limits(name: str) -> tuple[float, float]:
    bounds: dict[str, float] = {}
    for constraint in RunConfig.model_fields[name].metadata:
        for side in ("ge", "gt", "le"):
            if hasattr(constraint, side):
                bounds[side] = getattr(constraint, side)
    return bounds.get("ge", bounds.get("gt", 0)), bounds.get("le", 0)


def _help(description: str, limits: tuple[float, float]) -> str:
    sentence = description[:1].upper() + description[1:] + "."
    low, high = limits
    return f"{sentence} {low:,g} to {high:,.10g}." if high else sentence


def _step(name: str, high: float, is_whole: bool) -> float:
    if is_whole:
        return 1000 if name.endswith("steps") else 1
    return {1.0: 1e-4, 10.0: 0.1}.get(high, 1.0)


@st.cache_data(ttl=10.0, show_spinner="Looking for data sets …")
def _dataset_states() -> list[Any]:
    return dataset_states()


_KEY = "train-draft"
FIRST_PRESET = "quick"


def draft() -> dict[str, Any]:
    """Every setting of the next run by its name; those included that it will not heed."""
    if _KEY not in st.session_state:
        apply_preset(FIRST_PRESET)
    settings: dict[str, Any] = st.session_state[_KEY]
    return settings


def apply_preset(name: str) -> None:
    """Begin again with a preset."""
    st.session_state[_KEY] = settings_of_preset(name)


def apply_record(record: RunRecord) -> None:
    """Begin again with the settings of a run."""
    settings = record.model_dump(include=set(RunConfig.model_fields))
    # An extension of that run; the copy is planned for all its steps from the start.
    st.session_state[_KEY] = settings | {"noise_steps": None}


def settings_of_preset(name: str) -> dict[str, Any]:
    """Every setting of a preset, for a run beside which the app stays responsive."""
    threads = max(1, available_cores() - 1)
    return RunConfig.from_preset(
        name, **(preset_settings(name) | {"threads": threads})
    ).model_dump()


def config_from(settings: dict[str, Any]) -> RunConfig:
    """The config of some settings.

    Raises:
        ConfigError: the settings do not go together, or one is out of range.
    """
    if settings["latents"] == "gaussian":  # which refuse what was meant for categories
        settings = settings | {"cardinalities": ()}
    return RunConfig(**settings)
