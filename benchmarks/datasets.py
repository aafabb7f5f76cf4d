"""Images a second of every data set that is here, in batches of 64 at 64x64, and their memory.

    python -m benchmarks.datasets

The originals are measured where their files are; the others are always there. Each set has a
process of its own. Memory is what the process holds for itself after the batches, less what it held
before it loaded the set; pages of a mapped file do not count, the system takes them back at will.
"""

import subprocess
import sys
import time
from pathlib import Path

import torch

from dvae_core.data import dataset_states, load_dataset

SECONDS = 3.0
BATCH_SIZE = 64


def main() -> None:
    if len(sys.argv) > 1:
        measure(sys.argv[1])
        return
    print("| data set | images per second | memory, MB |")
    print("|---|---|---|")
    for info in dataset_states():
        if info.state == "ready":
            command = [sys.executable, "-m", "benchmarks.datasets", info.name]
            print(
                subprocess.run(command, check=True, capture_output=True, text=True).stdout, end=""
            )


def measure(name: str) -> None:
    """Print the row of one set."""
    generator = torch.Generator().manual_seed(0)
    before = own_memory()
    dataset = load_dataset(name)
    dataset.sample_images(BATCH_SIZE, generator)  # the first batch may have to prepare something
    count, started_at = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - started_at) < SECONDS:
        dataset.sample_images(BATCH_SIZE, generator)
        count += BATCH_SIZE
    print(f"| {name} | {count / elapsed:,.0f} | {(own_memory() - before) / 1e6:.0f} |")


def own_memory() -> int:
    """Bytes of anonymous memory that this process holds."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("this system does not tell a process's own memory")


if __name__ == "__main__":
    main()
