"""The share of the training time that snapshots take.

    python -m benchmarks.snapshots

Times one step and one snapshot (including writing it) in CPU seconds of one thread, and multiplies
by the number of steps and snapshots of a whole training.
"""

import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import torch

from benchmarks.tables import head, row
from benchmarks.timing import seconds
from dvae_core.config import RunConfig
from dvae_core.data import load_dataset
from dvae_core.runs.run import Run
from dvae_core.system.memory import keep_freed_memory
from dvae_core.training.snapshots import SnapshotTaker, kept_steps, scheduled_steps
from dvae_core.training.trainer import Training, thread_count

SPRITES: dict[str, Any] = {"dataset": "sprites"}
CASES: list[tuple[str, str | None, dict[str, Any]]] = [
    ("quick preset", "quick", {}),
    ("quick preset, Gaussian", "quick", {"latents": "gaussian"}),
    ("paper preset on sprites", "paper", SPRITES),
    ("the same, factor objective", "paper", SPRITES | {"objective": "factor"}),
    ("the same, Gaussian", "paper", SPRITES | {"latents": "gaussian"}),
    ("paper preset on rooms", "paper", {"dataset": "rooms"}),
    ("the same, 4,000 steps", "paper", {"dataset": "rooms", "steps": 4_000}),
]


def main() -> None:
    keep_freed_memory()
    milliseconds = ("step, ms", "snapshot, ms")
    print(head("training", "steps", *milliseconds, "taken", "kept", "MB", "share of the time"))
    for name, preset, settings in CASES:
        config = RunConfig.from_preset(preset, threads=1, device="cpu", **settings)
        with tempfile.TemporaryDirectory() as folder, thread_count(1):
            print(row(name, f"{config.steps:,}", *_measure(config, Path(folder))))


def _measure(config: RunConfig, folder: Path) -> tuple[str, ...]:
    dataset = load_dataset(config.dataset, config.image_size)
    training = Training(config, dataset, torch.device("cpu"))
    run = Run.create(folder / "run", config, dataset.image_shape)
    taker = SnapshotTaker(run, training.model, training.objective, dataset)
    step_seconds = median(seconds(training.advance, 20, 2, time.process_time))
    snapshot_seconds = median(seconds(lambda: taker.take(0), 5, 2, time.process_time))
    scheduled = scheduled_steps(config.snapshot_every, config.steps)
    kept = len(kept_steps(scheduled, config.steps))
    size = next((run.path / "snapshots").iterdir()).stat().st_size
    spent = len(scheduled) * snapshot_seconds
    share = spent / (spent + config.steps * step_seconds)
    return (
        f"{1e3 * step_seconds:.1f}",
        f"{1e3 * snapshot_seconds:.0f}",
        f"{len(scheduled)}",
        f"{kept}",
        f"{kept * size / 1e6:.1f}",
        f"{share:.1%}",
    )


if __name__ == "__main__":
    main()
