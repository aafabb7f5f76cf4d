"""The settings of the next run, as far as a person has chosen them; kept while pages change."""

from typing import Any

import streamlit as st

from dvae_core.config import RunConfig, available_cores, preset_settings
from dvae_core.run import RunRecord

_KEY = "train-draft"
FIRST_PRESET = "quick"


def draft() -> dict[str, Any]:
    """Every setting of the next run by its name; those included that it will not heed."""
    if _KEY not in st.session_state:
        take_preset(FIRST_PRESET)
    settings: dict[str, Any] = st.session_state[_KEY]
    return settings


def take_preset(name: str) -> None:
    """Begin again with a preset."""
    st.session_state[_KEY] = settings_of_preset(name)


def take_record(record: RunRecord) -> None:
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


def config_of(settings: dict[str, Any]) -> RunConfig:
    """The config of some settings.

    Raises:
        ConfigError: the settings do not go together, or one is out of range.
    """
    if settings["latents"] == "gaussian":  # which refuse what was meant for categories
        settings = settings | {"cardinalities": ()}
    return RunConfig(**settings)
