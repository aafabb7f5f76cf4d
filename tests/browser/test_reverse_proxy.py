"""The app behind a reverse proxy: below a path, and under another name."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import REPOSITORY, await_server, free_port
from tests.reverse_proxy import reverse_proxy

pytestmark = pytest.mark.browser

# Browsers resolve names below localhost to this machine.
HOST = "hub.localhost"


def start(folder: Path, port: int, *options: str) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "dvae_core", "app", "--port", str(port), *options]
    folders = {"DVAE_RUNS": str(folder / "runs"), "DVAE_DATA": str(folder / "data")}
    with (folder / "log.txt").open("wb") as log:
        return subprocess.Popen(
            command,
            cwd=folder,
            env={
                **os.environ,
                **folders,
                "PYTHONPATH": str(REPOSITORY),
                "STREAMLIT_SERVER_HEADLESS": "true",
            },
            stdout=log,
            stderr=subprocess.STDOUT,
        )


@contextmanager
def proxied(folder: Path, *, strips: bool) -> Iterator[str]:
    """The address of an app behind a proxy, which removes its path or leaves that to the app."""
    path, port = "/lab/dvae", free_port()
    base_path = [] if strips else ["--base-path", path]
    with start(folder, port, "--allow-host", HOST, *base_path) as server:
        try:
            inner = "" if strips else path
            await_server(f"http://127.0.0.1:{port}{inner}", server, folder / "log.txt")
            with reverse_proxy(port, path, strips=strips) as outer:
                yield f"http://{HOST}:{outer}{path}"
        finally:
            server.send_signal(signal.SIGINT)


def test_pages_open_below_the_path_of_a_reverse_proxy(page: Page, tmp_path: Path) -> None:
    with proxied(tmp_path, strips=False) as address:
        page.goto(f"{address}/?run=checkpoints/circles-categorical")
        expect(page.get_by_test_id("latent-board")).to_be_visible()
        image = page.get_by_test_id("stImage").locator("img").first
        expect(image).to_be_visible()
        assert image.evaluate("node => node.naturalWidth") > 0
        page.get_by_test_id("stSidebarNav").get_by_role("link", name="Data").click()
        expect(page.get_by_role("heading", name="All data sets")).to_be_visible()
        assert page.url.startswith(f"{address}/data")


def test_a_page_takes_an_upload_through_a_proxy_that_removes_its_path(
    page: Page, tmp_path: Path
) -> None:
    file = tmp_path / "mine.npz"
    np.savez(file, images=np.random.default_rng(0).integers(0, 255, (6, 32, 32), np.uint8))
    with proxied(tmp_path, strips=True) as address:
        page.goto(f"{address}/data")
        page.get_by_test_id("stFileUploaderDropzoneInput").set_input_files(file)
        expect(page.get_by_text("6 images")).to_be_visible()
