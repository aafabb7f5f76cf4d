"""Snapshots of a training: the schedule, the content, and which ones are kept.

Snapshots do not affect the training: they use separate random generators. Their steps depend only
on the config, so that resumed and extended runs have the same ones.
"""

from bisect import bisect_right
from itertools import compress

import numpy as np
import torch

from dvae_core.analysis.traversal import decode_codes, to_pixels, traverse_latent
from dvae_core.data.dataset import Dataset
from dvae_core.errors import EvaluationError, TrainingError
from dvae_core.evaluation.information import measure_information
from dvae_core.evaluation.latent_statistics import ACTIVE_NATS, held_nats, image_information
from dvae_core.evaluation.metrics.mig import mig
from dvae_core.evaluation.metrics.straight_through_gap import (
    BATCH_SIZE,
    gap_of_model,
    why_no_gap,
)
from dvae_core.evaluation.representation import draw_batches
from dvae_core.models.vae import VAE
from dvae_core.objectives import Objective
from dvae_core.regularizers import Regularizers
from dvae_core.runs.run import Run
from dvae_core.runs.snapshot import Snapshot

# The same seed for all runs, so that runs on a data set show the same images.
SEED = 0
NUM_IMAGES = 8
NUM_TRAVERSED = 5
NUM_VALUES = 9

# Few enough to take a small part of the training time (docs/reliability.md), and always the same,
# so that curves reflect the model and not the draw.
POINTS = 2_048
GAP_BATCHES = 6

MAX_KEPT = 40


def scheduled_steps(every: int, last_step: int) -> list[int]:
    """Steps of snapshots from 0 to `last_step`; [] if `every` is 0.

    The interval is `every` steps, or a hundredth of the steps so far if that is more. The steps do
    not depend on the end of the training, so that an extended run continues them.
    """
    steps = []
    step = 0
    while every and step <= last_step:
        steps.append(step)
        step += max(every, step // 100)
    return steps


def kept_steps(scheduled: list[int], step: int) -> set[int]:
    """Snapshots to keep after the one of `step`: every 1st, 2nd, 4th, 8th, .. of the schedule from
    the first on, so that there are at most 40, and the newest."""
    taken = bisect_right(scheduled, step)
    stride = 1
    while len(range(0, taken, stride)) > MAX_KEPT:
        stride *= 2
    return {*scheduled[0:taken:stride], step}


class SnapshotTaker:
    """Takes the snapshots of one training.

    A resumed training takes the snapshot of its first step again, which may be missing.
    """

    def __init__(self, run: Run, model: VAE, objective: Objective, dataset: Dataset) -> None:
        config = run.record
        self._regularizers = Regularizers(config)
        self._run = run
        self._model = model
        self._objective = objective
        self._dataset = dataset
        self._scheduled = scheduled_steps(config.snapshot_every, config.steps)
        self._due = {*self._scheduled, config.steps} if self._scheduled else set()

    def forget_later_than(self, step: int) -> None:
        """Remove snapshots and scores after a step, and scores that will be repeated at it."""
        self._run.scores.truncate(step - 1 if step in self._due else step)
        self._run.remove_snapshots(late for late in self._run.snapshot_steps() if late > step)

    def is_due(self, step: int) -> bool:
        """Whether there is a snapshot at this step."""
        return step in self._due

    def take(self, step: int) -> None:
        """Write the snapshot and the scores of a step, and thin out earlier snapshots.

        Raises:
            TrainingError: a code or KL is not finite.
        """
        try:
            snapshot, scores = take_snapshot(
                self._model, self._objective, self._regularizers, self._dataset, step
            )
        except EvaluationError as error:
            raise TrainingError(f"at step {step}: {error}") from error
        self._run.write_snapshot(snapshot)
        self._run.scores.append(scores)
        kept = kept_steps(self._scheduled, step)
        self._run.remove_snapshots(old for old in self._run.snapshot_steps() if old not in kept)


@torch.inference_mode()
def take_snapshot(
    model: VAE, objective: Objective, regularizers: Regularizers, dataset: Dataset, step: int
) -> tuple[Snapshot, dict[str, float]]:
    """Snapshot and scores of a model after `step` updates, on the same images each time.

    The scores are the MIG of the paper's protocol on `points` images, the straight-through gap,
    with the penalties of the objective and the regularizers, on `gap_points`, and the number of
    latents that hold more than 0.05 nats. Undefined scores are left out.
    """
    factors, codes, kl, usage = _encode(model, dataset)
    held = held_nats(kl, usage if model.latents.is_deterministic else None)
    of_images = image_information(kl, usage, model.latents.category_counts)
    varies = np.ptp(factors, axis=0) > 0
    factor_names, factors = tuple(compress(dataset.factor_names, varies)), factors[:, varies]
    scores: dict[str, float] = {"step": step, "points": POINTS}
    information = np.zeros((len(kl), 0), np.float32)
    factor_entropy = np.zeros(0, np.float32)
    if factor_names:
        measured = measure_information(codes, factors)
        information = measured.matrix.astype(np.float32)
        factor_entropy = measured.factor_entropy.astype(np.float32)
        if len(kl) > 1:
            scores["mig"] = mig(codes, factors)
    if not why_no_gap(model):
        scores["gap_points"] = GAP_BATCHES * BATCH_SIZE
        scores["straight_through_gap"], scores["straight_through_gap_reconstruction"] = (
            gap_of_model(model, objective, regularizers, dataset, SEED, GAP_BATCHES)
        )
    scores["active_latents"] = int((of_images > ACTIVE_NATS).sum())

    images = dataset.sample_images(NUM_IMAGES, torch.Generator(dataset.device).manual_seed(SEED))
    image_codes = model.encode(images).mean_code()
    latents = np.argsort(-held, kind="stable")[:NUM_TRAVERSED].tolist()
    values = [model.latents.traversal_values(latent, NUM_VALUES) for latent in latents]
    traversals = [
        traverse_latent(model, image_codes[0], latent, row)
        for latent, row in zip(latents, values, strict=True)
    ]
    return Snapshot(
        step=step,
        images=to_pixels(images),
        reconstructions=to_pixels(decode_codes(model, image_codes)),
        latents=tuple(latents),
        values=tuple(row.cpu().numpy() for row in values),
        traversals=tuple(to_pixels(row) for row in traversals),
        kl=held.astype(np.float32),
        information=information,
        factor_entropy=factor_entropy,
        factor_names=factor_names,
    ), scores


def _encode(
    model: VAE, dataset: Dataset
) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[np.ndarray] | None]:
    """Factors (points, F), mean codes (points, N), the mean KL of each latent (N,), and the use of
    its categories, N times (K,), or None."""
    factors, codes = [], []
    usage: torch.Tensor | float = 0.0
    kl = torch.zeros(model.latents.num_latents, dtype=torch.float64)
    for batch_factors, images in draw_batches(dataset, POINTS, SEED):
        posterior = model.encode(images)
        factors.append(batch_factors.cpu())
        codes.append(posterior.mean_code().cpu())
        kl += posterior.kl().sum(0).cpu().double()  # not every accelerator has doubles
        probabilities = posterior.probabilities()
        if probabilities is not None:
            usage = usage + probabilities.sum(0).cpu().double() / POINTS
    mean_kl = (kl / POINTS).float().numpy()
    if not np.isfinite(mean_kl).all():
        raise EvaluationError("the KL is not finite: the model has diverged")
    rows = list(usage.numpy()) if isinstance(usage, torch.Tensor) else None
    return torch.cat(factors).numpy(), torch.cat(codes).numpy(), mean_kl, rows
