"""How long from starting the server to a board that can be slid, in a real browser.

    python -m benchmarks.app_start

The browser is open already and asks as soon as the server answers. The first start of all reads
the libraries from disk and is left out. Needs requirements-dev.txt and Chromium.
"""

import argparse
import statistics
import tempfile
import time

from playwright.sync_api import sync_playwright

from benchmarks.board_latency import served


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--starts", type=int, default=5)
    asked = parser.parse_args()
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as runs:
        chromium = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu"]
        )
        answers: list[float] = []
        boards: list[float] = []
        for _ in range(asked.starts + 1):
            page = chromium.new_page(viewport={"width": 1400, "height": 1000})
            started_at = time.perf_counter()
            with served(runs) as address:
                answers.append(time.perf_counter() - started_at)
                page.goto(address)
                handle = page.locator("[data-testid^=latent-handle-]:visible").first
                handle.wait_for(timeout=60_000)
                boards.append(time.perf_counter() - started_at)
            page.close()
        chromium.close()
    print("| seconds after the start of the server | median | least | most |")
    print("|---|---|---|---|")
    for what, times in (("it answers", answers[1:]), ("the board can be slid", boards[1:])):
        print(f"| {what} | {statistics.median(times):.1f} | {min(times):.1f} | {max(times):.1f} |")


if __name__ == "__main__":
    main()
