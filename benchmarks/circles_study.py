"""The MIG of categorical and Gaussian latents over seeds: the tables of docs/results.md.

    python -m dvae_core sweep sweeps/circles.toml
    python -m benchmarks.circles_study runs/circles

Prints the scores of every run of a sweep under the `paper` protocol, and the worst, median and best
MIG of the runs that differ only in their seed.
"""

import argparse
import statistics
import sys
from pathlib import Path

from benchmarks.tables import head, row
from dvae_core.config import RunConfig
from dvae_core.evaluation.results import read_evaluation
from dvae_core.runs.catalog import list_runs
from dvae_core.runs.run import Run

SCORES = ("mig", "kl", "reconstruction")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="folder of the runs")
    runs = list_runs(parser.parse_args().folder)
    if not runs:
        parser.error("that folder has no runs: make them with a sweep")
    scores = ("MIG (paper)", "KL, nats", "reconstruction, nats")
    print(head("settings", "seed", *scores, "seconds"))
    for settings, group in groups(runs).items():
        for run in group:
            values = [f"{score(run, name):.3f}" for name in SCORES]
            print(row(settings, run.record.seed, *values, f"{run.status().seconds:.0f}"))
    for settings, group in groups(runs).items():
        migs = sorted(score(run, "mig") for run in group)
        print(
            f"{settings}: {len(migs)} seeds, MIG worst {migs[0]:.3f}, "
            f"median {statistics.median(migs):.3f}, best {migs[-1]:.3f}"
        )


def groups(runs: list[Run]) -> dict[str, list[Run]]:
    """Runs by the settings in which they differ, apart from the seed; ordered by seed."""
    names = [
        name
        for name in RunConfig.model_fields
        if name != "seed" and len({getattr(run.record, name) for run in runs}) > 1
    ]
    found: dict[str, list[Run]] = {}
    for run in sorted(runs, key=lambda run: run.record.seed):
        settings = ", ".join(f"{name} {getattr(run.record, name)}" for name in names)
        found.setdefault(settings or "all alike", []).append(run)
    return found


def score(run: Run, name: str) -> float:
    """A score under the paper's protocol."""
    found = read_evaluation(run).score(name, "paper")
    if found is None or found.value is None:
        sys.exit(f"{run.path} has no {name}: repeat the sweep, which evaluates what is missing")
    return found.value


if __name__ == "__main__":
    main()
