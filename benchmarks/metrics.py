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
LEAST_SECONDS = 10  # of a metric that gets a row of its own


def main() -> None:
    print(head("what", "seconds"))
    print(
        row(
            "matrix and MIG of 10,000 random codes, 10 latents, 7 factors",
            f"{matrix_seconds():.3f}",
        )
    )
    with tempfile.TemporaryDirectory() as folder:
        run = Run(Path(folder) / "sprites")
        call("train", "--run-dir", str(run.path), "--dataset", "sprites", "--steps", STEPS)
        for metrics in ("fast", "paper"):
            started_at = time.monotonic()
            call("evaluate", str(run.path), "--metrics", metrics)
            taken = time.monotonic() - started_at
            print(row(f"`evaluate --metrics {metrics}`, a new process", f"{taken:.0f}"))
            (run.path / "evaluation.json").rename(run.path / f"{metrics}.json")
        (run.path / "paper.json").rename(run.path / "evaluation.json")
        parts = {score.metric: score.seconds for score in read_evaluation(run).scores}
        for metric, part in parts.items():
            if part >= LEAST_SECONDS:
                print(row(f"&nbsp;&nbsp;of which `{metric}`", f"{part:.0f}"))


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
