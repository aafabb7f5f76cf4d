"""A training from an empty folder to Explore, in a real browser, whatever happens to the server."""

import os
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from dvae_core.jobs import find_training, stop_training
from dvae_core.runs.catalog import list_runs
from dvae_core.runs.run import Run, State
from tests.browser.conftest import REPOSITORY, free_port, start_server

pytestmark = pytest.mark.browser

SETTINGS = {
    "Steps": 600,
    "Threads": 1,
    "Snapshot every": 50,
    "Batch size": 16,
    "Checkpoint seconds": 1,
}
PATIENCE = 400_000  # milliseconds; a busy machine trains ten times slower


@pytest.fixture
def runs(tmp_path: Path) -> Iterator[Path]:
    """A folder that is no more trained in when the test ends."""
    folder = tmp_path / "runs"
    yield folder
    for run in list_runs(folder):
        stop_training(run)


@pytest.fixture
def restart(runs: Path, tmp_path: Path) -> Iterator[Callable[[], str]]:
    """Start the server, or kill it and start another one in its place; returns its address."""
    port = free_port()
    servers: list[subprocess.Popen[bytes]] = []

    def end() -> None:
        for server in servers:
            server.kill()
            server.wait()

    def start() -> str:
        end()
        env = {"DVAE_RUNS": str(runs)}
        servers.append(start_server(REPOSITORY / "app.py", env, port, tmp_path / "server.txt"))
        return f"http://127.0.0.1:{port}"

    yield start
    end()


def progress(page: Page) -> Locator:
    return page.get_by_test_id("stProgress").first


def step(page: Page) -> int:
    found = re.search(r"step ([\d,]+) of", progress(page).inner_text())
    assert found is not None
    return int(found[1].replace(",", ""))


def curve(page: Page) -> str:
    line = page.locator(".st-key-train-curve-reconstruction .scatterlayer path.js-line").first
    return line.get_attribute("d", timeout=PATIENCE) or ""


def heat_map(page: Page) -> list[str]:
    cells = page.locator(".st-key-train-information .textpoint text")
    cells.first.wait_for(timeout=PATIENCE)
    return cells.all_text_contents()


def wait_until(page: Page, has_changed: Callable[[], bool]) -> None:
    for _ in range(PATIENCE // 250):
        if has_changed():
            return
        page.wait_for_timeout(250)
    pytest.fail(f"nothing changed: {progress(page).inner_text()}")


@pytest.mark.timeout(900)
def test_a_training_outlives_tab_and_server_and_ends_in_explore(
    page: Page, restart: Callable[[], str], runs: Path
) -> None:
    page.set_default_timeout(PATIENCE)
    address = restart()
    page.goto(f"{address}/train")
    expect(page.get_by_role("button", name="Train a first model")).to_be_visible(timeout=PATIENCE)
    page.get_by_role("button", name="Choose the settings first").click()
    page.get_by_text("Advanced").click()
    for label, value in SETTINGS.items():
        box = page.get_by_role("textbox", name=label, exact=True)
        box.fill(str(value))
        box.press("Enter")
        expect(box).to_have_value(str(value))
    page.get_by_role("button", name="Train", exact=True).click()

    expect(progress(page)).to_contain_text("running", timeout=PATIENCE)
    (run,) = list_runs(runs)
    first_curve, first_heat_map = curve(page), heat_map(page)
    wait_until(page, lambda: curve(page) != first_curve)
    wait_until(page, lambda: heat_map(page) != first_heat_map)

    # Without a reload, as soon as there is a model.
    expect(page.get_by_role("button", name="Open in Explore")).to_be_visible(timeout=PATIENCE)

    # Held up, so that a quick machine does not end it while its server is away.
    trainer = run.status().process
    assert trainer is not None
    os.kill(trainer.pid, signal.SIGSTOP)
    page.reload()
    expect(progress(page)).to_contain_text("running", timeout=PATIENCE)
    reached = step(page)
    restart()
    assert find_training(run).state is State.RUNNING
    page.goto(page.url)
    expect(progress(page)).to_contain_text("running", timeout=PATIENCE)
    os.kill(trainer.pid, signal.SIGCONT)
    wait_until(page, lambda: step(page) > reached)

    page.get_by_role("button", name="Stop training").click()
    expect(progress(page)).to_contain_text("stopped", timeout=PATIENCE)
    stopped_at = step(page)
    assert 0 < stopped_at < SETTINGS["Steps"]
    page.get_by_role("button", name="Resume").click()
    expect(progress(page)).to_contain_text("finished · step 600 of 600", timeout=PATIENCE)
    steps = [row["step"] for row in Run(run.path).metrics.read()]
    assert steps == sorted(set(steps))

    page.get_by_role("button", name="Open in Explore").click()
    expect(page.get_by_test_id("latent-board")).to_be_visible(timeout=PATIENCE)
    assert run.id in page.url
