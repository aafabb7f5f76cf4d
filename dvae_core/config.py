"""Every choice of a run: the objectives, the latent families, and all settings.

The command line, the Train form, sweeps and the documents read their explanations, ranges and
defaults from here. `dvae_core/objectives.py` computes the objectives, `dvae_core/models/latents/`
the latent families.

`RunConfig` is flat, so a setting has the same name everywhere: as a key of config.json, as a flag
of the command line, and as a column of a table of runs. Its parts are separate classes, so a
function can ask for only the settings that it needs.

The defaults are those of the paper's reference implementation (Friede et al. 2023). The defaults of
the objectives follow disentanglement_lib (Locatello et al. 2019).
"""

import os
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import ceil, cos, log, pi
from reprlib import Repr
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)
from pydantic_core import PydanticCustomError

from dvae_core.errors import ConfigError, one_line, printable

ObjectiveName = Literal["elbo", "beta", "annealed", "factor", "tc", "dip_i", "dip_ii"]
FamilyName = Literal["categorical", "gaussian", "qvae", "quantized", "fsq"]
LogitSource = Literal["encoder", "distance", "bounded_distance"]
ValueSource = Literal["grid", "codebook", "shared_codebook"]
CategoryChoice = Literal["gumbel", "nearest"]
Sampling = Literal["soft", "straight_through"]
CATEGORY_RANGE = (2, 512)  # of the number of categories K
MAX_ROWS = 40_000  # of metrics.jsonl, so that every page can read it
ImageSize = int | tuple[int, int]
"""Height and width in pixels; one number if they are equal."""

TrainedSize = Literal[32, 64, 128]
"""Height, and width, in pixels of images that a run of ours trains on."""


@dataclass(frozen=True, kw_only=True)
class ChoiceInfo:
    """The description of an objective or a latent family.

    Attributes:
        label: name in the literature.
        explanation: what it is, and when to use it.
        source: paper.
        settings: names of the settings that not every objective or family uses; for an objective,
            the setting that studies vary comes first.
    """

    label: str
    explanation: str
    source: str
    settings: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ObjectiveInfo(ChoiceInfo):
    """The description of an objective; `explanation` says what it adds to the reconstruction.

    Attributes:
        loss: the loss in LaTeX, with reconstruction R and the terms that docs/method.md explains.
        studied: values of the first setting in disentanglement_lib; the third is the default.
    """

    loss: str
    studied: tuple[float, ...] = ()


@dataclass(frozen=True, kw_only=True)
class CategoryChoices:
    """The three choices in which the families with categories differ. Defaults: Friede et al. 2023.

    Attributes:
        logits: where they come from. `encoder`: it outputs K of them for each latent. `distance`:
            it outputs a scalar, whose squared distance from a category's value is minus the logit.
            `bounded_distance`: the same for the tanh of the scalar.
        values: the values of the categories. `grid`: linspace(-1, 1, K), fixed. `codebook`: learnt
            for each latent, from linspace(-0.5, 0.5, K). `shared_codebook`: learnt for all latents
            together, from the K quantiles of a standard normal.
        draws: how a code is drawn. `gumbel`: with Gumbel noise, soft or straight through.
            `nearest`: the most likely category, which is the nearest; no chance, straight through.
    """

    logits: LogitSource = "encoder"
    values: ValueSource = "grid"
    draws: CategoryChoice = "gumbel"


@dataclass(frozen=True, kw_only=True)
class FamilyInfo(ChoiceInfo):
    """The description of a latent family.

    Attributes:
        categories: how its categories work; None for a family without categories.
    """

    categories: CategoryChoices | None

    @property
    def has_categories(self) -> bool:
        """Whether each latent has K categories."""
        return self.categories is not None

    @property
    def is_deterministic(self) -> bool:
        """Whether an image has a point as its posterior, and not a distribution over codes."""
        return self.categories is not None and self.categories.draws == "nearest"


OBJECTIVES: dict[ObjectiveName, ObjectiveInfo] = {
    "elbo": ObjectiveInfo(
        label="VAE",
        explanation="Adds the KL from the prior with weight 1. Use it as the baseline for all "
        "other objectives.",
        source="Kingma & Welling, ICLR 2014",
        loss=r"R + \mathrm{KL}",
    ),
    "beta": ObjectiveInfo(
        label="β-VAE",
        explanation="Adds the KL with weight beta. Use it as the simplest way to trade sharp "
        "images for disentangled latents.",
        source="Higgins et al., ICLR 2017",
        loss=r"R + \beta\,\mathrm{KL}",
        settings=("beta",),
        studied=(1, 2, 4, 6, 8, 16),
    ),
    "annealed": ObjectiveInfo(
        label="AnnealedVAE",
        explanation="Adds the distance of the KL from a capacity that grows during training. Use "
        "it to admit detail gradually, or to keep the KL at a chosen value.",
        source="Burgess et al., 2018",
        loss=r"R + w\,\lvert\mathrm{KL} - c(t)\rvert",
        settings=("capacity_max", "capacity_weight", "capacity_steps"),
        studied=(5, 10, 25, 50, 75, 100),
    ),
    "factor": ObjectiveInfo(
        label="FactorVAE",
        explanation="Adds the KL and the total correlation, which a discriminator estimates. Use "
        "it to make latents independent without raising the weight of the KL; each step takes "
        "longer.",
        source="Kim & Mnih, ICML 2018",
        loss=r"R + \mathrm{KL} + \gamma\,\mathrm{TC}_D",
        settings=("gamma", "discriminator_learning_rate"),
        studied=(10, 20, 30, 40, 50, 100),
    ),
    "tc": ObjectiveInfo(
        label="β-TCVAE",
        explanation="Adds the KL and the total correlation, estimated from the batch. Use it to "
        "penalise dependence as FactorVAE does, but without a discriminator; larger batches give "
        "better estimates.",
        source="Chen et al., NeurIPS 2018",
        loss=r"R + \mathrm{KL} + (\beta - 1)\,\mathrm{TC}_B",
        settings=("beta",),
        studied=(1, 2, 4, 6, 8, 10),
    ),
    "dip_i": ObjectiveInfo(
        label="DIP-VAE-I",
        explanation="Adds the KL and the covariances of the expected codes. Use it to decorrelate "
        "latents if there are few more latents than factors: it requires every latent to vary.",
        source="Kumar et al., ICLR 2018",
        loss=r"R + \mathrm{KL} + \lambda\,(\text{off} + 10\,\text{diag})",
        settings=("dip_weight",),
        studied=(1, 2, 5, 10, 20, 50),
    ),
    "dip_ii": ObjectiveInfo(
        label="DIP-VAE-II",
        explanation="Adds the KL and the covariances of the sampled codes. Use it to decorrelate "
        "latents if there are more latents than factors: spare latents may stay inactive.",
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
        "−1 to 1. Use it to see whether latents align with the factors; that depends on the data "
        "and the settings. Typical: K = 64.",
        source="Friede et al., ECML PKDD 2023",
        categories=CategoryChoices(),
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
        explanation="Each latent is a normal distribution with its own mean and variance. Use it "
        "as the baseline; its prior is the same in every direction, so it does not favour one "
        "factor per latent.",
        source="Kingma & Welling, ICLR 2014",
        categories=None,
    ),
    "qvae": FamilyInfo(
        label="QVAE",
        explanation="Each latent is a distribution over K categories whose values are learnt and "
        "shared by all latents; the nearer a value is to the encoder's scalar, the likelier. Use "
        "it to see what learnt values add to noise. Typical: K = 64.",
        source="Baykal et al., 2024",
        categories=CategoryChoices(logits="distance", values="shared_codebook"),
        settings=(
            "num_categories",
            "noise_scale_start",
            "noise_scale_end",
            "noise_steps",
            "sampling",
        ),
    ),
    "quantized": FamilyInfo(
        label="QLAE",
        explanation="Each latent is the nearest of its own K learnt values, without chance. Use "
        "it with weight decay, the second part of the method. Typical: K = 10, and twice as many "
        "latents as factors.",
        source="Hsu et al., NeurIPS 2023",
        categories=CategoryChoices(logits="distance", values="codebook", draws="nearest"),
        settings=("num_categories", "cardinalities", "codebook_weight", "commitment_weight"),
    ),
    "fsq": FamilyInfo(
        label="FSQ",
        explanation="Each latent is the nearest of K fixed values from −1 to 1, without chance "
        "(finite scalar quantization). Use it with the multiinformation and the Hessian penalty, "
        "as Tripod does, or as the plainest discrete latent. Typical: K = 12, and twice as many "
        "latents as factors.",
        source="Mentzer et al., ICLR 2024; Tripod: Hsu et al., ICML 2024",
        categories=CategoryChoices(logits="bounded_distance", draws="nearest"),
        settings=("num_categories", "cardinalities", "encoder_delay"),
    ),
}


CHANCE_AND_MACHINE = frozenset({"seed", "device", "threads", "compiled"})
"""Settings that change what a run learns by chance or rounding only."""

WATCHING = frozenset({"log_every", "checkpoint_seconds", "snapshot_every"})
"""Settings that do not change what a run learns."""


def apart_from_chance(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings by name without those of chance, machine and watching: runs that agree in the rest
    are seeds of one setting."""
    left_out = CHANCE_AND_MACHINE | WATCHING
    return {name: value for name, value in settings.items() if name not in left_out}


def settings_of(objective: ObjectiveName, latents: FamilyName) -> tuple[str, ...]:
    """Names of the settings that a run of this objective and family uses, in the order of
    `RunConfig`; it ignores all others."""
    used = {*OBJECTIVES[objective].settings, *FAMILIES[latents].settings}
    infos: list[ChoiceInfo] = [*OBJECTIVES.values(), *FAMILIES.values()]
    ignored = {name for info in infos for name in info.settings} - used
    return tuple(name for name in RunConfig.model_fields if name not in ignored)


def available_cores() -> int:
    """Number of processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class OneLineErrors(BaseModel):
    """A model that raises `ConfigError`, in one line, instead of pydantic's `ValidationError`."""

    @model_validator(mode="wrap")
    @classmethod
    def _explain_what_is_wrong(cls, settings: Any, handler: Any) -> Any:
        try:
            return handler(settings)
        except ValidationError as error:
            raise ConfigError(explain(error)) from None


class _Part(OneLineErrors):
    """Settings. The title of a field is its label, the description is its help."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def _check_name(name: str) -> str:
    if not re.fullmatch("[a-z0-9][a-z0-9_-]{0,63}", name):
        raise PydanticCustomError(
            "name", "names of data sets have 1 to 64 of a-z, 0-9, _ and -: use such a name"
        )
    return name


DatasetName = Annotated[str, AfterValidator(_check_name)]
OneLine = Annotated[str, AfterValidator(one_line)]
"""A text of a record that people read; characters that a text should not have become spaces."""


class DataConfig(_Part):
    dataset: DatasetName = Field("circles", title="Data set", description="Images to train on.")
    image_size: TrainedSize = Field(
        64,
        title="Image size, pixels",
        description="Height and width of the images. 32 trains faster; 64 shows more detail; 128 "
        "is for images that you imported at that size.",
    )


class ModelConfig(_Part):
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
        description="Number of latents N. With more latents than factors, some can stay "
        "inactive; with fewer, factors must share a latent. Typical: 10.",
    )
    num_categories: int = Field(
        64,
        ge=CATEGORY_RANGE[0],
        le=CATEGORY_RANGE[1],
        title="Categories K",
        description="Number of categories K of each latent. More categories make finer steps "
        "along a latent, which can then carry up to ln K nats. Typical: 16 to 128.",
    )
    cardinalities: tuple[Annotated[int, Field(ge=2, le=512)], ...] = Field(
        (),
        max_length=512,
        title="Known cardinalities",
        description="Number of categories of each of the first latents, if the numbers of factor "
        "values are known; the other latents have K. Typical: none, or 3 6 40 32 32 for sprites.",
    )

    @model_validator(mode="after")
    def _cardinalities_fit(self) -> "ModelConfig":
        family = FAMILIES[self.latents]
        if self.cardinalities and "cardinalities" not in family.settings:
            able = [name for name, info in FAMILIES.items() if "cardinalities" in info.settings]
            lack = "share their categories" if family.has_categories else "have no categories"
            raise ConfigError(
                f"cardinalities are {' '.join(map(str, self.cardinalities))}, but {self.latents} "
                f"latents {lack}: leave cardinalities out, or use {' or '.join(able)} latents"
            )
        count_categories(self.num_latents, self.num_categories, self.cardinalities)
        return self

    @property
    def category_counts(self) -> tuple[int, ...]:
        """Categories K_j of each latent, (N,); () for latents without categories."""
        if not FAMILIES[self.latents].has_categories:
            return ()
        return count_categories(self.num_latents, self.num_categories, self.cardinalities)


class ObjectiveConfig(_Part):
    objective: ObjectiveName = Field(
        "elbo", description="Loss on the latents, which training adds to the reconstruction loss."
    )
    beta: float = Field(
        4.0,
        ge=0.0,
        le=10_000.0,
        description="Weight of the KL in β-VAE; weight of the total correlation plus 1 in "
        "β-TCVAE. Higher values favour disentangled latents over reconstruction; 1 is the plain "
        "VAE. Typical: 2 to 16.",
    )
    capacity_weight: float = Field(
        1_000.0,
        ge=0.0,
        le=100_000.0,
        description="Weight of the distance between KL and capacity in AnnealedVAE. Higher "
        "values keep the KL closer to the capacity. Typical: 1000.",
    )
    capacity_max: float = Field(
        25.0,
        ge=0.0,
        le=10_000.0,
        title="Final capacity, nats",
        description="KL in nats at which AnnealedVAE keeps the latents at the end. Higher values "
        "let more detail through and put less pressure on disentanglement. Typical: 5 to 100.",
    )
    capacity_steps: int = Field(
        100_000,
        ge=1,
        le=10_000_000,
        description="Steps over which the capacity of AnnealedVAE rises from 0; at most all steps "
        "of the run. More steps admit detail more slowly. Typical: a third of the run, or all of "
        "it.",
    )
    gamma: float = Field(
        30.0,
        ge=0.0,
        le=10_000.0,
        description="Weight of the total correlation in FactorVAE. Higher values favour "
        "independent latents over reconstruction. Typical: 10 to 100.",
    )
    discriminator_learning_rate: float = Field(
        1e-4,
        gt=0.0,
        le=1.0,
        description="Adam step size of the FactorVAE discriminator. If it is too low, the "
        "discriminator lags behind the codes; if it is too high, its estimate is unstable. "
        "Typical: 1e-4.",
    )
    dip_weight: float = Field(
        5.0,
        ge=0.0,
        le=10_000.0,
        title="DIP weight",
        description="Weight of the covariances between latents in DIP-VAE; the weight of their "
        "variances is 10 times as high in DIP-VAE-I and equal in DIP-VAE-II. Higher values favour "
        "uncorrelated latents over reconstruction. Typical: 1 to 50.",
    )


class RegularizerConfig(_Part):
    codebook_weight: float = Field(
        12.0,
        ge=0.0,
        le=1_000_000.0,
        description="Weight of the codebook loss of QLAE, which pulls the values of the categories "
        "to the encoder's scalars. Higher values let them follow faster; 0 keeps the values where "
        "they start. Typical: 0.001 times the numbers of an image, which are 12,288 for 64x64 in "
        "colour.",
    )
    commitment_weight: float = Field(
        12.0,
        ge=0.0,
        le=1_000_000.0,
        description="Weight of the commitment loss of QLAE, which pulls the encoder's scalars to "
        "the values of their categories. Higher values keep the scalars closer. Typical: as the "
        "codebook weight.",
    )
    multiinformation_weight: float = Field(
        0.0,
        ge=0.0,
        le=1_000_000.0,
        description="Weight of the multiinformation of the batch's codes by Gaussian kernels "
        "(Tripod), which any objective but factor and tc takes. Higher values favour independent "
        "latents over reconstruction. Typical: 0, or 1e-8 to 1e-4 times the numbers of an image.",
    )
    hessian_weight: float = Field(
        0.0,
        ge=0.0,
        le=1_000_000.0,
        description="Weight of the normalised Hessian penalty (Tripod): the share of second "
        "derivatives of the decoder that mix two latents. Any objective takes it; each step takes "
        "longer. Higher values favour latents whose effects do not depend on one another. Typical: "
        "0, or 1e-8 to 1e-2 times the numbers of an image.",
    )


class TrainingConfig(_Part):
    steps: int = Field(
        300_000,
        ge=1,
        le=10_000_000,
        description="Number of weight updates. More steps take longer and improve the model until "
        "it converges. Typical: 4,000 for a first look, 300,000 in the paper.",
    )
    batch_size: int = Field(
        64,
        ge=2,
        le=4096,
        description="Number of images B in a batch. Larger batches give smoother gradients and "
        "make each step slower. Typical: 64.",
    )
    learning_rate: float = Field(
        1e-4,
        gt=0.0,
        le=1.0,
        description="Adam step size. Higher values learn faster, but training diverges if it is "
        "too high. Typical: 1e-4, or 1e-3 for short trainings.",
    )
    weight_decay: float = Field(
        0.0,
        ge=0.0,
        le=100.0,
        description="Each step shrinks the weights of encoder and decoder, but no bias and no "
        "category value, by this times the step size (AdamW). Higher values leave fewer latents "
        "active. Typical: 0, or 0.1 for QLAE.",
    )
    encoder_delay: int = Field(
        200,
        ge=0,
        le=10_000_000,
        title="Encoder delay, steps",
        description="Steps at the start in which the decoder learns and the encoder does not, at "
        "most half of the run. With 0, the encoder of FSQ can give all images one code for good, "
        "because the decoder needs their mean before anything else. Typical: 200.",
    )
    sampling: Sampling = Field(
        "soft",
        description="Code that the decoder reads in training. Soft: the mean of the category "
        "values under the noisy probabilities. Straight through: the value of the most likely "
        "category, with the gradient of the soft code, so the decoder sees category values only. "
        "Typical: soft, as in the paper.",
    )
    noise_scale_start: float = Field(
        0.5,
        ge=0.0,
        le=10.0,
        title="Noise scale, first step",
        description="Scale of the Gumbel noise on the logits at the first step. At low values the "
        "decoder reads almost the expected code. Only at 1 are straight-through samples draws from "
        "the posterior; below 1, they hold more than the KL charges. Typical: 1, or 0.5 as in the "
        "paper.",
    )
    noise_scale_end: float = Field(
        2.0,
        ge=0.0,
        le=10.0,
        title="Noise scale, last step",
        description="Scale of the Gumbel noise at the last step, reached along half a cosine. At "
        "high values only clearly separated categories get through; below 1, samples hold more "
        "than the KL charges. Typical: 1, or 2 as in the paper.",
    )
    noise_steps: int | None = Field(
        None,
        ge=1,
        le=10_000_000,
        description="Steps until the noise scale reaches its final value and stays there; None "
        "means all steps. An extended run keeps its original number.",
    )
    seed: int = Field(
        0,
        ge=0,
        le=2**31 - 1,
        description="Random seed of weights, batches and noise. Runs that differ only in the seed "
        "show how much of a score is chance. Typical: 0 to 9.",
    )
    threads: int = Field(
        default_factory=available_cores,
        ge=1,
        le=256,
        description="Processor threads. More threads are faster, up to the number of cores. Two "
        "runs are equal bit for bit only with the same number.",
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = Field(
        "auto", description="Where to train; auto uses cuda if available, else mps, else cpu."
    )
    compiled: bool = Field(
        False,
        description="Compile and capture the training step. Faster; only for cuda.",
    )
    log_every: int = Field(
        50,
        ge=1,
        le=100_000,
        description="Steps averaged into one point of the curves (a line of metrics.jsonl). Fewer "
        "steps show more detail and more noise. Typical: 50.",
    )
    checkpoint_seconds: float = Field(
        20.0,
        ge=0.0,
        le=86_400.0,
        description="Shortest time between two saved states, in seconds. A shorter time loses less "
        "work when a training is interrupted, and writes more to the disk. Typical: 20.",
    )
    snapshot_every: int = Field(
        200,
        ge=0,
        le=10_000_000,
        description="Smallest number of steps between two snapshots: a few decoded images, with "
        "MIG and the gap. Fewer steps show more of the training and slow it down; 0 turns "
        "snapshots off. Typical: 200.",
    )

    def noise_scale_at(self, step: int) -> float:
        """Scale of the Gumbel noise at a step: a half cosine from start to end over `noise_steps`
        (or all steps), and constant afterwards."""
        turned = (1 - cos(pi * min(step / (self.noise_steps or self.steps), 1.0))) / 2
        return self.noise_scale_start + turned * (self.noise_scale_end - self.noise_scale_start)


class RunConfig(DataConfig, ModelConfig, ObjectiveConfig, RegularizerConfig, TrainingConfig):
    """All settings of a run. Two runs of the same config on the same CPU are equal bit for bit.

    Raises:
        ConfigError: a setting is unknown or out of range, or two settings contradict each other.
    """

    @model_validator(mode="after")
    def _combination_is_sound(self) -> "RunConfig":
        if reason := why_not(self.objective, FAMILIES[self.latents]):
            able = [name for name in OBJECTIVES if not why_not(name, FAMILIES[self.latents])]
            raise ConfigError(
                f"the {self.objective} objective does not go with {self.latents} latents: "
                f"{reason}; use {', '.join(able[:-1])} or {able[-1]}"
            )
        if self.multiinformation_weight > 0 and self.objective in ("factor", "tc"):
            raise ConfigError(
                f"multiinformation_weight is {self.multiinformation_weight:g}, but the "
                f"{self.objective} objective already penalises the same dependence of the latents: "
                f"set it to 0, or use another objective"
            )
        if self.num_latents < 2 and (self.multiinformation_weight > 0 or self.hessian_weight > 0):
            raise ConfigError(
                "multiinformation_weight and hessian_weight need num_latents of at least 2: they "
                "weight what two latents have to do with each other"
            )
        if self.objective in ("factor", "tc") and self.num_latents < 2:
            raise ConfigError(
                f"the {self.objective} objective needs num_latents of at least 2: one latent "
                f"has no total correlation"
            )
        if self.objective == "tc" and self.beta < 1:
            raise ConfigError(
                f"beta is {self.beta:g}, but the tc objective weights the total correlation by "
                f"beta - 1 and would reward it: use 1 or more"
            )
        ceiling = sum(map(log, self.category_counts))
        if self.objective == "annealed" and self.category_counts and self.capacity_max > ceiling:
            raise ConfigError(
                f"capacity_max is {self.capacity_max:g} nats, but the KL of these latents is at "
                f"most {ceiling:.2f}: lower it, or use more latents or categories"
            )
        if self.compiled and self.device not in ("auto", "cuda"):
            raise ConfigError(
                f"compiled needs device cuda, not {self.device}: leave compiled out, since it is "
                f"slower on a CPU"
            )
        if self.compiled and self.objective == "factor":
            raise ConfigError(
                "compiled is not supported with the factor objective: leave compiled out, or use "
                "another objective"
            )
        return self

    @model_validator(mode="after")
    def _log_is_short(self) -> "RunConfig":
        check_log_is_short(self)
        return self

    @property
    def steps_without_encoder(self) -> int:
        """The encoder delay, at most half of the run; 0 for a family that does not use it."""
        is_used = "encoder_delay" in FAMILIES[self.latents].settings
        return min(self.encoder_delay, self.steps // 2) if is_used else 0

    @classmethod
    def from_preset(cls, preset: str | None, **settings: Any) -> "RunConfig":
        """The config of a preset, with some settings replaced.

        Raises:
            ConfigError: the preset or a setting is unknown, or a value is out of range.
        """
        return cls(**(preset_settings(preset) | settings))


# Why a posterior that is a point is not enough for an objective.
_NEEDS_DISTRIBUTION: dict[ObjectiveName, str] = {
    "beta": "the KL of a point is the same for all images, and a weight on it changes nothing",
    "annealed": "the KL of a point is the same for all images, and cannot follow a capacity",
    "tc": "points have no densities of which the batch could be a mixture",
    "dip_ii": "points have no variance to add to the covariances",
}


def why_not(objective: ObjectiveName, family: FamilyInfo) -> str:
    """Why an objective makes no sense with a family, or ""."""
    if family.is_deterministic and objective in _NEEDS_DISTRIBUTION:
        return _NEEDS_DISTRIBUTION[objective]
    learns_values = family.categories is not None and family.categories.values != "grid"
    if objective in ("dip_i", "dip_ii") and learns_values:
        return "it pulls variances to that of the prior, which moves with the learnt values"
    return ""


# A training short enough to watch: one disc, two latents, a coarse grid. Samples and step size have
# the lowest loss in docs/studies.md at a noise scale of 1, below which the KL says too little.
QUICK: dict[str, Any] = {
    "dataset": "circles",
    "image_size": 32,
    "num_latents": 2,
    "num_categories": 16,
    "steps": 4_000,
    "learning_rate": 2e-3,
    "sampling": "straight_through",
    "noise_scale_start": 1.0,
    "noise_scale_end": 1.0,
    # Two latents of 16 categories hold 5.5 nats.
    "capacity_max": 5.0,
}

PAPER: dict[str, Any] = {}  # the defaults are those of the paper

# Those of the families' authors on 3D Shapes, of 64x64 pixels in colour: what multiplies a term
# beside their mean over its 12,288 numbers multiplies it here by as much, beside a sum over them.
_NUMBERS = 64 * 64 * 3

QLAE: dict[str, Any] = {
    "latents": "quantized",
    "num_latents": 12,
    "num_categories": 10,
    "codebook_weight": 0.001 * _NUMBERS,
    "commitment_weight": 0.001 * _NUMBERS,
    "weight_decay": 0.1,
    "steps": 200_000,
    "batch_size": 128,
    "learning_rate": 1e-3,
}

TRIPOD: dict[str, Any] = {
    "latents": "fsq",
    "num_latents": 12,
    "num_categories": 12,
    "multiinformation_weight": 1e-4 * _NUMBERS,
    "hessian_weight": 1e-2 * _NUMBERS,
    "steps": 250_000,
    "batch_size": 64,
    "learning_rate": 2e-4,
}

FACTORQVAE: dict[str, Any] = {
    "latents": "qvae",
    "objective": "factor",
    "num_latents": 12,
    "num_categories": 64,
    # 1e-4 beside 1e-3 of a KL that is a mean over 12 latents; here the sum has weight 1.
    "gamma": 1e-4 / (1e-3 / 12),
    "noise_scale_start": 1.0,
    "noise_scale_end": 1.0,
    "steps": 100_000,
    "batch_size": 256,  # half of their batch is for the discriminator
    "learning_rate": 1e-3,
    "discriminator_learning_rate": 1e-3,
}

PRESETS: dict[str, dict[str, Any]] = {
    "quick": QUICK,
    "paper": PAPER,
    "qlae": QLAE,
    "tripod": TRIPOD,
    "factorqvae": FACTORQVAE,
}


def preset_settings(name: str | None) -> dict[str, Any]:
    """The settings of a preset that differ from the defaults; {} for None.

    Raises:
        ConfigError: there is no such preset.
    """
    if name is None:
        return {}
    if name not in PRESETS:
        names = list(PRESETS)
        raise ConfigError(
            f"no preset is called {name!r}: use {', '.join(names[:-1])} or {names[-1]}"
        )
    return dict(PRESETS[name])


def check_preset_has_data(preset: str | None, settings: Collection[str]) -> None:
    """Raise `ConfigError` if the data set of a preset is left to chance: a paper has many, and
    `settings` does not name one."""
    if preset is not None and "dataset" not in {*preset_settings(preset), *settings}:
        raise ConfigError(
            f"the preset {preset} leaves the data set open: set dataset, such as dsprites or "
            f"shapes3d"
        )


def limits_of(setting: str) -> tuple[float, float] | None:
    """Smallest and largest value of a setting; None if it is not a number. Learning rates must be
    greater than their smallest value, 0."""
    bounds: dict[str, float] = {}
    for constraint in RunConfig.model_fields[setting].metadata:
        for side in ("ge", "gt", "le"):
            if hasattr(constraint, side):
                bounds[side[0]] = getattr(constraint, side)
    return (bounds["g"], bounds["l"]) if bounds else None


def check_log_is_short(config: TrainingConfig) -> None:
    """Raise `ConfigError` if a training would log more than `MAX_ROWS` rows."""
    if config.steps > MAX_ROWS * config.log_every:
        raise ConfigError(
            f"log_every is {config.log_every:,}, but {config.steps:,} steps would then give more "
            f"than {MAX_ROWS:,} points: use at least {ceil(config.steps / MAX_ROWS):,}"
        )


def count_categories(
    num_latents: int, num_categories: int, cardinalities: Sequence[int] = ()
) -> tuple[int, ...]:
    """Number of categories of each latent, (N,): `cardinalities` for the first latents, then K.

    Raises:
        ConfigError: there are more cardinalities than latents, or a number is below 2 or above K.
    """
    if num_categories < 2:
        raise ConfigError(f"num_categories is {num_categories}: give at least 2")
    if len(cardinalities) > num_latents:
        raise ConfigError(
            f"cardinalities has {len(cardinalities)} numbers, but num_latents is {num_latents}: "
            f"give at most one number per latent"
        )
    for latent, cardinality in enumerate(cardinalities):
        if cardinality < 2:
            raise ConfigError(
                f"cardinalities has {cardinality} for latent {latent}: give at least 2"
            )
        if cardinality > num_categories:
            raise ConfigError(
                f"cardinalities has {cardinality} for latent {latent}, but num_categories is "
                f"{num_categories}: raise num_categories to the largest cardinality"
            )
    return (*cardinalities, *[num_categories] * (num_latents - len(cardinalities)))


def describe_category_counts(counts: Sequence[int]) -> str:
    """`K = 64`, or `K = 3, 6, 2 × 32, 5 × 64` if the latents differ, in their order."""
    groups = [(count, len(list(run))) for count, run in groupby(counts)]
    if len(groups) == 1:
        return f"K = {groups[0][0]}"
    return "K = " + ", ".join(
        str(count) if length == 1 else f"{length} × {count}" for count, length in groups
    )


_QUOTE = Repr()
_QUOTE.maxlevel, _QUOTE.maxlist, _QUOTE.maxtuple, _QUOTE.maxdict = 3, 20, 20, 8
_QUOTE.maxstring = _QUOTE.maxlong = _QUOTE.maxother = 80


def explain(error: ValidationError) -> str:
    """The first error of a schema in one line, and the number of further errors."""
    first, *others = error.errors(include_url=False)
    where = ".".join(printable(part) for part in first["loc"])
    found = _QUOTE.repr(first["input"])[:60]
    match first["type"]:
        case "extra_forbidden":
            text = f"unknown setting {where}"
        case "missing":
            text = f"{where} is missing"
        case "greater_than_equal" | "less_than_equal" | "greater_than":
            ((bound, limit),) = first["ctx"].items()
            words = {"ge": "of at least", "le": "of at most", "gt": "greater than"}[bound]
            text = f"{where} is {found}: give a number {words} {limit:,.10g}"
        case _:
            message = first["msg"][0].lower() + first["msg"][1:]
            text = f"{where} is {found}, but {message}"
    return f"{text} (and {len(others)} more)" if others else text
