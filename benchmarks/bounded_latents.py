"""Does a bounded square alone align latents with the factors? A control of docs/method.md.

    python -m benchmarks.bounded_latents runs/bounded --seeds 100 101 --step-sizes 0.0005 0.001
    python -m benchmarks.bounded_latents runs/bounded --seeds {10..19} --step-sizes 0.001

Trains the Gaussian model of the circles study with other latents: continuous in [-1, 1], with a
uniform prior, so that the square of the codes has a border, as a grid has, but no cells. Prints the
scores of each run, and the medians beside those of the study. A run that exists is not repeated.
"""

import argparse
import json
from dataclasses import dataclass
from math import e, log, pi, sqrt
from multiprocessing import get_context
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.special import ndtr, ndtri

from benchmarks.studies import (
    by_family,
    compared,
    correlation_in_words,
    in_words,
    p_in_words,
    values_of,
)
from benchmarks.tables import REPOSITORY, markdown
from dvae_core.config import ModelConfig, RunConfig
from dvae_core.data import load_dataset
from dvae_core.evaluation.catalog import MEANINGS
from dvae_core.evaluation.protocol import evaluate
from dvae_core.models.latents import GaussianLatents, GaussianPosterior
from dvae_core.runs.catalog import STUDIES_ROOT
from dvae_core.runs.run import Run, State
from dvae_core.selection.correlation import rank_correlation
from dvae_core.selection.study import read_study
from dvae_core.sweep.plan import read_sweep
from dvae_core.training.trainer import train

STUDY = "circles_thesis"
SCORES = ("mig", "modularity", "kl", "reconstruction")
# Far below the 0.58 of the prior, so that the first codes already hold information.
FIRST_DEVIATION, LARGEST_DEVIATION = 0.15, 2.0
LEAST_PROBABILITY = 1e-6  # of a tail, so that its quantile is finite


@dataclass(frozen=True)
class BoundedPosterior(GaussianPosterior):
    """q(z_i | x), a normal distribution truncated to [-1, 1], for each of N latents.

    It replaces what trainings and the scores of this control need; `density` is still that of the
    normal, as the prior of `BoundedLatents` is.

    Attributes:
        mean: of the normal before truncation, in [-1, 1]: the mode, (B, N).
        log_variance: of the same, (B, N).
    """

    def mean_code(self) -> Tensor:
        """The mean: (B, N)."""
        return self._moments()[0]

    def code_variance(self) -> Tensor:
        """The variance: (B, N)."""
        return self._moments()[1]

    def sample(
        self,
        generator: torch.Generator | None = None,
        sampling: str = "soft",
        noise: Tensor | None = None,
    ) -> Tensor:
        """The quantile at the probability of standard normal noise: (B, N)."""
        if noise is None:
            noise = torch.empty_like(self.mean).normal_(generator=generator)
        deviation, low, _, mass = self._borders()
        probability = ndtr(low) + ndtr(noise) * mass
        quantile = ndtri(probability.clamp(LEAST_PROBABILITY, 1 - LEAST_PROBABILITY))
        return (self.mean + deviation * quantile).clamp(-1, 1)

    def kl(self) -> Tensor:
        """KL from the uniform distribution on [-1, 1] in nats: (B, N)."""
        deviation, low, high, mass = self._borders()
        entropy = 0.5 * log(2 * pi * e) + (deviation * mass).log()
        return log(2) - entropy - _shrinkage(low, high, mass) / 2

    def _borders(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Deviation, both borders in deviations from the mean, and the mass between them."""
        deviation = (0.5 * self.log_variance).exp()
        low, high = (-1 - self.mean) / deviation, (1 - self.mean) / deviation
        return deviation, low, high, ndtr(high) - ndtr(low)

    def _moments(self) -> tuple[Tensor, Tensor]:
        deviation, low, high, mass = self._borders()
        shift = (_density(low) - _density(high)) / mass
        mean = (self.mean + deviation * shift).clamp(-1, 1)
        relative = 1 + _shrinkage(low, high, mass) - shift.square()
        return mean, deviation.square() * relative


class BoundedLatents(GaussianLatents):
    """N latents in [-1, 1]; uniform prior."""

    def posterior(self, parameters: Tensor, noise_scale: float | Tensor = 1.0) -> BoundedPosterior:
        """The posterior of the encoder's output (B, 2 N). The noise scale has no effect."""
        places, spreads = parameters.chunk(2, dim=1)
        largest = log(LARGEST_DEVIATION)
        log_deviation = largest - F.softplus(largest - log(FIRST_DEVIATION) - spreads)
        return BoundedPosterior(places.tanh(), 2 * log_deviation)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="folder of the runs")
    parser.add_argument("--seeds", type=int, nargs="+", required=True)
    parser.add_argument("--step-sizes", type=float, nargs="+", required=True)
    parser.add_argument("--workers", type=int, default=2)
    asked = parser.parse_args()
    tasks = [(asked.folder, seed, size) for size in asked.step_sizes for seed in asked.seeds]
    with get_context("spawn").Pool(asked.workers) as pool:
        found = pool.starmap(scores_of, tasks, chunksize=1)
    print(markdown(runs_table([(s, size) for _, s, size in tasks], found)))
    if len(asked.step_sizes) == 1:
        print("\n" + markdown(comparison(found)))


def scores_of(folder: Path, seed: int, step_size: float) -> dict[str, float]:
    """Train and evaluate a run, or read the scores of an earlier one; without undefined ones."""
    torch.set_num_threads(1)
    config = gaussian_config(seed, step_size)
    run = Run(folder / f"step-{step_size:g}".replace(".", "p") / f"seed-{seed}")
    scores = run.path.with_suffix(".json")
    if not scores.exists():
        dataset = load_dataset(config.dataset, config.image_size)
        # The configs of runs know the families of the app only.
        with patch("dvae_core.models.vae.build_latents", _bounded):
            if not run.path.exists():
                run = Run.create(run.path, config, dataset.image_shape)
            if run.state() is not State.FINISHED:
                train(run)
            measured = evaluate(run, dataset, "paper", SCORES).scores
        found = {s.name: s.value for s in measured if s.name in SCORES and s.value is not None}
        scores.write_text(json.dumps(found))
    read: dict[str, float] = json.loads(scores.read_text())
    return read


def gaussian_config(seed: int, step_size: float) -> RunConfig:
    """That of a Gaussian run of the study."""
    planned = read_sweep(REPOSITORY / "sweeps" / f"{STUDY}.toml").runs
    config = next(run.config for run in planned if run.config.latents == "gaussian")
    return config.model_copy(update={"seed": seed, "learning_rate": step_size})


def runs_table(runs: list[tuple[int, float]], scores: list[dict[str, float]]) -> list[list[str]]:
    """A row for each run, with its loss."""
    rows = [["seed", "step size", "MIG", "KL, nats", "reconstruction, nats", "loss, nats"]]
    for (seed, size), found in zip(runs, scores, strict=True):
        kl, reconstruction = found["kl"], found["reconstruction"]
        nats = (f"{value:.2f}" for value in (kl, reconstruction, kl + reconstruction))
        rows.append([str(seed), f"{size:g}", f"{found['mig']:.3f}", *nats])
    return rows


def comparison(scores: list[dict[str, float]]) -> list[list[str]]:
    """Medians of these runs and of both families of the study, the p-values of the Mann-Whitney
    tests against both, and the rank correlation of MIG and KL in each."""
    families = by_family(read_study(STUDIES_ROOT / STUDY, "paper"))
    groups: list[dict[str, list[float]]] = [
        {name: [found[name] for found in scores if name in found] for name in SCORES},
        *({name: values_of(runs, name) for name in SCORES} for runs in families.values()),
    ]
    rows = [["score", "bounded: median (95 %)", *families, *(f"p, {name}" for name in families)]]
    for name in SCORES:
        own, *others = (group[name] for group in groups)
        medians = (in_words(values, name) for values in (own, *others))
        tests = (p_in_words(compared(own, values)[1]) for values in others)
        rows.append([MEANINGS[name].label, *medians, *tests])
    trends = (
        correlation_in_words(rank_correlation(np.array(group["mig"]), np.array(group["kl"])))
        for group in groups
    )
    return [*rows, ["rho of MIG and KL (95 %)", *trends, *[""] * len(families)]]


def _bounded(config: ModelConfig) -> BoundedLatents:
    return BoundedLatents(config.num_latents)


def _shrinkage(low: Tensor, high: Tensor, mass: Tensor) -> Tensor:
    """What the borders take from the second moment about the mean, in squared deviations."""
    return (low * _density(low) - high * _density(high)) / mass


def _density(at: Tensor) -> Tensor:
    """Of the standard normal distribution."""
    return (-0.5 * at.square()).exp() / sqrt(2 * pi)


if __name__ == "__main__":
    main()
