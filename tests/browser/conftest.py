"""A Streamlit server and a Chromium for the tests of this folder."""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Error, Page, expect, sync_playwright

REPOSITORY = Path(__file__).parents[2]
# The same browser; the first has no window to draw, and runs scripts twice as fast.
CHROMIUMS = ("/usr/bin/chromium-headless-shell", "/usr/bin/chromium")
CHROMIUM = next((path for path in CHROMIUMS if Path(path).exists()), CHROMIUMS[-1])
START_SECONDS = 60
expect.set_options(timeout=60_000)  # milliseconds; a first page load imports much

Serve = Callable[[Path, Mapping[str, str]], str]


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """Start `streamlit run` on an app with extra environment variables; returns its address.

    The servers of a module end with it.
    """
    servers: list[subprocess.Popen[bytes]] = []

    def start(app: Path, env: Mapping[str, str]) -> str:
        port = free_port()
        log = tmp_path_factory.mktemp("server") / "log.txt"
        servers.append(start_server(app, env, port, log))
        return f"http://127.0.0.1:{port}"

    yield start
    for server in servers:
        end_server(server)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The system's Chromium. Where there is none, tests skip; under CI they fail."""
    with sync_playwright() as playwright:
        try:
            chromium = playwright.chromium.launch(
                executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
            )
        except Error as error:
            if os.environ.get("CI"):
                raise
            pytest.skip(f"no Chromium at {CHROMIUM}: {error.message.splitlines()[0]}")
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def window(browser: Browser) -> Iterator[BrowserContext]:
    """A window of 1400 x 1000, whose tabs share what the browser has read once."""
    context = browser.new_context(viewport={"width": 1400, "height": 1000})
    yield context
    context.close()


@pytest.fixture
def page(window: BrowserContext) -> Iterator[Page]:
    """A tab, which the app has not seen before."""
    yield window.new_page()
    for tab in window.pages:
        tab.close()


@pytest.fixture(scope="session")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an app with the shipped runs alone, for tests that make no run."""
    folders = {name: str(tmp_path_factory.mktemp("own")) for name in ("DVAE_RUNS", "DVAE_DATA")}
    port, log = free_port(), tmp_path_factory.mktemp("server") / "log.txt"
    server = start_server(REPOSITORY / "app.py", folders, port, log)
    yield f"http://127.0.0.1:{port}"
    end_server(server)


def free_port() -> int:
    """A port of this machine that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start_server(
    app: Path, env: Mapping[str, str], port: int, log: Path
) -> "subprocess.Popen[bytes]":
    """`streamlit run` on a port, when it answers. Whoever calls this ends it."""
    command = [sys.executable, "-m", "streamlit", "run", str(app)]
    options = {
        "server.port": str(port),
        "server.address": "127.0.0.1",
        "server.headless": "true",
        "server.fileWatcherType": "none",
        "browser.gatherUsageStats": "false",
    }
    for name, value in options.items():
        command += [f"--{name}", value]
    with log.open("wb") as output:
        server = subprocess.Popen(
            command,
            cwd=REPOSITORY,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY), **env},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    await_server(f"http://127.0.0.1:{port}", server, log)
    return server


def end_server(server: "subprocess.Popen[bytes]") -> None:
    """Stop a server, by force where it does not end."""
    server.terminate()
    try:
        server.wait(timeout=10)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


def await_server(address: str, server: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until a server answers; the test fails where it ends or takes too long."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if server.poll() is not None:
            break
        try:
            with urllib.request.urlopen(f"{address}/_stcore/health", timeout=1):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    pytest.fail(f"the server did not start:\n{log.read_text(errors='replace')}")
