"""How long the command line takes to answer with its help.

    python -m benchmarks.command_line

Each call is a new process. A call of Python that does nothing stands beside it.
"""

import argparse
import statistics
import subprocess
import sys
from functools import partial

from benchmarks.timing import seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=int, default=11)
    asked = parser.parse_args()
    calls = {
        "`python -c pass`": ["-c", "pass"],
        "`python -m dvae_core --help`": ["-m", "dvae_core", "--help"],
        "`python -m dvae_core train --help`": ["-m", "dvae_core", "train", "--help"],
    }
    print("| call | median seconds | least | most |")
    print("|---|---|---|---|")
    for name, arguments in calls.items():
        call = partial(
            subprocess.run, [sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL
        )
        times = seconds(call, asked.calls)
        print(f"| {name} | {statistics.median(times):.2f} | {min(times):.2f} | {max(times):.2f} |")


if __name__ == "__main__":
    main()
