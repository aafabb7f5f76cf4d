"""The form of a new run, made from the tables and the settings of `dvae_core.config`."""

from collections.abc import Iterable, Mapping
from typing import Any, Literal, get_args, get_origin

import streamlit as st

from dvae_core.config import (
    FAMILIES,
    OBJECTIVES,
    PRESETS,
    ChoiceInfo,
    RunConfig,
    limits_of,
    settings_of,
)
from dvae_core.data import dataset_states
from ui.errors import errors_shown, plain
from ui.expander import show_expander
from ui.train.draft import (
    Settings,
    apply_preset,
    change,
    choose_dataset,
    label_of,
    parse_number,
    parse_numbers,
    read_draft,
    settings_of_preset,
    side_of,
    take_cardinalities,
    why_refused,
)
from ui.widgets import when_changed, widget_key

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
    settings, unread = read_draft()
    if unread:
        words = f"The link's settings cannot be read: {', '.join(unread)}."
        st.info(plain(f"{words} The form shows the defaults."), icon=":material/link_off:")
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
    _show_row(WHAT, settings)
    for info in (family, objective):
        st.caption(f"**{info.label}** ({info.source}). {info.explanation}")
    _show_row(objective.settings, settings)
    _show_row(size, settings)
    _show_row(COURSE, settings)
    shown = {*WHAT, *objective.settings, *size, *COURSE}
    shown.update(name for name in HIDDEN if settings[name] is None)
    with show_expander("Advanced", "train-advanced", ":material/settings:"):
        heeded = settings_of(settings["objective"], settings["latents"])
        advanced = [name for name in heeded if name not in shown]
        _show_row(advanced, settings)
        if "cardinalities" in advanced:
            st.button(
                "Use the cardinalities of the data set",
                icon=":material/format_list_numbered:",
                key="train-take-cardinalities",
                on_click=_take_cardinalities,
                help="Gives latent j as many categories as factor j has values.",
            )


def _show_row(names: Iterable[str], settings: Settings) -> None:
    with st.container(horizontal=True, vertical_alignment="top"):
        for name in names:
            _show_setting(name, settings)


def _show_setting(name: str, settings: Settings) -> None:
    """The widget that the type of a setting asks for, at its current value."""
    field = RunConfig.model_fields[name]
    value = settings[name]
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
            change({name: parse_numbers(value)})
        elif limits is not None:
            change({name: parse_number(name, value)})
        elif name == "dataset":
            choose_dataset(value)
        elif value is not None:
            change({name: value})

    options: dict[str, Any] = {
        "label": label_of(name),
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
        largest = side_of(settings["dataset"])
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
                st.error(plain(why_refused(name, value)))


def _begin_with_preset(name: str | None) -> None:
    if name is not None:
        apply_preset(name)


def _take_cardinalities() -> None:
    with errors_shown():
        take_cardinalities()


def _option_label(name: str, value: Any) -> str:
    """The literature's name of a choice, and the one that tables, links and commands have."""
    if name not in TABLES:
        return str(value).replace("_", " ")
    label = TABLES[name][value].label
    return label if label.lower() == value else f"{label} ({value})"


@st.cache_data(ttl=10.0, show_spinner="Looking for data sets …")
def _dataset_states() -> list[Any]:
    return dataset_states()
