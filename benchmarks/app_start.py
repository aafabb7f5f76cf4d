"""Time from starting the server until the board can be used, in a real browser.

    python -m benchmarks.app_start

The browser is already open and connects as soon as the server answers. The first start, which reads
the libraries from disk, is not counted. Needs requirements-dev.txt and Chromium.
"""

import argparse
import tempfile
import time

from benchmarks.app import chromium, served
from benchmarks.tables import head, row
from benchmarks.timing import summary


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--starts", type=int, default=5)
    asked = parser.parse_args()
    answers: list[float] = []
    boards: list[float] = []
    with chromium() as browser, tempfile.TemporaryDirectory() as runs:
        for _ in range(asked.starts + 1):
            page = browser.new_page(viewport={"width": 1400, "height": 1000})
            started_at = time.perf_counter()
            with served(runs) as address:
                answers.append(time.perf_counter() - started_at)
                page.goto(address)
                handle = page.locator("[data-testid^=latent-handle-]:visible").first
                handle.wait_for(timeout=60_000)
                boards.append(time.perf_counter() - started_at)
            page.close()
    print(head("seconds after the start of the server", "median", "least", "most"))
    print(row("it answers", *summary(answers[1:], 1)))
    print(row("the board can be slid", *summary(boards[1:], 1)))


if __name__ == "__main__":
    main()
