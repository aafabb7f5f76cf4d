"""How long from letting go of a handle to new frames on every row, in a real browser.

    python -m benchmarks.board_latency [--training]

Models of the paper's size (10 latents of 64 categories, 64x64), grey and RGB, trained for 300 steps
(half a minute each), so that there is something in their frames. The time runs in the browser, from
the pointer's release to the moment when the board says that it shows the new frames. With
`--training` each is measured a second time beside a training of the paper's settings, which is
started as the page Train starts it. Needs requirements-dev.txt and Chromium.
"""

import argparse
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page, WebSocket, sync_playwright

from benchmarks.tables import REPOSITORY
from dvae_core.config import RunConfig, available_cores
from dvae_core.jobs import find_training, queue_training, stop_training
from dvae_core.runs.run import Run, State

RUNS = {"grey": "circles", "rgb": "color_sprites"}
# Resolves with the milliseconds from the next release to the answer on the screen.
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
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        for name, dataset in RUNS.items():
            train(Path(folder) / name, dataset)
        chromium = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu"]
        )
        with served(folder) as address:
            print(
                "| images | machine | releases | median, ms | least, ms | most, ms | frames, MB |"
            )
            print("|---|---|---|---|---|---|---|")
            for name in RUNS:
                page = chromium.new_page(viewport={"width": 1400, "height": 1000})
                received = sizes_received(page)
                page.goto(f"{address}/?run=runs/{name}")
                idle = measure(page, asked.releases)
                report(name, "idle", idle, received)
                if asked.training:
                    with training(Path(folder) / f"beside-{name}"):
                        busy = measure(page, asked.releases)
                    report(name, "training", busy, received)
                    ratio = statistics.median(busy) / statistics.median(idle)
                    print(f"| {name} | training / idle | | {ratio:.2f} | | | |")
                page.close()
        chromium.close()


def measure(page: Page, releases: int) -> list[float]:
    """Milliseconds of each release, two to warm up left out."""
    return [released(page, step) for step in range(releases + 2)][2:]


def report(name: str, machine: str, times: list[float], received: list[int]) -> None:
    """Print a row of the table."""
    print(
        f"| {name} | {machine} | {len(times)} | {statistics.median(times):.0f} | {min(times):.0f} "
        f"| {max(times):.0f} | {max(received) / 1e6:.2f} |"
    )


@contextmanager
def training(path: Path) -> Iterator[None]:
    """A training that runs meanwhile, with the threads that the form of Train proposes."""
    config = RunConfig.from_preset("paper", threads=max(1, available_cores() - 1))
    run = Run.create(path, config, (1, 64, 64))
    queue_training(run)
    try:
        deadline = time.monotonic() + 120
        while not find_training(run).step:
            if time.monotonic() > deadline:
                raise TimeoutError(find_training(run).message or "the training did not begin")
            time.sleep(0.2)
        yield
        if find_training(run).state is not State.RUNNING:
            raise RuntimeError(f"the training ended meanwhile: {find_training(run).message}")
    finally:
        stop_training(run)


def sizes_received(page: Page) -> list[int]:
    """A list that grows by the bytes of every message from the server."""
    sizes: list[int] = []

    def watch(socket: WebSocket) -> None:
        socket.on("framereceived", lambda data: sizes.append(len(data)))

    page.on("websocket", watch)
    return sizes


def train(path: Path, dataset: str) -> None:
    """A run of the paper's size after a short training."""
    command = [sys.executable, "-m", "dvae_core", "train", "--run-dir", str(path)]
    command += ["--dataset", dataset, "--steps", "300", "--learning-rate", "1e-3"]
    subprocess.run(command, check=True, capture_output=True, cwd=REPOSITORY)


@contextmanager
def served(runs: str) -> Iterator[str]:
    """The app over a folder of runs; its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "streamlit",
            "run",
            "app.py",
            "--server.port",
            str(port),
            "--server.headless",
            "true",
        ],
        cwd=REPOSITORY,
        env={**os.environ, "DVAE_RUNS": runs},
        stdout=subprocess.DEVNULL,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                urllib.request.urlopen(f"{address}/_stcore/health", timeout=1).close()
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)
        yield address
    finally:
        server.terminate()
        server.wait()


def released(page: Page, step: int) -> float:
    """Move one handle and let it go; milliseconds until every row shows new frames."""
    page.wait_for_function("() => document.readyState === 'complete'")
    board = page.get_by_test_id("latent-board")
    board.wait_for(timeout=60_000)
    page.wait_for_timeout(700)  # whatever the release before set going is over
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
