"""Sweep files in TOML or JSON, and the runs that they describe.

    preset = "quick"              # optional
    seeds = 10                    # 0 to 9, or a list

    [fixed]                       # the same in every run
    steps = 2_000

    [grid]                        # every combination
    latents = ["gaussian", "categorical"]

    [[cases]]                     # settings that go together; combined with the grid
    objective = "factor"
    gamma = [10, 20]              # a list inside a case is a grid of its own

    [evaluation]                  # optional: what to measure afterwards
    protocols = ["paper"]
    metrics = "fast"

The name of a run consists of its settings from the grid, its case and the seeds, in this order, and
not of fixed settings. Lists can therefore grow later without renaming existing runs.
"""

import difflib
import hashlib
import math
import re
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from itertools import product
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    FailFast,
    Field,
    PrivateAttr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from dvae_core.config import (
    DataConfig,
    RunConfig,
    check_preset_has_data,
    explain,
    preset_settings,
    settings_of,
)
from dvae_core.data.dataset import known_cardinalities
from dvae_core.data.listing import dataset_info
from dvae_core.errors import ConfigError, printable
from dvae_core.evaluation.catalog import SETS, metrics_named, split_by_time
from dvae_core.evaluation.results import EvaluationSettings, Metric, ProtocolName
from dvae_core.system.shipped import app_folder
from dvae_core.system.strict_json import check_depth, parse_json

MAX_FILE_BYTES = 2**18
MAX_RUNS = 20_000
MAX_NAME = 64
_MAX_DOTS = 200
# Parallel runs use a machine better than one run on all cores, and a fixed number lets a sweep
# continue on another machine. Snapshots of many runs fill disks.
SWEEP_DEFAULTS = {"threads": 1, "snapshot_every": 0}

_SCALARS = (str, int, float, bool, type(None))


def _check_value(value: Any) -> Any:
    """A value of a setting, or a list of values, each of which may be a list of numbers."""
    for each in value if isinstance(value, list) else [value]:
        for part in each if isinstance(each, list) and isinstance(value, list) else [each]:
            if not isinstance(part, _SCALARS):
                raise PydanticCustomError(
                    "value", "it should be a text, a number, a truth value, or a list of these"
                )
    return value


def _check_unlike(values: tuple[Any, ...]) -> tuple[Any, ...]:
    if len(set(values)) < len(values):
        raise PydanticCustomError("twice", "a name is there twice")
    return values


Seed = Annotated[int, Field(strict=True, ge=0, le=2**31 - 1)]
Value = Annotated[Any, BeforeValidator(_check_value)]
Settings = dict[str, Value]


class EvaluationPlan(EvaluationSettings):
    """The evaluation of every run."""

    protocols: Annotated[tuple[ProtocolName, ...], FailFast(), AfterValidator(_check_unlike)] = (
        Field(("paper",), min_length=1, max_length=2)
    )
    metrics: Annotated[tuple[Metric, ...], FailFast(), AfterValidator(_check_unlike)] = Field(
        max_length=100
    )
    _is_set: bool = PrivateAttr(False)

    @field_validator("metrics", mode="before")
    @classmethod
    def _names_or_a_set(cls, metrics: Any) -> Any:
        return metrics_named(metrics) if isinstance(metrics, str) else metrics

    @model_validator(mode="wrap")
    @classmethod
    def _remember_a_set(cls, given: Any, handler: Any) -> Any:
        plan = handler(given)
        if isinstance(given, dict):  # and not a plan already
            plan._is_set = str(given.get("metrics")) in SETS
        return plan

    def metrics_for(self, factor_sizes: Sequence[int]) -> tuple[Metric, ...]:
        """The metrics for a data set with factors of these numbers of values: of a set, without
        those that take more than 20 minutes."""
        return split_by_time(self.metrics, factor_sizes)[0] if self._is_set else self.metrics

    @property
    def settings(self) -> EvaluationSettings:
        """Seed and numbers of points."""
        return EvaluationSettings(**self.model_dump(include=set(EvaluationSettings.model_fields)))


@dataclass(frozen=True)
class PlannedRun:
    """One run of a sweep."""

    id: str
    config: RunConfig


@dataclass(frozen=True)
class Sweep:
    """The content of a sweep file: at least one run, all with different settings, and their
    evaluation, or None."""

    path: Path
    runs: tuple[PlannedRun, ...]
    evaluation: EvaluationPlan | None


class _SweepFile(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    preset: str | None = None
    seeds: Annotated[int, Field(strict=True, ge=1)] | list[Seed] | None = None
    fixed: Settings = {}
    grid: dict[str, Annotated[list[Any], BeforeValidator(_check_value)]] = {}
    cases: Annotated[list[Settings], FailFast()] = []
    evaluation: EvaluationPlan | None = None

    @property
    def seed_list(self) -> Sequence[int]:
        return range(self.seeds) if isinstance(self.seeds, int) else self.seeds or ()


def read_sweep(path: Path, overrides: Mapping[str, Any] | None = None) -> Sweep:
    """Read and check a sweep file.

    Args:
        path: a .toml or .json file; shipped files such as `sweeps/circles.toml` are found from any
            folder.
        overrides: fixed settings, also `seeds`, that replace those of the file.

    Raises:
        ConfigError: the file cannot be read, or has unknown, invalid or duplicate settings.
    """
    shipped = app_folder() / path
    content = _read(shipped if shipped.is_file() and not path.exists() else path)
    try:
        file = _overridden(_SweepFile.model_validate(content), overrides or {})
        _check_keys(file)
        runs = tuple(_planned_runs(file))
        _check_unique(runs)
    except ValidationError as error:
        raise ConfigError(f"{path}: {explain(error)}") from None
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None
    return Sweep(path, runs, file.evaluation)


def parse_overrides(assignments: Iterable[str]) -> Settings:
    """Settings from `KEY=VALUE`; a value that is not TOML is text.

    Raises:
        ConfigError: there is no `=`.
    """
    overrides = {}
    for assignment in assignments:
        key, equals, value = assignment.partition("=")
        if not equals:
            raise ConfigError(f"--set is {assignment[:60]!r}, but KEY=VALUE is expected")
        try:
            overrides[key.strip()] = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            overrides[key.strip()] = value.strip()
    return overrides


def _read(path: Path) -> Settings:
    if not path.is_file():
        raise ConfigError(f"{path} is not a file: a sweep is a .toml or .json file")
    if path.stat().st_size > MAX_FILE_BYTES:
        raise ConfigError(f"{path} has over {MAX_FILE_BYTES // 2**10} KB: it is not a sweep file")
    try:
        text = path.read_bytes().decode()
        match path.suffix:
            case ".toml":
                # The library takes memory that grows with the square of the parts of a key.
                if any(line.count(".") > _MAX_DOTS for line in text.splitlines()):
                    raise ValueError(f"a line has more than {_MAX_DOTS} dots")
                content = tomllib.loads(text)
                check_depth(content)
                return content
            case ".json":
                content = parse_json(text.encode(), partial(_unique_keys, path))
                if isinstance(content, dict):
                    return content
                raise ValueError("it is not an object of settings")
    except (ValueError, RecursionError) as error:  # of both formats, and of the encoding
        reason = (str(error).splitlines() or ["too deeply nested"])[0]
        raise ConfigError(
            f"{path} is not valid {path.suffix[1:].upper()}: {reason[:200]}"
        ) from None
    raise ConfigError(f"{path} ends in {path.suffix!r}, but a sweep is a .toml or .json file")


def _unique_keys(path: Path, pairs: list[tuple[str, Any]]) -> Settings:
    content = dict(pairs)
    if len(content) < len(pairs):
        keys = Counter(key for key, _ in pairs)
        ((twice, _),) = keys.most_common(1)
        raise ConfigError(f"{path}: {printable(twice)} is set twice")
    return content


def _overridden(file: _SweepFile, overrides: Mapping[str, Any]) -> _SweepFile:
    """The file with `overrides` in place of its own settings."""

    def without(settings: Mapping[str, Any]) -> Settings:
        return {key: value for key, value in settings.items() if key not in overrides}

    content = {name: getattr(file, name) for name in file.model_fields_set}
    own = {"preset", "seeds"} & overrides.keys()
    content |= {
        **{key: overrides[key] for key in own},
        "fixed": without(file.fixed) | {k: v for k, v in overrides.items() if k not in own},
        "grid": without(file.grid),
        "cases": [case for case in map(without, file.cases) if case],
    }
    return _SweepFile.model_validate(content)


def _check_keys(file: _SweepFile) -> None:
    parts = [("fixed", file.fixed), ("grid", file.grid)]
    parts += [(f"cases {number}", case) for number, case in enumerate(file.cases, 1)]
    places: dict[str, str] = {"seed": "seeds"} if file.seeds is not None else {}
    for part, settings in parts:
        for key, value in settings.items():
            if key not in RunConfig.model_fields:
                close = difflib.get_close_matches(key, RunConfig.model_fields, 1)
                hint = f"; did you mean {close[0]}?" if close else ""
                raise ConfigError(f"[{part}] {key[:60]}: there is no such setting{hint}")
            if key in places:
                raise ConfigError(f"[{part}] {key} is already set in [{places[key]}]")
            if not part.startswith("cases"):
                places[key] = part
            if part != "fixed" and isinstance(value, list):
                _check_list(f"[{part}] {key}", value)
    if isinstance(file.seeds, list):
        _check_list("seeds", file.seeds)


def _check_list(where: str, values: list[Any]) -> None:
    if not values:
        raise ConfigError(f"{where} is an empty list: give at least one value, or leave it out")
    seen = set()
    for value in values:
        key = tuple(value) if isinstance(value, list) else value
        if key in seen:
            raise ConfigError(f"{where} has {str(value)[:60]} twice")
        seen.add(key)


def _planned_runs(file: _SweepFile) -> Iterator[PlannedRun]:
    each_case = file.cases or [{}]
    count = _number_of(file.grid) * sum(map(_number_of, each_case)) * max(len(file.seed_list), 1)
    if count > MAX_RUNS:  # before any list of them
        shown = f"{count:,}" if count < 10**12 else f"more than {10**12:,}"
        raise ConfigError(f"the sweep has {shown} runs, but at most {MAX_RUNS:,} are allowed")
    seeds: list[Settings] = [{"seed": seed} for seed in file.seed_list] or [{}]
    grid = list(_combinations_of(file.grid))
    cases = [settings for case in each_case for settings in _combinations_of(case)]
    for case in cases:
        check_preset_has_data(file.preset, file.fixed | file.grid | case)
    cardinalities_of = cache(lambda name: known_cardinalities(dataset_info(name)))
    base = SWEEP_DEFAULTS | preset_settings(file.preset) | file.fixed
    # Seed by seed, so that an unfinished sweep is balanced.
    for seed, of_grid, of_case in product(seeds, grid, cases):
        yield _planned_run(base, of_grid | of_case | seed, cardinalities_of)


def _number_of(settings: Mapping[str, Any]) -> int:
    """The number of combinations of some settings."""
    return math.prod(len(value) for value in settings.values() if isinstance(value, list))


def _combinations_of(settings: Mapping[str, Any]) -> Iterator[Settings]:
    alternatives = [v if isinstance(v, list) else [v] for v in settings.values()]
    for values in product(*alternatives):
        yield dict(zip(settings, values, strict=True))


def _planned_run(
    base: Settings, varied: Settings, cardinalities_of: Callable[[str], tuple[int, ...]]
) -> PlannedRun:
    settings = base | varied
    try:
        if settings.get("cardinalities") == "dataset":
            named = {"dataset": settings["dataset"]} if "dataset" in settings else {}
            settings["cardinalities"] = cardinalities_of(DataConfig(**named).dataset)
        config = RunConfig(**settings)
    except ConfigError as error:
        shown = printable(", ".join(f"{key} {value}" for key, value in varied.items()), 200)
        raise ConfigError(f"{error} (in the run of {shown})" if varied else str(error)) from None
    return PlannedRun(_name(config, varied), config)


def _name(config: RunConfig, varied: Settings) -> str:
    """Values of text settings, and key-value for others, joined by underscores."""
    parts = []
    for key, value in varied.items():
        is_text = isinstance(getattr(config, key), str)
        parts.append(_slug(value) if is_text else f"{_slug(key)}-{_slug(value)}")
    name = "_".join(parts) or "run"
    if len(name) <= MAX_NAME:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{name[: MAX_NAME - 9]}-{digest}"


def _slug(value: Any) -> str:
    if isinstance(value, list):
        return "-".join(map(_slug, value)) or "none"
    text = str(value).lower().removesuffix(".0").replace(".", "p")
    return re.sub(r"[^a-z0-9]+", "-", text).strip("-")


def _check_unique(runs: Sequence[PlannedRun]) -> None:
    ids: set[str] = set()
    by_meaning: dict[tuple[Any, ...], str] = {}
    for run in runs:
        if run.id in ids:
            raise ConfigError(f"two runs have the name {run.id}: change a value")
        ids.add(run.id)
        heeded = settings_of(run.config.objective, run.config.latents)
        meaning = tuple((name, getattr(run.config, name)) for name in heeded)
        if meaning in by_meaning:
            raise ConfigError(
                f"{by_meaning[meaning]} and {run.id} are the same run: "
                f"{run.config.objective} with {run.config.latents} latents ignores what differs"
            )
        by_meaning[meaning] = run.id
