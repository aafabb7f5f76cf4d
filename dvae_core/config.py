"""How a run is described: every setting with its range, its default and where that comes from.

`RunConfig` is flat, so that one setting has one name everywhere: as a key of config.json, as a flag
of the command line, as a column of a table over many runs. Its parts are classes of their own,
so that each consumer can say how little it needs.

Defaults are the paper's (Friede et al. 2023) as its reference implementation has them; those of
the factor objective follow disentanglement_lib (Locatello et al. 2019).
"""

import os
from typing import Any, Literal

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


class ObjectiveConfig(_Part):
    objective: Literal["elbo", "factor"] = Field(
        "elbo", description="what is added to the reconstruction"
    )
    gamma: float = Field(
        # The middle of disentanglement_lib's grid 10, 20, 30, 40, 50, 100.
        30.0,
        ge=0.0,
        le=10_000.0,
        description="weight of the total correlation in the factor objective",
    )
    discriminator_learning_rate: float = Field(
        1e-4, gt=0.0, le=1.0, description="Adam step size of the discriminator (factor objective)"
    )


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


class RunConfig(DataConfig, ModelConfig, ObjectiveConfig, TrainingConfig):
    """Everything that decides a run. Two runs of equal config on one CPU end bit-identical.

    Making one raises `ConfigError`, in one line, for a setting too much or out of range.
    """

    @model_validator(mode="after")
    def _combination_is_sound(self) -> "RunConfig":
        if self.objective == "factor" and self.num_latents < 2:
            raise ConfigError(
                "the factor objective needs num_latents of at least 2: one latent has no total "
                "correlation"
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
