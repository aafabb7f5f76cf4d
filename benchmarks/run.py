"""Run all benchmarks and write the tables of docs/performance.md.

    python benchmarks/run.py [--write] [--only step,codec] [--peers PYTHON]

Runs the benchmarks one after another, each in a process of its own. With `--write` each result
replaces the table between its two marks in docs/performance.md. Takes about half an hour, during
which nothing else should run on the machine.
"""

import argparse
import datetime
import os
import platform
import re
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # run as a file, not a module

from benchmarks.tables import REPOSITORY, replace_table

DOCUMENT = REPOSITORY / "docs" / "performance.md"
# In the order of the document, with their arguments. Each prints Markdown.
BENCHMARKS: dict[str, list[str]] = {
    "machine": [],
    "step": [],
    "denormals": [],
    "give_way": [],
    "codec": [],
    "command_line": [],
    "app_start": [],
    "select_opening": [],
    "encoded_set": [],
    "images_page": ["--filters", "5"],
    "board_latency": ["--training"],
    "browser_decoder": [],
    "snapshots": [],
    "datasets": [],
    "metrics": [],
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="replace the tables in the document")
    parser.add_argument("--only", default=",".join(BENCHMARKS), help="names, separated by commas")
    parser.add_argument("--peers", default=sys.executable, metavar="PYTHON", help="see step.py")
    asked = parser.parse_args()
    unknown = set(asked.only.split(",")) - BENCHMARKS.keys()
    if unknown:
        parser.error(f"unknown benchmark {min(unknown)}: choose from {', '.join(BENCHMARKS)}")
    failed = False
    for name in BENCHMARKS:
        if name in asked.only.split(","):
            table = machine() if name == "machine" else measured(name, asked.peers)
            print(f"\n## {name}\n\n{table or 'FAILED'}", flush=True)
            failed |= not table
            if asked.write and table:
                replace_table(DOCUMENT, name, table)
    return int(failed)


def machine() -> str:
    """Cores, processor, versions and date."""
    features = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").is_file() else ""
    model = re.search(r"model name\s*: (.*)", features)
    vectors = [name for name in ("avx2", "avx512f", "amx_tile") if f" {name} " in features]
    import torch

    return (
        f"{len(os.sched_getaffinity(0))} cores, {model[1] if model else platform.processor()}, "
        f"{' and '.join(vectors) or 'no vector extensions named'}; Python "
        f"{platform.python_version()}, torch {torch.__version__}; "
        f"{datetime.date.today():%d %B %Y}."
    )


def measured(name: str, peers: str) -> str:
    """The output of a benchmark; "" if it failed."""
    arguments = ["--peers", peers] if name == "step" else BENCHMARKS[name]
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}", *arguments],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        text=True,
    )
    return done.stdout.strip() if done.returncode == 0 else ""


if __name__ == "__main__":
    sys.exit(main())
