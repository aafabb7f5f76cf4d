"""Images per second of every available data set, in batches of 64 at 64x64, and its memory.

    python -m benchmarks.datasets

The originals are measured if their files are present. Each data set runs in a process of its own.
Memory is the growth of the process's anonymous memory from before loading the set until after the
batches; pages of mapped files, which the system can reclaim at any time, do not count.
"""

import subprocess
import sys
import time
from pathlib import Path

import torch

from benchmarks.tables import head, row
from dvae_core.data import dataset_states, load_dataset

SECONDS = 3.0
BATCH_SIZE = 64


def main() -> None:
    if len(sys.argv) > 1:
        measure(sys.argv[1])
        return
    print(head("data set", "images per second", "memory, MB"), flush=True)
    for info in dataset_states():
        if info.state == "ready":
            subprocess.run([sys.executable, "-m", "benchmarks.datasets", info.name], check=True)


def measure(name: str) -> None:
    """Print the row of one data set."""
    generator = torch.Generator().manual_seed(0)
    before = own_memory()
    dataset = load_dataset(name)
    dataset.sample_images(BATCH_SIZE, generator)  # the first batch may prepare something
    count, started_at = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - started_at) < SECONDS:
        dataset.sample_images(BATCH_SIZE, generator)
        count += BATCH_SIZE
    print(row(name, f"{count / elapsed:,.0f}", f"{(own_memory() - before) / 1e6:.0f}"))


def own_memory() -> int:
    """Bytes of anonymous memory of this process."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("/proc/self/status has no RssAnon: run this benchmark on Linux")


if __name__ == "__main__":
    main()
