"""Time until Images shows the table of 10,000 encoded images of 64x64, and until a filter answers.

    python -m benchmarks.images_page

In a real browser on a server that already runs and has shown 1,000 images of the run. Opening:
from the address in a browser that has read the frontend, with the images to be encoded, and again
with the codes in memory. Filter: from the key press that ends a condition. Needs Chromium and the
packages of requirements-dev.txt.
"""

import argparse
import tempfile
import time

from playwright.sync_api import Page

from benchmarks.app import chromium, served
from benchmarks.tables import head, row
from benchmarks.timing import summary

RUNS = ("rooms-categorical", "sprites-categorical")
FIRST_SHARE = 10  # % of the images that the first filter leaves


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--filters", type=int, default=8)
    asked = parser.parse_args()
    print(head("what", "seconds: median", "least", "most"))
    with chromium() as browser, tempfile.TemporaryDirectory() as empty:
        for run in RUNS:
            with tempfile.TemporaryDirectory() as data, served(empty, data) as address:
                page = browser.new_page(viewport={"width": 1400, "height": 1000})
                link = f"{address}/images?run=checkpoints/{run}"
                _opening(page, f"{link}&count=1000")  # reads libraries, model and data set
                page.wait_for_timeout(3_000)
                _report(f"{run}: encode 10,000 images and open the table", [_opening(page, link)])
                again = [_opening(page, link) for _ in range(5)]
                _report(f"{run}: open it again", again)
                for part in ("table", "map"):
                    counted, drawn = _filters(page, f"{link}&part={part}", asked.filters)
                    _report(f"{run}: filter, until the slice is counted, {part}", counted)
                    _report(f"{run}: filter, until all is drawn, {part}", drawn)
                page.close()


def _opening(page: Page, link: str) -> float:
    """Until the table is drawn."""
    started_at = time.perf_counter()
    page.goto(link)
    page.get_by_test_id("stDataFrame").wait_for(timeout=120_000)
    return time.perf_counter() - started_at


def _filters(page: Page, link: str, count: int) -> tuple[list[float], list[float]]:
    """From a change of the share of the worst images until the page counts them, and until it has
    drawn them and everything else."""
    page.goto(f"{link}&where=loss >= {100 - FIRST_SHARE}%25")
    field = page.get_by_label("Value 1")
    field.wait_for(timeout=60_000)
    counted, drawn = [], []
    for share in range(FIRST_SHARE + 1, FIRST_SHARE + 1 + count):
        page.wait_for_timeout(1_000)
        field.fill(str(share))
        started_at = time.perf_counter()
        field.press("Enter")
        page.get_by_text(f"{100 * share:,} of 10,000 images").wait_for(timeout=30_000)
        counted.append(time.perf_counter() - started_at)
        page.wait_for_function("() => !document.querySelector('[data-stale=true]')")
        drawn.append(time.perf_counter() - started_at)
    return counted, drawn


def _report(what: str, times: list[float]) -> None:
    print(row(what, *summary(times, 2)), flush=True)


if __name__ == "__main__":
    main()
