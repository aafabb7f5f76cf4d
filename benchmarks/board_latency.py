"""Time from releasing a handle until the board has the server's answer, in a real browser.

    python -m benchmarks.board_latency [--training]

Uses models of the paper's size (10 latents of 64 categories, 64x64), grey and RGB, after 300 steps
of training (half a minute each), so that the frames are not empty. The browser measures the time
from the pointer's release until the board reports that it shows the answer: the numbers of the new
code and, where the browser does not decode, the frames of every row. With `--training` each model
is measured again during a training with the paper's settings, started as on the page Train.
Needs requirements-dev.txt and Chromium.
"""

import argparse
import itertools
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page, WebSocket

from benchmarks.app import chromium, served
from benchmarks.tables import REPOSITORY, head, row
from benchmarks.timing import summary
from dvae_core.config import RunConfig, available_cores
from dvae_core.jobs import find_training, queue_training, stop_training
from dvae_core.runs.run import Run, State

RUNS = {"grey": "circles", "rgb": "color_sprites"}
# Resolves with the milliseconds from the next release until the new frames are on the screen.
CLOCK = """() => new Promise(resolve => {
    const find = root => {
        for (const element of root.querySelectorAll('*')) {
            if (element.dataset.testid === 'latent-board') return element;
            const inside = element.shadowRoot && find(element.shadowRoot);
            if (inside) return inside;
        }
    };
    const board = find(document);
    let released;
    document.addEventListener('pointerup', () => { released = performance.now(); },
                              {capture: true, once: true});
    let was = board.getAttribute('aria-busy');
    new MutationObserver(() => {
        const busy = board.getAttribute('aria-busy');
        if (was === 'true' && busy === 'false')
            requestAnimationFrame(() => resolve(performance.now() - released));
        was = busy;
    }).observe(board, {attributes: true, attributeFilter: ['aria-busy']});
})"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--releases", type=int, default=20)
    parser.add_argument("--training", action="store_true", help="and again beside a training")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for name, dataset in RUNS.items():
            train(Path(folder) / name, dataset)
        times = ("median, ms", "least, ms", "most, ms")
        with chromium() as browser, served(folder) as address:
            print(head("images", "decoded by", "machine", "releases", *times, "answer, MB"))
            for name, way in itertools.product(RUNS, ("browser", "server")):
                page = browser.new_page(viewport={"width": 1400, "height": 1000})
                if way == "server":
                    page.add_init_script("delete window.Worker")
                received = sizes_received(page)
                page.goto(f"{address}/?run=runs/{name}")
                idle = measure(page, asked.releases, received)
                print(result(name, way, "idle", idle, received))
                if asked.training:
                    with training(Path(folder) / f"beside-{name}-{way}"):
                        busy = measure(page, asked.releases, received)
                    print(result(name, way, "training", busy, received))
                    ratio = statistics.median(busy) / statistics.median(idle)
                    print(row(name, way, "training / idle", "", f"{ratio:.2f}", "", "", ""))
                page.close()


def measure(page: Page, releases: int, received: list[int]) -> list[float]:
    """Milliseconds of each release, after two that are not counted. `received` holds the sizes of
    the messages that answered them."""
    for step in range(2):
        released(page, step)
    received.clear()
    return [released(page, step) for step in range(2, releases + 2)]


def result(name: str, way: str, machine: str, times: list[float], received: list[int]) -> str:
    """A row of the table."""
    largest = f"{max(received) / 1e6:.2f}"
    return row(name, way, machine, len(times), *summary(times, 0), largest)


@contextmanager
def training(path: Path) -> Iterator[None]:
    """Train in the background, with the number of threads that the page Train proposes."""
    config = RunConfig.from_preset("paper", threads=max(1, available_cores() - 1))
    run = Run.create(path, config, (1, 64, 64))
    queue_training(run)
    try:
        deadline = time.monotonic() + 120
        while not find_training(run).step:
            if time.monotonic() > deadline:
                raise TimeoutError(find_training(run).message or "the training did not start")
            time.sleep(0.2)
        yield
        if find_training(run).state is not State.RUNNING:
            raise RuntimeError(f"the training ended early: {find_training(run).message}")
    finally:
        stop_training(run)


def sizes_received(page: Page) -> list[int]:
    """A list to which every message from the server adds its size in bytes."""
    sizes: list[int] = []

    def watch(socket: WebSocket) -> None:
        socket.on("framereceived", lambda data: sizes.append(len(data)))

    page.on("websocket", watch)
    return sizes


def train(path: Path, dataset: str) -> None:
    """Train a run of the paper's size for 300 steps."""
    command = [sys.executable, "-m", "dvae_core", "train", "--run-dir", str(path)]
    command += ["--dataset", dataset, "--steps", "300", "--learning-rate", "1e-3"]
    subprocess.run(command, check=True, capture_output=True, cwd=REPOSITORY)


def released(page: Page, step: int) -> float:
    """Move and release one handle; returns the milliseconds until every row shows new frames."""
    page.wait_for_function("() => document.readyState === 'complete'")
    board = page.get_by_test_id("latent-board")
    board.wait_for(timeout=60_000)
    page.wait_for_timeout(700)  # the effects of the previous release are over
    if step == 0 and (fold := page.get_by_text("inactive latents")).is_visible():
        fold.click()
        page.wait_for_timeout(300)
    handle = page.locator("[data-testid^=latent-handle-]:visible").first
    handle.scroll_into_view_if_needed()
    box = handle.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.evaluate(f"() => {{ window.clocked = ({CLOCK})(); }}")  # not awaited yet
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + (80 if step % 2 else -80), y, steps=4)
    page.mouse.up()
    return float(page.evaluate("() => window.clocked"))


if __name__ == "__main__":
    main()
