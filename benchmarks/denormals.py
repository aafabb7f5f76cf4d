"""Steps of a training with and without denormals, late in a training: the table of
docs/performance.md.

    python -m benchmarks.denormals

Trains one core for some minutes, then times the same steps from the same state in turns.
"""

import statistics
import time
from collections.abc import Mapping
from typing import Any

import torch

from benchmarks.tables import head, row
from dvae_core.config import QUICK, RunConfig
from dvae_core.data import load_dataset
from dvae_core.training.trainer import Training, flushed_denormals, thread_count

STEPS, TIMED_STEPS, ROUNDS = 3_000, 100, 7
TRAININGS: dict[str, dict[str, Any]] = {
    "Gaussian": {"latents": "gaussian"},
    "categorical": {},
    "FSQ without a delay: all images have one code": {"latents": "fsq", "encoder_delay": 0},
}


def main() -> None:
    print(head("training", "ms per step", "with denormals", "ratio"))
    for name, settings in TRAININGS.items():
        with thread_count(1):
            flushed, kept = measured(RunConfig(**{**QUICK, **settings, "device": "cpu"}))
        print(row(name, f"{flushed:.1f}", f"{kept:.1f}", f"{kept / flushed:.2f}"))


def measured(config: RunConfig) -> tuple[float, float]:
    """Median milliseconds of a step without and with denormals, after a training with them."""
    dataset = load_dataset(config.dataset, 32, torch.device("cpu"))
    training = Training(config, dataset, torch.device("cpu"))
    for _ in range(STEPS):
        training.advance()
    state = {name: tensor.clone() for name, tensor in training.state().items()}
    flushed, kept = [], []
    for _ in range(ROUNDS):
        with flushed_denormals():
            flushed.append(_milliseconds(training, state))
        kept.append(_milliseconds(training, state))
    return statistics.median(flushed), statistics.median(kept)


def _milliseconds(training: Training, state: Mapping[str, torch.Tensor]) -> float:
    training.load_state(state)
    started = time.perf_counter()
    for _ in range(TIMED_STEPS):
        training.advance()
    return (time.perf_counter() - started) / TIMED_STEPS * 1e3


if __name__ == "__main__":
    main()
