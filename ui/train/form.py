"""The form of a new run, made from the tables and the settings of `dvae_core.config`."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from types import NoneType
from typing import Any, Literal, get_args, get_origin

import streamlit as st

from dvae_core.config import (
    FAMILIES,
    OBJECTIVES,
    PRESETS,
    ChoiceInfo,
    RunConfig,
    available_cores,
    limits_of,
    preset_settings,
    settings_of,
)
from dvae_core.data import dataset_states, largest_side
from dvae_core.data.dataset import known_cardinalities
from dvae_core.data.listing import dataset_info
from dvae_core.errors import ConfigError, DataError
from dvae_core.runs.run import RunRecord
from ui.errors import errors_shown, plain
from ui.expander import show_expander
from ui.widgets import parse_whole, refusal, when_changed, widget_key

# The order of the form. Settings of the objective and the family stand between these two, and all
# others under Advanced.
WHAT = ("dataset", "image_size", "latents", "objective")
COURSE = ("steps", "seed")
ADVANCED = (
    "sampling",
    "cardinalities",
    "encoder_delay",
    "codebook_weight",
    "commitment_weight",
)
# Those that only a copy has, of a run that was extended.
HIDDEN = ("noise_steps",)
# Settings whose values the tables explain.
TABLES: dict[str, Mapping[Any, ChoiceInfo]] = {"latents": FAMILIES, "objective": OBJECTIVES}
PRESET_LABELS = {
    "quick": "quick (minutes)",
    "paper": "paper settings (days on a CPU)",
    "qlae": "QLAE",
    "tripod": "Tripod",
    "factorqvae": "FactorQVAE",
}


def show_form() -> None:
    """All settings that matter for the chosen family and objective."""
    settings = draft()
    preset = next((name for name in PRESETS if settings == settings_of_preset(name)), None)
    key = widget_key("train-preset", preset)
    st.segmented_control(
        "Preset",
        list(PRESETS),
        format_func=PRESET_LABELS.__getitem__,
        default=preset,
        key=key,
        on_change=when_changed(key, _begin_with_preset),
        help="Sets all fields below. You can change them afterwards. QLAE, Tripod and FactorQVAE "
        "have their authors' settings for 3D Shapes, which train for days on a CPU.",
    )
    family, objective = FAMILIES[settings["latents"]], OBJECTIVES[settings["objective"]]
    size = [
        name
        for name in ("num_latents", *family.settings)
        if name not in ADVANCED and name not in HIDDEN
    ]
    _show_row(WHAT)
    for info in (family, objective):
        st.caption(f"**{info.label}** ({info.source}). {info.explanation}")
    _show_row(objective.settings)
    _show_row(size)
    _show_row(COURSE)
    shown = {*WHAT, *objective.settings, *size, *COURSE}
    shown.update(name for name in HIDDEN if settings[name] is None)
    with show_expander("Advanced", "train-advanced", ":material/settings:"):
        heeded = settings_of(settings["objective"], settings["latents"])
        advanced = [name for name in heeded if name not in shown]
        _show_row(advanced)
        if "cardinalities" in advanced:
            st.button(
                "Use the cardinalities of the data set",
                icon=":material/format_list_numbered:",
                key="train-take-cardinalities",
                on_click=_take_cardinalities,
                help="Gives latent j as many categories as factor j has values.",
            )


def _show_row(names: Iterable[str]) -> None:
    with st.container(horizontal=True, vertical_alignment="top"):
        for name in names:
            _show_setting(name)


def _show_setting(name: str) -> None:
    """The widget that the type of a setting asks for, at its current value."""
    field = RunConfig.model_fields[name]
    value = draft()[name]
    kind = field.annotation
    is_tuple = get_origin(kind) is tuple
    limits = None if is_tuple else limits_of(name)
    shown = value
    if is_tuple:
        shown = " ".join(map(str, value))
    elif limits is not None:
        shown = f"{value:g}" if isinstance(value, float) else "" if value is None else str(value)
    key = widget_key(f"train-{name}", shown)

    def keep(value: Any) -> None:
        if is_tuple:
            draft()[name] = _parse_numbers(value)
        elif limits is not None:
            draft()[name] = _parse_number(name, value)
        elif name == "dataset":
            choose_dataset(value)
        elif value is not None:
            draft()[name] = value

    options: dict[str, Any] = {
        "label": _label(name),
        "key": key,
        "help": field.description,
        "on_change": when_changed(key, keep),
        "width": 220,
    }
    if name == "dataset":
        ready = [info.name for info in _dataset_states() if info.state == "ready"]
        choices = ready if value in ready else [*ready, value]
        st.selectbox(options=choices, index=choices.index(value), **options)
    elif name == "image_size":
        largest = _largest_side(draft()["dataset"])
        sizes = [size for size in get_args(kind) if size <= largest or size == value]
        st.selectbox(options=sizes, index=sizes.index(value), **options)
    elif get_origin(kind) is Literal:
        st.selectbox(
            options=get_args(kind),
            index=get_args(kind).index(value),
            format_func=lambda value: _option_label(name, value),
            **options,
        )
    elif kind is bool:
        st.toggle(value=value, **options)
    elif is_tuple:
        st.text_input(value=shown, placeholder="none", **options)
    elif limits is not None:
        options["help"] += f" Range: {limits[0]:,g} to {limits[1]:,.10g}."
        # A number field of Streamlit keeps what is out of range to the browser, and the training
        # would start with the number before.
        with st.container(width=options.pop("width")):
            st.text_input(value=shown, **options)
            if isinstance(value, str):
                st.error(plain(_refusal(name, value)))


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


def _option_label(name: str, value: Any) -> str:
    return TABLES[name][value].label if name in TABLES else str(value).replace("_", " ")


def _parse_number(name: str, text: str) -> float | str | None:
    """The number in a field, or the text itself where it is none in the setting's range."""
    field = RunConfig.model_fields[name]
    if not text.strip() and NoneType in get_args(field.annotation):
        return None
    limits = limits_of(name)
    assert limits is not None
    try:
        number = float(text) if field.annotation is float else parse_whole(text)
    except ValueError:
        return text
    is_in_range = number is not None and limits[0] <= number <= limits[1]
    return number if is_in_range else text


def _refusal(name: str, text: str) -> str:
    field = RunConfig.model_fields[name]
    low, high = limits_of(name) or (0, 0)
    return refusal(_label(name), text, low, high, whole=field.annotation is not float)


def _label(name: str) -> str:
    return RunConfig.model_fields[name].title or name.replace("_", " ").capitalize()


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


def choose_dataset(name: str) -> None:
    """Train on another data set. The image size becomes the largest of that data set if it was
    larger, and the number of latents follows the number of its factors where it was that of the
    data set before."""
    settings = draft()
    before, after = map(_number_of_factors, (settings["dataset"], name))
    settings["dataset"] = name
    if 0 < (largest := _largest_side(name)) < settings["image_size"]:
        settings["image_size"] = largest
    if after and settings["num_latents"] == before:
        settings["num_latents"] = after


def _largest_side(name: str) -> int:
    with suppress(DataError):  # it was removed
        return largest_side(name)
    return 0


def _number_of_factors(name: str) -> int:
    with suppress(DataError):  # it was removed
        return len(dataset_info(name).factor_names)
    return 0


def apply_record(record: RunRecord) -> None:
    """Begin again with the settings of a run."""
    st.session_state[_KEY] = record.model_dump(include=set(RunConfig.model_fields))


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
    heeded = settings_of(settings["objective"], settings["latents"])
    refused = [name for name in heeded if isinstance(settings[name], str) and limits_of(name)]
    if refused:
        raise ConfigError(" ".join(_refusal(name, settings[name]) for name in refused))
    if "cardinalities" not in heeded:  # the other families refuse them
        settings = settings | {"cardinalities": ()}
    return RunConfig(**settings)
