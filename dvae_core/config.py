"""Everything that a run can choose: objectives, families of latents, and every setting.

Command line, form, sweeps and documents read the explanations, ranges and defaults that stand here.
`dvae_core/objectives.py` computes the objectives, `dvae_core/models/latents.py` the families.

`RunConfig` is flat, so that one setting has one name everywhere: as a key of config.json, as a flag
of the command line, as a column of a table over many runs. Its parts are classes of their own,
so that each consumer can say how little it needs.

Defaults are the paper's (Friede et al. 2023) as its reference implementation has them; those of
the objectives follow disentanglement_lib (Locatello et al. 2019).
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from math import log
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from dvae_core.errors import ConfigError

ObjectiveName = Literal["elbo", "beta", "annealed", "factor", "tc", "dip_i", "dip_ii"]
FamilyName = Literal["categorical", "gaussian"]
Sampling = Literal["soft", "straight_through"]


@dataclass(frozen=True, kw_only=True)
class ChoiceInfo:
    """What people read of an objective or a family of latents.

    Attributes:
        label: its name in the literature.
        explanation: what it is, and when to take it.
        source: paper.
        settings: names of the settings that only some objectives or families heed; of an objective,
            the one that studies vary comes first.
    """

    label: str
    explanation: str
    source: str
    settings: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ObjectiveInfo(ChoiceInfo):
    """An objective, whose explanation says what it adds to the reconstruction loss.

    Attributes:
        loss: in LaTeX, of the reconstruction R and the terms that docs/method.md explains.
        studied: values of its first setting in disentanglement_lib; the third is the default.
    """

    loss: str
    studied: tuple[float, ...] = ()


@dataclass(frozen=True, kw_only=True)
class FamilyInfo(ChoiceInfo):
    """A family of latents.

    Attributes:
        has_categories: whether a latent has K categories, and not a continuum.
    """

    has_categories: bool


OBJECTIVES: dict[ObjectiveName, ObjectiveInfo] = {
    "elbo": ObjectiveInfo(
        label="VAE",
        explanation="Adds the KL from the prior with weight 1. Take it as the baseline for all "
        "others.",
        source="Kingma & Welling, ICLR 2014",
        loss=r"R + \mathrm{KL}",
    ),
    "beta": ObjectiveInfo(
        label="β-VAE",
        explanation="Adds the KL with weight beta. Take it as the simplest way to trade sharp "
        "images for disentangled latents.",
        source="Higgins et al., ICLR 2017",
        loss=r"R + \beta\,\mathrm{KL}",
        settings=("beta",),
        studied=(1, 2, 4, 6, 8, 16),
    ),
    "annealed": ObjectiveInfo(
        label="AnnealedVAE",
        explanation="Adds the distance of the KL from a capacity that grows during training. Take "
        "it to let detail in step by step, or to hold the KL at a chosen value.",
        source="Burgess et al., 2018",
        loss=r"R + w\,\lvert\mathrm{KL} - c(t)\rvert",
        settings=("capacity_max", "capacity_weight", "capacity_steps"),
        studied=(5, 10, 25, 50, 75, 100),
    ),
    "factor": ObjectiveInfo(
        label="FactorVAE",
        explanation="Adds the KL and the total correlation, which a discriminator estimates. Take "
        "it for independent latents without a heavier KL; each step takes longer.",
        source="Kim & Mnih, ICML 2018",
        loss=r"R + \mathrm{KL} + \gamma\,\mathrm{TC}_D",
        settings=("gamma", "discriminator_learning_rate"),
        studied=(10, 20, 30, 40, 50, 100),
    ),
    "tc": ObjectiveInfo(
        label="β-TCVAE",
        explanation="Adds the KL and the total correlation, estimated from the batch. Take it for "
        "the aim of FactorVAE without a discriminator; larger batches estimate it better.",
        source="Chen et al., NeurIPS 2018",
        loss=r"R + \mathrm{KL} + (\beta - 1)\,\mathrm{TC}_B",
        settings=("beta",),
        studied=(1, 2, 4, 6, 8, 10),
    ),
    "dip_i": ObjectiveInfo(
        label="DIP-VAE-I",
        explanation="Adds the KL and the covariances of the expected codes. Take it for "
        "uncorrelated latents, where there are not many more latents than factors: it asks every "
        "latent to vary.",
        source="Kumar et al., ICLR 2018",
        loss=r"R + \mathrm{KL} + \lambda\,(\text{off} + 10\,\text{diag})",
        settings=("dip_weight",),
        studied=(1, 2, 5, 10, 20, 50),
    ),
    "dip_ii": ObjectiveInfo(
        label="DIP-VAE-II",
        explanation="Adds the KL and the covariances of the sampled codes. Take it for "
        "uncorrelated latents, where there are more latents than factors: spare ones may stay "
        "empty.",
        source="Kumar et al., ICLR 2018",
        loss=r"R + \mathrm{KL} + \lambda\,(\text{off} + \text{diag})",
        settings=("dip_weight",),
        studied=(1, 2, 5, 10, 20, 50),
    ),
}

FAMILIES: dict[FamilyName, FamilyInfo] = {
    "categorical": FamilyInfo(
        label="Categorical",
        explanation="Each latent is a distribution over K ordered categories at fixed values from "
        "−1 to 1. Take it to see whether latents align with the factors; that depends on the data "
        "and the settings. Typical: K = 64.",
        source="Friede et al., ECML PKDD 2023",
        has_categories=True,
        settings=(
            "num_categories",
            "noise_scale_start",
            "noise_scale_end",
            "noise_steps",
            "sampling",
            "cardinalities",
        ),
    ),
    "gaussian": FamilyInfo(
        label="Gaussian",
        explanation="Each latent is a normal distribution with its own mean and variance. Take it "
        "as the baseline; its prior is the same in every direction, so it does not keep a latent "
        "to one factor.",
        source="Kingma & Welling, ICLR 2014",
        has_categories=False,
    ),
}


def settings_of(objective: ObjectiveName, latents: FamilyName) -> tuple[str, ...]:
    """Names of the settings that a run of this objective and family heeds, in the order of
    `RunConfig`; it ignores the others."""
    heeded = {*OBJECTIVES[objective].settings, *FAMILIES[latents].settings}
    infos: list[ChoiceInfo] = [*OBJECTIVES.values(), *FAMILIES.values()]
    ignored = {name for info in infos for name in info.settings} - heeded
    return tuple(name for name in RunConfig.model_fields if name not in ignored)


def available_cores() -> int:
    """Number of processor cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Settings(BaseModel):
    """Settings, whose title and description are their label and help. A wrong one raises
    `ConfigError` with one line on it."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_validator(mode="wrap")
    @classmethod
    def _explain_what_is_wrong(cls, settings: Any, handler: Any) -> Any:
        try:
            return handler(settings)
        except ValidationError as error:
            raise ConfigError(explain(error)) from None


class DataConfig(Settings):
    dataset: str = Field("circles", title="Data set", description="Images to train on.")
    image_size: Literal[32, 64] = Field(
        64,
        title="Image size, pixels",
        description="Height and width of the images. 32 trains faster, 64 shows more detail.",
    )


class ModelConfig(Settings):
    latents: FamilyName = Field(
        "categorical",
        title="Latent family",
        description="Distribution that encodes an image in each latent.",
    )
    num_latents: int = Field(
        10,
        ge=1,
        le=64,
        title="Latents N",
        description="Number of latents N. With more than the data has factors, some can stay "
        "empty; with fewer, factors must share one. Typical: 10.",
    )
    num_categories: int = Field(
        64,
        ge=2,
        le=512,
        title="Categories K",
        description="Categories K of each latent. More make finer steps along a latent, which "
        "then carries up to ln K nats. Typical: 16 to 128.",
    )
    cardinalities: tuple[Annotated[int, Field(ge=2, le=512)], ...] = Field(
        (),
        title="Known cardinalities",
        description="Number of categories of each of the first latents, for data whose factors "
        "have known numbers of values; the other latents have K. Typical: none, or 3 6 40 32 32 "
        "for sprites.",
    )

    @model_validator(mode="after")
    def _cardinalities_fit(self) -> "ModelConfig":
        if self.cardinalities and not FAMILIES[self.latents].has_categories:
            with_categories = [name for name, info in FAMILIES.items() if info.has_categories]
            raise ConfigError(
                f"cardinalities are {' '.join(map(str, self.cardinalities))}, but {self.latents} "
                f"latents have no categories: leave them out, or take "
                f"{' or '.join(with_categories)} latents"
            )
        count_categories(self.num_latents, self.num_categories, self.cardinalities)
        return self

    @property
    def category_counts(self) -> tuple[int, ...]:
        """Categories K_j of each latent, (N,); () for latents without categories."""
        if not FAMILIES[self.latents].has_categories:
            return ()
        return count_categories(self.num_latents, self.num_categories, self.cardinalities)


class ObjectiveConfig(Settings):
    objective: ObjectiveName = Field(
        "elbo", description="Loss on the latents that training adds to the reconstruction loss."
    )
    beta: float = Field(
        4.0,
        ge=0.0,
        le=10_000.0,
        description="Weight of the KL in β-VAE, and 1 + weight of the total correlation in "
        "β-TCVAE. Higher favours disentangled latents and costs reconstruction; 1 is the plain "
        "VAE. Typical: 2 to 16.",
    )
    capacity_weight: float = Field(
        1_000.0,
        ge=0.0,
        le=100_000.0,
        description="Weight of the distance between KL and capacity in AnnealedVAE. Higher holds "
        "the KL closer to the capacity. Typical: 1000.",
    )
    capacity_max: float = Field(
        25.0,
        ge=0.0,
        le=10_000.0,
        title="Capacity at the end, nats",
        description="KL in nats to which AnnealedVAE holds the latents at the end. Higher lets "
        "more detail through and leaves less pressure to disentangle. Typical: 5 to 100.",
    )
    capacity_steps: int = Field(
        100_000,
        ge=1,
        le=10_000_000,
        description="Steps over which the capacity of AnnealedVAE rises from 0; at most all steps "
        "of the run. More let detail in more slowly. Typical: a third of the run, or all of it.",
    )
    gamma: float = Field(
        30.0,
        ge=0.0,
        le=10_000.0,
        description="Weight of the total correlation in FactorVAE. Higher pushes latents towards "
        "independence and costs reconstruction. Typical: 10 to 100.",
    )
    discriminator_learning_rate: float = Field(
        1e-4,
        gt=0.0,
        le=1.0,
        description="Adam step size of the discriminator of FactorVAE. Too low, and it lags behind "
        "the codes; too high, and its estimate is unstable. Typical: 1e-4.",
    )
    dip_weight: float = Field(
        5.0,
        ge=0.0,
        le=10_000.0,
        title="DIP weight",
        description="Weight of the covariances between latents in DIP-VAE; that of their variances "
        "is 10 times as much in DIP-VAE-I and the same in DIP-VAE-II. Higher decorrelates latents "
        "and costs reconstruction. Typical: 1 to 50.",
    )


class TrainingConfig(Settings):
    steps: int = Field(
        300_000,
        ge=1,
        le=10_000_000,
        description="Updates of the weights. More take longer and improve the model until it no "
        "longer changes. Typical: 4,000 for a first look, 300,000 in the paper.",
    )
    batch_size: int = Field(
        64,
        ge=2,
        le=4096,
        description="Images in a batch B. More give smoother gradients and make each step longer. "
        "Typical: 64.",
    )
    learning_rate: float = Field(
        1e-4,
        gt=0.0,
        le=1.0,
        description="Adam step size. Higher learns faster; too high, and training diverges. "
        "Typical: 1e-4, and 1e-3 for short trainings.",
    )
    sampling: Sampling = Field(
        "soft",
        description="Code that the decoder reads in training: soft is the mean of the category "
        "values under the noisy probabilities, straight through the value of the most likely "
        "category with the gradient of the soft code. Straight through trains the decoder on "
        "category values alone. Typical: soft, as in the paper.",
    )
    noise_scale_start: float = Field(
        0.5,
        ge=0.0,
        le=10.0,
        title="Noise scale, first step",
        description="Scale of the Gumbel noise on the logits at the first step. Lower lets the "
        "decoder read nearly the expected code. Typical: 0.5.",
    )
    noise_scale_end: float = Field(
        2.0,
        ge=0.0,
        le=10.0,
        title="Noise scale, last step",
        description="Scale of the Gumbel noise at the last step, reached along half a cosine. "
        "Higher lets only clearly separated categories through. Typical: 0.5 to 2.",
    )
    noise_steps: int | None = Field(
        None,
        ge=1,
        le=10_000_000,
        description="Steps until the noise scale reaches its end and stays there; None for all. An "
        "extended run keeps the number it began with.",
    )
    seed: int = Field(
        0,
        ge=0,
        le=2**31 - 1,
        description="Decides weights, batches and noise. Runs that differ in the seed alone show "
        "how much of a score is chance. Typical: 0 to 9.",
    )
    threads: int = Field(
        default_factory=available_cores,
        ge=1,
        le=256,
        description="Processor threads. More are faster, up to the number of cores. Two runs are "
        "equal bit for bit only with the same number.",
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = Field(
        "auto", description="Where to train; auto takes cuda if there is one, then mps, then cpu."
    )
    compiled: bool = Field(
        False,
        description="Compile and capture the training step. Faster; for cuda only.",
    )
    log_every: int = Field(
        50,
        ge=1,
        le=100_000,
        description="Steps averaged into one point of the curves (a line of metrics.jsonl). Fewer "
        "show more detail and more noise. Typical: 50.",
    )
    checkpoint_seconds: float = Field(
        20.0,
        ge=0.0,
        le=86_400.0,
        description="Least time between two saved states, in seconds. Less loses less work when a "
        "training is interrupted, and writes more. Typical: 20.",
    )
    snapshot_every: int = Field(
        200,
        ge=0,
        le=10_000_000,
        description="Least number of steps between two snapshots: a few images as the model "
        "decodes them, with MIG and gap. Fewer show more of the training and slow it down; 0 takes "
        "none. Typical: 200.",
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
        if self.objective == "annealed" and self.category_counts and self.capacity_max > ceiling:
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


def limits_of(setting: str) -> tuple[float, float] | None:
    """Least and greatest value of a setting; None where it is no number. Learning rates have to be
    above their least value, 0."""
    bounds: dict[str, float] = {}
    for constraint in RunConfig.model_fields[setting].metadata:
        for side in ("ge", "gt", "le"):
            if hasattr(constraint, side):
                bounds[side[0]] = getattr(constraint, side)
    return (bounds["g"], bounds["l"]) if bounds else None


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
