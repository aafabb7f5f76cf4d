"""The settings of the next run, which the link of Train has: a reload, Back and a link to another
person restore them."""

from collections.abc import Mapping
from contextlib import suppress
from types import NoneType
from typing import Any, get_args, get_origin

from dvae_core.config import (
    RunConfig,
    available_cores,
    limits_of,
    preset_settings,
    settings_of,
)
from dvae_core.data import largest_side
from dvae_core.data.dataset import known_cardinalities
from dvae_core.data.listing import dataset_info
from dvae_core.errors import ConfigError, DataError
from dvae_core.runs.run import RunRecord
from ui.link import current_view, set_view
from ui.widgets import parse_whole, refusal

PAGE = "train"
FIRST_PRESET = "quick"
_NONE = "none"  # in a link, of a setting that can be left out

Settings = dict[str, Any]


def draft() -> Settings:
    """Every setting of the next run by its name, those included that it will not heed. A number
    that is none, or out of range, is the text that was given for it."""
    return read_draft()[0]


def read_draft() -> tuple[Settings, list[str]]:
    """`draft`, and what the link says of the settings and no setting can be."""
    settings, unread = settings_of_preset(FIRST_PRESET), []
    view = current_view(PAGE)
    for name in [name for name in settings if name in view]:
        try:
            settings[name] = _from_link(name, view[name])
        except ValueError:
            unread.append(f"{name} “{view[name][:80]}”")
    return settings, unread


def change(changes: Mapping[str, Any]) -> None:
    """Change some settings; the link keeps what differs from the first preset."""
    first = settings_of_preset(FIRST_PRESET)
    settings = draft() | dict(changes)
    parts = {
        name: "" if settings[name] == first[name] else _in_link(settings[name]) for name in first
    }
    set_view(PAGE, **parts)


def apply_preset(name: str) -> None:
    """Begin again with a preset."""
    change(settings_of_preset(name))


def apply_record(record: RunRecord) -> None:
    """Begin again with the settings of a run."""
    change(record.model_dump(include=set(RunConfig.model_fields)))


def choose_dataset(name: str) -> None:
    """Train on another data set. The image size becomes the largest of that data set if it was
    larger, and the number of latents follows the number of its factors where it was that of the
    data set before."""
    settings = draft()
    before, after = map(_number_of_factors, (settings["dataset"], name))
    changes: Settings = {"dataset": name}
    if 0 < (largest := side_of(name)) < settings["image_size"]:
        changes["image_size"] = largest
    if after and settings["num_latents"] == before:
        changes["num_latents"] = after
    change(changes)


def take_cardinalities() -> None:
    """Give latent j as many categories as factor j of the data set has values.

    Raises:
        DataError: the data set is not here.
    """
    change({"cardinalities": known_cardinalities(dataset_info(draft()["dataset"]))})


def side_of(dataset: str) -> int:
    """The largest image side of a data set, in pixels; 0 where it was removed."""
    with suppress(DataError):
        return largest_side(dataset)
    return 0


def settings_of_preset(name: str) -> Settings:
    """Every setting of a preset, for a run beside which the app stays responsive."""
    threads = max(1, available_cores() - 1)
    return RunConfig.from_preset(
        name, **(preset_settings(name) | {"threads": threads})
    ).model_dump()


def config_from(settings: Settings) -> RunConfig:
    """The config of some settings.

    Raises:
        ConfigError: the settings do not go together, or one is out of range.
    """
    heeded = settings_of(settings["objective"], settings["latents"])
    refused = [name for name in heeded if isinstance(settings[name], str) and limits_of(name)]
    if refused:
        raise ConfigError(" ".join(why_refused(name, settings[name]) for name in refused))
    if "cardinalities" not in heeded:  # the other families refuse them
        settings = settings | {"cardinalities": ()}
    return RunConfig(**settings)


def why_refused(name: str, text: str) -> str:
    """What is wrong with the text that was given for a number."""
    field = RunConfig.model_fields[name]
    low, high = limits_of(name) or (0, 0)
    return refusal(label_of(name), text, low, high, whole=field.annotation is not float)


def label_of(name: str) -> str:
    """What a setting is called in the form."""
    return RunConfig.model_fields[name].title or name.replace("_", " ").capitalize()


def parse_number(name: str, text: str) -> float | str | None:
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


def parse_numbers(text: str) -> tuple[Any, ...]:
    """Whole numbers; what is none is left to the config to refuse."""
    return tuple(
        int(part) if part.isdecimal() else part for part in text[:1000].replace(",", " ").split()
    )


def _number_of_factors(name: str) -> int:
    with suppress(DataError):  # it was removed
        return len(dataset_info(name).factor_names)
    return 0


def _in_link(value: Any) -> str:
    if isinstance(value, tuple):
        return " ".join(map(str, value)) or _NONE
    # An empty part would not be one.
    return _NONE if value is None else str(value) or " "


def _from_link(name: str, text: str) -> Any:
    """What `_in_link` made a text of.

    Raises:
        ValueError: the setting has no such choice.
    """
    kind = RunConfig.model_fields[name].annotation
    given = "" if text == _NONE else text.strip()
    if get_origin(kind) is tuple:
        return parse_numbers(given)
    if limits_of(name) is not None:
        return parse_number(name, given)
    choices = {
        str(choice): choice for choice in ((False, True) if kind is bool else get_args(kind))
    }
    if choices and text not in choices:
        raise ValueError
    return choices.get(text, text)
