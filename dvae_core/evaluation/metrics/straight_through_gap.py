"""Straight-through gap, a score that needs no labels."""

from dataclasses import dataclass, field

import torch

from dvae_core.data.dataset import Dataset
from dvae_core.errors import EvaluationError, RunError
from dvae_core.evaluation.metric_spec import Measurement, MetricSpec, ScoreSpec, values_or_reasons
from dvae_core.evaluation.representation import draw_batches
from dvae_core.models.vae import VAE, reconstruction_loss
from dvae_core.objectives import Objective
from dvae_core.progress import Progress, no_progress
from dvae_core.regularizers import Regularizers
from dvae_core.runs.run import Run

NUM_BATCHES = 1_000
BATCH_SIZE = 64


@dataclass(frozen=True)
class StraightThroughGap:
    """Change of the loss when only the most likely category is decoded, nats per image.

    Attributes:
        total: change of the whole loss with weighted penalties; None if it cannot be computed.
        reconstruction: change of the reconstruction loss, comparable between objectives.
        undefined: the reason if `total` is None, by its name.
    """

    total: float | None
    reconstruction: float
    undefined: dict[str, str] = field(default_factory=dict)


def straight_through_gap(
    run: Run,
    dataset: Dataset,
    seed: int,
    *,
    num_batches: int = NUM_BATCHES,
    progress: Progress = no_progress,
) -> StraightThroughGap:
    """|mean loss of the mode code - mean loss of the mean code|, both without noise.

    Both losses use the same batches of 64 images (Friede et al. 2023, `eval.py` of the reference
    implementation). Terms of the posterior alone, such as the KL, cancel; the weighted total
    correlation of the factor objective and the regularizers do not. Smaller means more
    disentangled.

    Args:
        run: with model and, for the factor objective, its discriminator.
        dataset: of the run, on the device to compute on.
        seed: of the images.
        num_batches: of 64 images each.
        progress: called with images done.

    Raises:
        EvaluationError: the latents have no soft code of categories, or a loss is not finite.
        RunError: the model cannot be loaded.
    """
    model = run.load_model(dataset.device)
    objective: Objective | None
    undefined = {}
    try:
        objective = run.load_objective(dataset.device)
    except RunError as error:
        objective = None
        undefined["total"] = f"the loss needs the objective, but {error}"
    regularizers = Regularizers(run.record)
    total, reconstruction = gap_of_model(
        model, objective, regularizers, dataset, seed, num_batches, progress
    )
    return StraightThroughGap(None if undefined else total, reconstruction, undefined)


def why_no_gap(model: VAE) -> str:
    """Why a model has no straight-through gap, or "" if it has one."""
    if model.latents.num_categories is None:
        return "Gaussian latents have no categories"
    if model.latents.is_deterministic:
        return "these latents always are a category: there is no soft code to compare it with"
    return ""


def gap_of_model(
    model: VAE,
    objective: Objective | None,
    regularizers: Regularizers | None,
    dataset: Dataset,
    seed: int,
    num_batches: int = NUM_BATCHES,
    progress: Progress = no_progress,
) -> tuple[float, float]:
    """The `straight_through_gap` of a model: of the whole loss, and of the reconstruction loss.
    Without an objective and regularizers they are equal. Arguments and errors as there."""
    generator = torch.Generator(dataset.device).manual_seed(seed)  # of the Hessian's directions
    count = num_batches * BATCH_SIZE
    # Reconstruction loss of the mean and of the mode code, then the penalties of both.
    sums = torch.zeros(4, dtype=torch.float64)
    with torch.inference_mode():
        for _, images in draw_batches(dataset, count, seed, progress, BATCH_SIZE):
            posterior = model.encode(images)
            if lack := why_no_gap(model):
                raise EvaluationError(
                    f"the straight-through gap compares the mean code with the most likely "
                    f"category, but {lack}"
                )
            codes = (posterior.mean_code(), posterior.mode_code())
            losses = [reconstruction_loss(model.decode(code), images).mean() for code in codes]
            penalties = [losses[0].new_zeros(())] * 2
            if objective is not None:
                penalties = [objective.code_penalty(posterior, code) for code in codes]
            if regularizers is not None:
                shape = (len(images), codes[0].shape[1])
                noise = regularizers.noise(shape, generator, images.device)
                penalties = [
                    penalty + regularizers(posterior, code, model.decoder, noise)[0]
                    for penalty, code in zip(penalties, codes, strict=True)
                ]
            losses += penalties
            sums += torch.stack(losses).cpu().double()  # not every accelerator has doubles
    if not sums.isfinite().all():
        raise EvaluationError("a loss is not finite: the model has diverged, train it again")
    soft, hard, soft_penalty, hard_penalty = (sums / num_batches).tolist()
    return abs(hard - soft + hard_penalty - soft_penalty), abs(hard - soft)


SPEC = MetricSpec(
    measure=lambda inputs: Measurement(
        *values_or_reasons(
            straight_through_gap(
                inputs.run,
                inputs.dataset,
                inputs.settings.seed,
                num_batches=inputs.settings.gap_batches,
                progress=inputs.progress,
            ),
            "total",
            "reconstruction",
        )
    ),
    scores=(
        ScoreSpec(
            "straight_through_gap",
            "Straight-through gap, nats",
            "Change of the loss when the most likely category is decoded instead of the mean code.",
            better="lower",
        ),
        ScoreSpec(
            "straight_through_gap_reconstruction",
            "Gap of the reconstruction, nats",
            "Change of the reconstruction loss alone.",
            better="lower",
        ),
    ),
    estimator=lambda inputs: (
        "loss of the most likely category's value against that of the mean code"
    ),
    seconds=30,
    source="Friede et al. 2023",
    needs_factors=False,
    depends_on_protocol=False,
    points=lambda settings: settings.gap_batches * BATCH_SIZE,
)
