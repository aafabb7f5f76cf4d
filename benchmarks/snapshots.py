"""What the snapshots of a training cost, as a share of its time.

    python -m benchmarks.snapshots

Times one step and one snapshot, written to a disk, in processor seconds of one thread, and reckons
with the steps and snapshots of a whole training.
"""

import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import torch

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
    print("| training | steps | step, ms | snapshot, ms | taken | kept | MB | share of the time |")
    print("|---|---|---|---|---|---|---|---|")
    for name, preset, settings in CASES:
        config = RunConfig.from_preset(preset, threads=1, device="cpu", **settings)
        with tempfile.TemporaryDirectory() as folder, thread_count(1):
            print(f"| {name} | {config.steps:,} {_measure(config, Path(folder))}")


def _measure(config: RunConfig, folder: Path) -> str:
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
        f"| {1e3 * step_seconds:.1f} | {1e3 * snapshot_seconds:.0f} | {len(scheduled)} | {kept} "
        f"| {kept * size / 1e6:.1f} | {share:.1%} |"
    )


if __name__ == "__main__":
    main()
