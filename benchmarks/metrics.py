"""Time of the metrics on `sprites`, 64x64, 10 latents of 64 categories.

    python -m benchmarks.metrics

Trains for 300 steps, then evaluates each set of metrics in a new process, as the app does. Exact
DCI takes most of the time.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.tables import head, row
from benchmarks.timing import seconds
from dvae_core.evaluation.metrics.mig import mig
from dvae_core.evaluation.results import read_evaluation
from dvae_core.runs.run import Run

STEPS = "300"


def main() -> None:
    print(head("what", "seconds"))
    print(row("matrix and MIG of 10,000 codes, 10 latents, 7 factors", f"{matrix_seconds():.3f}"))
    with tempfile.TemporaryDirectory() as folder:
        run = Run(Path(folder) / "sprites")
        call("train", "--run-dir", str(run.path), "--dataset", "sprites", "--steps", STEPS)
        for label, metrics in (("quick set", "fast"), ("six of the paper", "paper")):
            started_at = time.monotonic()
            call("evaluate", str(run.path), "--metrics", metrics)
            print(row(label, f"{time.monotonic() - started_at:.0f}"))
            (run.path / "evaluation.json").rename(run.path / f"{metrics}.json")
        (run.path / "paper.json").rename(run.path / "evaluation.json")
        taken = {score.metric: score.seconds for score in read_evaluation(run).scores}
        for metric, seconds_taken in taken.items():
            print(row(f"&nbsp;&nbsp;of which `{metric}`", f"{seconds_taken:.1f}"))


def matrix_seconds() -> float:
    """The least time of twenty calls of `mig`."""
    random = np.random.default_rng(0)
    codes, factors = random.normal(size=(10_000, 10)), random.integers(10, size=(10_000, 7))
    return min(seconds(lambda: mig(codes, factors), 20))


def call(*arguments: str) -> None:
    """Run a command of the package."""
    subprocess.run([sys.executable, "-m", "dvae_core", *arguments], check=True, capture_output=True)


if __name__ == "__main__":
    main()
