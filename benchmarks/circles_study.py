"""Do categorical latents lie along the axes where Gaussian ones turn? The quick preset, many seeds.

    python -m benchmarks.circles_study --output runs/circles-study --seeds 10
    python -m benchmarks.circles_study --output runs/soft --seeds 3 -- --sampling soft

Trains both families for each seed, two runs at a time on a core each, and prints the 20-bin MIG.
What is there already is neither trained nor measured again, so that the study can be interrupted.
Flags after `--` go to every training.
"""

import argparse
import statistics
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from dvae_core.evaluation import read_evaluation
from dvae_core.run import Run, State

FAMILIES = ("gaussian", "categorical")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--seeds", type=int, default=10, help="seeds of each family")
    parser.add_argument("--parallel", type=int, default=2, help="runs at a time, a core each")
    parser.add_argument("--families", nargs="+", default=FAMILIES, choices=FAMILIES)
    parser.add_argument("flags", nargs="*", help="settings for every training, after --")
    asked = parser.parse_args()
    jobs = [(family, seed) for seed in range(asked.seeds) for family in asked.families]
    with ThreadPoolExecutor(asked.parallel) as pool:
        runs = list(pool.map(lambda job: measured(asked.output, job[0], job[1], asked.flags), jobs))
    print("| family | seed | MIG (paper) | KL, nats | reconstruction, nats | seconds |")
    print("|---|---|---|---|---|---|")
    for (family, seed), run in zip(jobs, runs, strict=True):
        values = " | ".join(f"{score(run, name):.3f}" for name in ("mig", "kl", "reconstruction"))
        print(f"| {family} | {seed} | {values} | {run.status().seconds:.0f} |")
    for family in asked.families:
        migs = sorted(
            score(run, "mig") for (name, _), run in zip(jobs, runs, strict=True) if name == family
        )
        print(
            f"{family}: {len(migs)} seeds, MIG worst {migs[0]:.3f}, "
            f"median {statistics.median(migs):.3f}, best {migs[-1]:.3f}"
        )


def measured(output: Path, family: str, seed: int, flags: list[str]) -> Run:
    """The run of a family and seed, trained and scored as far as it was not yet."""
    run = Run(output / f"{family}-{seed}")
    command = [sys.executable, "-m", "dvae_core"]
    if not run.path.exists():
        settings = ["--latents", family, "--seed", str(seed), "--threads", "1", *flags]
        call([*command, "train", "--preset", "quick", "--run-dir", str(run.path), *settings])
    elif run.state() is not State.FINISHED:
        call([*command, "resume", str(run.path)])
    call([*command, "evaluate", str(run.path), "--metrics", "mig,kl,reconstruction"])
    return Run(run.path)


def score(run: Run, name: str) -> float:
    """A score of the paper's protocol."""
    found = read_evaluation(run).score(name, "paper")
    assert found is not None
    assert found.value is not None, found.reason
    return found.value


def call(command: list[str]) -> None:
    """Run a command quietly; what it complains of is the reason to stop."""
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command[2:])}: {done.stderr.strip().splitlines()[-1]}")


if __name__ == "__main__":
    main()
