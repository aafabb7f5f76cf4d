"""Take the pictures of the app in README.md.

    python -m benchmarks.pictures [--runs FOLDER] [--only explore,train]

Opens the shipped runs in a headless Chromium. The page Train shows the first run of FOLDER that has
snapshots; without one it is left out. Needs requirements-dev.txt and Chromium.
"""

import argparse
import io
import tempfile
from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page

from benchmarks.app import chromium, served
from benchmarks.tables import REPOSITORY
from dvae_core.runs.catalog import list_runs
from ui.run_picker import OPENING_RUN

PICTURES = REPOSITORY / "docs" / "images"
HANDLE = "[data-testid^=latent-handle-]:visible"
FRAMES, FRAME_MS = 40, 90


@dataclass(frozen=True)
class Shot:
    """One picture: the link, the element to wait for, the window size and the colour scheme."""

    link: str
    shows: str
    size: tuple[int, int] = (1400, 1000)
    scheme: str = "light"


SHOTS = {
    "explore": Shot("/", HANDLE),
    "explore-dark": Shot("/", HANDLE, scheme="dark"),
    "compare": Shot("/compare", HANDLE),
    "factors": Shot(f"/factors?run={OPENING_RUN}", ".js-plotly-plot", size=(1400, 900)),
    "latents": Shot(
        f"/latents?run={OPENING_RUN}&latent=6", "[class*=st-key-row-]", size=(1400, 1500)
    ),
    "images": Shot(
        f"/images?run={OPENING_RUN}&where=loss+>=+90%25&sort=-loss",
        "[class*=st-key-nearest-]",
        size=(1400, 1100),
    ),
    "select": Shot("/select?folder=checkpoints", ".js-plotly-plot"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=Path, help="folder of your own runs")
    parser.add_argument("--only", help="names, separated by commas")
    asked = parser.parse_args()
    shots = dict(SHOTS)
    watched = [run for run in list_runs(asked.runs) if run.snapshot_steps()] if asked.runs else []
    if watched:
        shots["train"] = Shot(f"/train?run=runs/{watched[0].id}", ".js-plotly-plot")
    names = asked.only.split(",") if asked.only else [*shots, "drag"]
    with (
        chromium() as browser,
        tempfile.TemporaryDirectory() as empty,
        served(str(asked.runs or empty)) as address,
    ):
        for name in names:
            if name == "drag":
                take_drag(browser, address)
            else:
                take(browser, address, shots[name], PICTURES / f"{name}.png")
            print(f"{name}: taken", flush=True)


def take(browser: Browser, address: str, shot: Shot, path: Path) -> None:
    """Open a page, wait until it is drawn, and save a screenshot."""
    width, height = shot.size
    page = browser.new_page(
        viewport={"width": width, "height": height},
        color_scheme=shot.scheme,  # type: ignore[arg-type]
    )
    page.goto(address + shot.link)
    page.locator(shot.shows).first.wait_for(timeout=120_000)
    _settle(page)
    page.screenshot(path=path)
    page.close()
    # 256 colours look the same here, at a third of the size.
    Image.open(path).convert("RGB").quantize(256).save(path, optimize=True)


def take_drag(browser: Browser, address: str) -> None:
    """Record the first handle while it is dragged to one end and back."""
    page = browser.new_page(viewport={"width": 500, "height": 640})
    page.goto(address)
    handle = page.locator(HANDLE).first
    handle.wait_for(timeout=120_000)
    _settle(page)
    board = page.get_by_test_id("latent-board").first
    box, around = handle.bounding_box(), board.bounding_box()
    track = page.locator("[data-testid^=latent-strip-]:visible").first.bounding_box()
    assert box is not None
    assert around is not None
    assert track is not None
    clip = {"x": around["x"], "y": around["y"], "width": around["width"], "height": 420}
    y = box["y"] + box["height"] / 2
    shares = [place / (FRAMES // 2) for place in range(FRAMES // 2)]
    page.mouse.move(box["x"] + box["width"] / 2, y)
    page.mouse.down()
    frames = []
    for share in [*shares, *(1 - share for share in shares)]:
        page.mouse.move(track["x"] + 12 + share * (track["width"] - 24), y)
        page.wait_for_timeout(30)
        frames.append(Image.open(io.BytesIO(page.screenshot(clip=clip))).convert("RGB"))  # type: ignore[arg-type]
    page.mouse.up()
    page.close()
    small = [frame.quantize(128) for frame in frames]
    path = PICTURES / "drag.gif"
    small[0].save(path, save_all=True, append_images=small[1:], duration=FRAME_MS, loop=0)


def _settle(page: Page) -> None:
    """Wait until no script runs and animations are over."""
    page.wait_for_timeout(1_500)
    page.locator("[data-testid=stStatusWidget]").wait_for(state="hidden", timeout=120_000)
    page.wait_for_timeout(1_500)


if __name__ == "__main__":
    main()
