"""Time until the command line has printed its help.

    python -m benchmarks.command_line

Each call is a new process. A Python process that does nothing is the baseline.
"""

import argparse
import subprocess
import sys
from functools import partial

from benchmarks.tables import head, row
from benchmarks.timing import seconds, summary


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=int, default=11)
    asked = parser.parse_args()
    calls = {
        "`python -c pass`": ["-c", "pass"],
        "`python -m dvae_core --help`": ["-m", "dvae_core", "--help"],
        "`python -m dvae_core train --help`": ["-m", "dvae_core", "train", "--help"],
    }
    print(head("call", "median seconds", "least", "most"))
    for name, arguments in calls.items():
        call = partial(
            subprocess.run, [sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL
        )
        print(row(name, *summary(seconds(call, asked.calls), 2)))


if __name__ == "__main__":
    main()
