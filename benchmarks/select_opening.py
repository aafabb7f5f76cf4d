"""Time until Select shows a study, in a real browser on a server that already runs.

    python -m benchmarks.select_opening

From entering the address in a new browser, which has yet to load the frontend of Streamlit, until
the first chart is drawn; and from a change of folder on the page. The very first visit, which
imports the page's libraries, is not counted. Needs requirements-dev.txt and Chromium.
"""

import argparse
import tempfile
import time

from playwright.sync_api import Page

from benchmarks.app import chromium, served
from benchmarks.tables import head, row
from benchmarks.timing import summary
from dvae_core.runs.catalog import STUDIES_ROOT, list_runs

CHART = ".js-plotly-plot .main-svg"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--visits", type=int, default=5)
    asked = parser.parse_args()
    names = sorted(f"studies/{folder.name}" for folder in STUDIES_ROOT.iterdir())
    opened: dict[str, list[float]] = {name: [] for name in names}
    changed: dict[str, list[float]] = {name: [] for name in names}
    with chromium() as browser, tempfile.TemporaryDirectory() as runs, served(runs) as address:
        for visit in range(asked.visits + 1):
            for name, other in zip(names, names[1:] + names[:1], strict=True):
                page = browser.new_page(viewport={"width": 1400, "height": 1000})
                opening = seconds_to_open(page, address, name)
                changing = seconds_to_change(page, other)
                page.close()
                if visit:
                    opened[name].append(opening)
                    changed[other].append(changing)
    print(head("seconds until the first chart", "runs", "new browser: median", "least", "most"))
    for name in names:
        count = str(len(list_runs(STUDIES_ROOT / name.removeprefix("studies/"))))
        print(row(f"{name}, by its address", count, *summary(opened[name], 2)))
        print(row(f"{name}, from another folder", count, *summary(changed[name], 2)))


def seconds_to_open(page: Page, address: str, name: str) -> float:
    """Open Select at a folder by its address, and wait for its first chart."""
    started_at = time.perf_counter()
    page.goto(f"{address}/select?folder={name}")
    page.locator(CHART).first.wait_for(timeout=60_000)
    return time.perf_counter() - started_at


def seconds_to_change(page: Page, name: str) -> float:
    """Choose another folder on the page, and wait until the page is drawn again."""
    page.wait_for_timeout(1_000)
    page.get_by_role("combobox", name="Folder of runs").click()
    started_at = time.perf_counter()
    page.get_by_role("option", name=name).click()
    page.wait_for_function(
        "([name, chart]) => decodeURIComponent(location.search).includes(name)"
        " && document.querySelector(chart)"
        " && !document.querySelector('[data-stale=true]')",
        arg=[name, CHART],
        timeout=60_000,
    )
    return time.perf_counter() - started_at


if __name__ == "__main__":
    main()
