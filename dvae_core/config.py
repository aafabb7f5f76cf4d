"""How a run is described: every setting with its range, its default and where that comes from.

`RunConfig` is flat, so that one setting has one name everywhere: as a key of config.json, as a flag
of the command line, as a column of a table over many runs. Its parts are classes of their own,
so that each consumer can say how little it needs.

Defaults are the paper's (Friede et al. 2023) as its reference implementation has them; those of
the objectives follow disentanglement_lib (Locatello et al. 2019): of each grid of six, the third.
"""

import os
from collections.abc import Sequence
from itertools import groupby
from math import log
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from dvae_core.errors import ConfigError


def available_cores() -> int:
    """Number of processor cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_validator(mode="wrap")
    @classmethod
    def _explain_what_is_wrong(cls, settings: Any, handler: Any) -> Any:
        try:
            return handler(settings)
        except ValidationError as error:
            raise ConfigError(explain(error)) from None


class DataConfig(_Part):
    dataset: str = Field("circles", description="name of the data set")
    image_size: Literal[32, 64] = Field(64, description="height and width of an image in pixels")


class ModelConfig(_Part):
    latents: Literal["categorical", "gaussian"] = Field(
        "categorical", description="family of the latents"
    )
    num_latents: int = Field(10, ge=1, le=64, description="number of latents N")
    num_categories: int = Field(
        64, ge=2, le=512, description="categories K of one latent; Gaussian latents ignore it"
    )
    cardinalities: tuple[Annotated[int, Field(ge=2, le=512)], ...] = Field(
        (),
        description="known numbers of values of the first factors: so many categories have the "
        "first latents, the others K",
    )

    @model_validator(mode="after")
    def _cardinalities_fit(self) -> "ModelConfig":
        if self.cardinalities and self.latents != "categorical":
            raise ConfigError(
                f"cardinalities are {' '.join(map(str, self.cardinalities))}, but {self.latents} "
                f"latents have no categories: leave them out, or take categorical latents"
            )
        count_categories(self.num_latents, self.num_categories, self.cardinalities)
        return self

    @property
    def category_counts(self) -> tuple[int, ...]:
        """Categories K_j of each latent, (N,); () for Gaussian latents."""
        if self.latents != "categorical":
            return ()
        return count_categories(self.num_latents, self.num_categories, self.cardinalities)


class ObjectiveConfig(_Part):
    objective: Literal["elbo", "beta", "annealed", "factor", "tc", "dip_i", "dip_ii"] = Field(
        "elbo", description="what is added to the reconstruction"
    )
    beta: float = Field(
        4.0,  # grids 1, 2, 4, 6, 8, 16 (beta) and 1, 2, 4, 6, 8, 10 (tc)
        ge=0.0,
        le=10_000.0,
        description="weight of the KL in the beta objective, and 1 + weight of the total "
        "correlation in the tc objective",
    )
    capacity_weight: float = Field(
        1_000.0,
        ge=0.0,
        le=100_000.0,
        description="weight of |KL - capacity| in the annealed objective",
    )
    capacity_max: float = Field(
        25.0,  # grid 5, 10, 25, 50, 75, 100
        ge=0.0,
        le=10_000.0,
        description="KL in nats that the annealed objective allows in the end",
    )
    capacity_steps: int = Field(
        100_000,
        ge=1,
        le=10_000_000,
        description="steps over which the capacity of the annealed objective rises from 0; all "
        "steps of a run that has fewer",
    )
    gamma: float = Field(
        30.0,  # grid 10, 20, 30, 40, 50, 100
        ge=0.0,
        le=10_000.0,
        description="weight of the total correlation in the factor objective",
    )
    discriminator_learning_rate: float = Field(
        1e-4, gt=0.0, le=1.0, description="Adam step size of the discriminator (factor objective)"
    )
    dip_weight: float = Field(
        5.0,  # grid 1, 2, 5, 10, 20, 50
        ge=0.0,
        le=10_000.0,
        description="weight of the covariances between latents in the dip objectives; that of "
        "their variances is 10 times as much in dip_i, and the same in dip_ii",
    )


OBJECTIVE_SETTINGS: dict[str, tuple[str, ...]] = {
    "elbo": (),
    "beta": ("beta",),
    "annealed": ("capacity_max", "capacity_weight", "capacity_steps"),
    "factor": ("gamma", "discriminator_learning_rate"),
    "tc": ("beta",),
    "dip_i": ("dip_weight",),
    "dip_ii": ("dip_weight",),
}
"""Settings of each objective, the one that studies vary first; it ignores those of the others."""

CATEGORICAL_SETTINGS = (
    "num_categories",
    "cardinalities",
    "sampling",
    "noise_scale_start",
    "noise_scale_end",
    "noise_steps",
)
"""Settings that Gaussian latents ignore."""


class TrainingConfig(_Part):
    steps: int = Field(300_000, ge=1, le=10_000_000, description="parameter updates")
    batch_size: int = Field(64, ge=2, le=4096, description="images in a batch B")
    learning_rate: float = Field(1e-4, gt=0.0, le=1.0, description="Adam step size")
    sampling: Literal["soft", "straight_through"] = Field(
        "soft",
        description="categorical code in training: the relaxed expectation, or the value of the "
        "most likely category with the relaxed gradient",
    )
    noise_scale_start: float = Field(
        0.5, ge=0.0, le=10.0, description="scale of the Gumbel noise at the first step"
    )
    noise_scale_end: float = Field(
        2.0,
        ge=0.0,
        le=10.0,
        description="scale of the Gumbel noise at the last step, reached by a half cosine",
    )
    noise_steps: int | None = Field(
        None,
        ge=1,
        le=10_000_000,
        description="steps over which the noise scale moves, to stay there; None for all. An "
        "extended run keeps those it began with",
    )
    seed: int = Field(
        0, ge=0, le=2**31 - 1, description="decides weights, data and noise of the run"
    )
    threads: int = Field(
        default_factory=available_cores,
        ge=1,
        le=256,
        description="processor threads; part of the config because it decides rounding",
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = Field(
        "auto", description="where to train; auto takes cuda, then mps, then cpu"
    )
    compiled: bool = Field(
        False,
        description="compile and capture the step (cuda only: on a processor it is slower)",
    )
    log_every: int = Field(
        50, ge=1, le=100_000, description="steps that one line of metrics.jsonl averages over"
    )
    checkpoint_seconds: float = Field(
        20.0, ge=0.0, le=86_400.0, description="least time between two saved states"
    )
    snapshot_every: int = Field(
        200,
        ge=0,
        le=10_000_000,
        description="least steps between two snapshots of what the model makes of a few images, "
        "with MIG and gap; 0 takes none",
    )


class RunConfig(DataConfig, ModelConfig, ObjectiveConfig, TrainingConfig):
    """Everything that decides a run. Two runs of equal config on one CPU end bit-identical.

    Making one raises `ConfigError`, in one line, for a setting too much or out of range.
    """

    @model_validator(mode="after")
    def _combination_is_sound(self) -> "RunConfig":
        if self.objective in ("factor", "tc") and self.num_latents < 2:
            raise ConfigError(
                f"the {self.objective} objective needs num_latents of at least 2: one latent has "
                f"no total correlation"
            )
        if self.objective == "tc" and self.beta < 1:
            raise ConfigError(
                f"beta is {self.beta:g}, but the tc objective adds beta - 1 times the total "
                f"correlation and would reward it: take 1 or more"
            )
        ceiling = sum(map(log, self.category_counts))
        has_ceiling = self.objective == "annealed" and self.latents == "categorical"
        if has_ceiling and self.capacity_max > ceiling:
            raise ConfigError(
                f"capacity_max is {self.capacity_max:g} nats, but the KL of these latents is at "
                f"most {ceiling:.2f}: lower it, or take more latents or categories"
            )
        if self.compiled and self.device not in ("auto", "cuda"):
            raise ConfigError(
                f"compiled needs device cuda, not {self.device}: on a processor the compiled step "
                f"is slower than the plain one"
            )
        if self.compiled and self.objective == "factor":
            raise ConfigError(
                "compiled does not go with the factor objective: its two gradients through one "
                "captured step were never tried"
            )
        return self

    @classmethod
    def from_preset(cls, preset: str | None, **settings: Any) -> "RunConfig":
        """A config from settings laid over a preset.

        Raises:
            ConfigError: the preset or a setting is unknown, or a value is out of range.
        """
        return cls(**(preset_settings(preset) | settings))


# What a person can watch from start to end: one disc, two latents, a coarse grid. Grid and noise
# are those of docs/results.md under which most seeds lie along the axes.
QUICK: dict[str, Any] = {
    "dataset": "circles",
    "image_size": 32,
    "num_latents": 2,
    "num_categories": 16,
    "steps": 4_000,
    "learning_rate": 1e-3,
    "sampling": "straight_through",
    "noise_scale_start": 0.5,
    "noise_scale_end": 0.5,
    # Two latents of 16 categories hold 5.5 nats.
    "capacity_max": 5.0,
}

PAPER: dict[str, Any] = {}  # the defaults are the paper's

PRESETS: dict[str, dict[str, Any]] = {"quick": QUICK, "paper": PAPER}


def preset_settings(name: str | None) -> dict[str, Any]:
    """The settings in which a preset differs from the defaults."""
    if name is None:
        return {}
    if name not in PRESETS:
        raise ConfigError(f"no preset is called {name!r}: there are {', '.join(PRESETS)}")
    return dict(PRESETS[name])


def settings_of(objective: str, latents: str) -> tuple[str, ...]:
    """Names of the settings that a run of this objective and family heeds, in the order of
    `RunConfig`; it ignores the others."""
    ignored = {name for names in OBJECTIVE_SETTINGS.values() for name in names}
    ignored -= set(OBJECTIVE_SETTINGS[objective])
    if latents == "gaussian":
        ignored |= set(CATEGORICAL_SETTINGS)
    return tuple(name for name in RunConfig.model_fields if name not in ignored)


def count_categories(
    num_latents: int, num_categories: int, cardinalities: Sequence[int] = ()
) -> tuple[int, ...]:
    """Categories K_j of each latent, (N,): its cardinality where that is known, else K.

    Args:
        num_latents: N.
        num_categories: K.
        cardinalities: of the first latents.

    Raises:
        ConfigError: there are more cardinalities than latents, or a number is below 2 or above K.
    """
    if num_categories < 2:
        raise ConfigError(f"num_categories is {num_categories}, but a grid needs at least 2")
    if len(cardinalities) > num_latents:
        raise ConfigError(
            f"cardinalities has {len(cardinalities)} numbers, but num_latents is {num_latents}: "
            f"give one for each of the first latents at most"
        )
    for latent, cardinality in enumerate(cardinalities):
        if cardinality < 2:
            raise ConfigError(
                f"cardinalities has {cardinality} for latent {latent}, but a grid needs at least 2"
            )
        if cardinality > num_categories:
            raise ConfigError(
                f"cardinalities has {cardinality} for latent {latent}, but num_categories is "
                f"{num_categories}: raise num_categories to the largest cardinality"
            )
    return (*cardinalities, *[num_categories] * (num_latents - len(cardinalities)))


def describe_category_counts(counts: Sequence[int]) -> str:
    """`K = 64`, or where latents differ `K = 3, 6, 2 × 32, 5 × 64` in their order."""
    groups = [(count, len(list(run))) for count, run in groupby(counts)]
    if len(groups) == 1:
        return f"K = {groups[0][0]}"
    return "K = " + ", ".join(
        str(count) if length == 1 else f"{length} × {count}" for count, length in groups
    )


def explain(error: ValidationError) -> str:
    """One line for the first thing that a schema found wrong, and how many more there are."""
    first, *others = error.errors(include_url=False)
    where = ".".join(str(part) for part in first["loc"])
    match first["type"]:
        case "extra_forbidden":
            text = f"unknown setting {where}"
        case "missing":
            text = f"{where} is missing"
        case _:
            message = first["msg"][0].lower() + first["msg"][1:]
            text = f"{where} is {repr(first['input'])[:60]}, but {message}"
    return f"{text} (and {len(others)} more)" if others else text
