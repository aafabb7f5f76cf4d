"""Four ways through the app, each with its clicks and its time: writes docs/walkthrough.md.

    python -m benchmarks.walkthrough

A headless Chromium clicks and drags as a person would, on a server without runs or data of its own.
Time counts from the first click of each way to the moment when the result is seen; a person takes
longer to look and to decide. Needs requirements-dev.txt and Chromium.
"""

import argparse
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image, ImageDraw
from playwright.sync_api import Locator, Page, expect

from benchmarks.app import chromium, served
from benchmarks.tables import REPOSITORY, markdown, replace_table

DOCUMENT = REPOSITORY / "docs" / "walkthrough.md"
PICTURES = REPOSITORY / "docs" / "images"
NUM_PICTURES = 200
PATIENCE_MS = 600_000  # until a training has a model


@dataclass
class Way:
    """One way through the app.

    Attributes:
        name: of its pictures and in the table.
        page: of the browser.
        clicks: so far; a drag, a choice of files and a typed name are not clicks.
        started_at: of the first click, on the clock of `time.perf_counter`.
        seconds: until the result was seen.
    """

    name: str
    page: Page
    clicks: int = 0
    started_at: float = field(default_factory=time.perf_counter)
    seconds: float = 0.0

    def click(self, what: Locator) -> None:
        """Click as soon as the element can be clicked."""
        what.click(timeout=PATIENCE_MS)
        self.clicks += 1

    def finish(self) -> None:
        """Take the time and a picture of what is seen now."""
        self.seconds = time.perf_counter() - self.started_at
        path = PICTURES / f"walkthrough-{self.name}.png"
        settled(self.page)
        self.page.screenshot(path=path)
        Image.open(path).convert("RGB").quantize(256).save(path, optimize=True)
        print(f"{self.name}: {self.clicks} clicks, {self.seconds:.1f} s", flush=True)


def main() -> None:
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    with chromium() as browser, tempfile.TemporaryDirectory() as own:
        folders = Path(own, "runs"), Path(own, "data")
        pictures = make_pictures(Path(own, "pictures"))
        with served(str(folders[0]), str(folders[1])) as address:
            ways = []
            for walk in (slide, judge, follow_cell):
                page = browser.new_page(viewport={"width": 1400, "height": 1000})
                ways.append(walk(page, address))
                page.close()
            page = browser.new_page(viewport={"width": 1400, "height": 1000})
            ways.append(bring_pictures(page, address, pictures))
    rows = [["way", "clicks", "seconds"]]
    rows += [[TITLES[way.name], str(way.clicks), f"{way.seconds:.1f}"] for way in ways]
    replace_table(DOCUMENT, "walkthrough", markdown(rows))


TITLES = {
    "slide": "from the address to the first slide",
    "judge": "from Explore to a verdict on Compare",
    "cell": "from a cell of the heat map to its latent, and back to the cell",
    "pictures": f"from {NUM_PICTURES} pictures of one's own to a slid latent, with the training",
}


def slide(page: Page, address: str) -> Way:
    """Open the app and drag the first handle."""
    way = Way("slide", page)
    page.goto(address)
    drag_first(page)
    way.finish()
    return way


def judge(page: Page, address: str) -> Way:
    """Go to Compare and read which run lies nearer to its axes."""
    page.goto(address)
    expect(handles(page).first).to_be_visible(timeout=60_000)
    settled(page)
    way = Way("judge", page)
    way.click(navigation(page, "Compare"))
    expect(page.get_by_test_id("plane-1")).to_be_visible(timeout=120_000)
    way.finish()
    return way


def follow_cell(page: Page, address: str) -> Way:
    """Click a cell of the heat map, slide its latent, and go back to the cell."""
    page.goto(f"{address}/factors")
    cells = page.locator(".js-plotly-plot").first.locator(".hm image")
    expect(cells).to_be_visible(timeout=60_000)
    settled(page)
    box = cells.bounding_box()
    assert box is not None
    way = Way("cell", page)
    page.mouse.click(box["x"] + 20, box["y"] + 20)
    way.clicks += 1
    chosen = page.locator(".st-key-cell")
    way.click(chosen.get_by_role("button", name="in Explore"))
    drag_first(page)
    way.click(navigation(page, "Factors"))
    expect(chosen).to_contain_text("beside", timeout=60_000)
    way.finish()
    return way


def bring_pictures(page: Page, address: str, pictures: list[Path]) -> Way:
    """Import pictures, train on them, and slide a latent of the model while it still trains."""
    page.goto(address)
    expect(handles(page).first).to_be_visible(timeout=60_000)
    settled(page)
    way = Way("pictures", page)
    way.click(navigation(page, "Data"))
    page.locator("input[type=file]").set_input_files(pictures)
    name = page.get_by_role("textbox", name="Name")
    name.fill("mine", timeout=120_000)
    way.click(page.get_by_role("button", name="Import", exact=True))
    way.click(page.get_by_role("button", name="Train on it"))
    way.click(page.get_by_role("button", name="Train", exact=True))
    way.click(page.get_by_role("button", name="Open in Explore"))
    drag_first(page)
    way.finish()
    return way


def drag_first(page: Page) -> None:
    """Drag the first handle sideways, until the image of another code is seen."""
    handle = handles(page).first
    expect(handle).to_be_visible(timeout=60_000)
    image = page.get_by_test_id("latent-image").first
    before = image.get_attribute("data-code")
    box = handle.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 90, y, steps=9)
    page.mouse.up()
    expect(image).not_to_have_attribute("data-code", before or "")


def handles(page: Page) -> Locator:
    """The handles of the latents."""
    return page.locator("[data-testid^=latent-handle-]:visible")


def navigation(page: Page, name: str) -> Locator:
    """The link to a page in the side bar."""
    return page.get_by_test_id("stSidebarNav").get_by_role("link", name=name)


def settled(page: Page) -> None:
    """Wait until no script runs and animations are over."""
    expect(page.get_by_test_id("stStatusWidget")).to_have_count(0, timeout=120_000)
    page.wait_for_timeout(1_000)


def make_pictures(folder: Path) -> list[Path]:
    """Pictures of a square that moves and grows."""
    folder.mkdir()
    paths = []
    for number in range(NUM_PICTURES):
        picture = Image.new("L", (64, 64))
        left, top, side = 4 + number % 10 * 4, 4 + number // 10 % 10 * 4, 8 + number // 100 * 8
        ImageDraw.Draw(picture).rectangle((left, top, left + side, top + side), fill=255)
        paths.append(folder / f"{number:03}.png")
        picture.save(paths[-1])
    return paths


if __name__ == "__main__":
    main()
