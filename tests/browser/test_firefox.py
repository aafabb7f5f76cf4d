"""The latent board in Firefox, driven over WebDriver BiDi; skipped where no Firefox is installed.

Playwright drives only its own build of Firefox, which it would have to download.
Source: the specification, w3c.github.io/webdriver-bidi.
"""

import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import ClientConnection, connect

from tests.browser.conftest import free_port

pytestmark = pytest.mark.browser

FIREFOX = shutil.which("firefox-esr") or shutil.which("firefox")
PATIENCE_SECONDS = 90
# What a board shows: it lies in shadow trees.
LOOK = """(() => {
    const found = (root, name) => {
        for (const node of root.querySelectorAll("*")) {
            if (node.dataset?.testid === name) return node;
            const inside = node.shadowRoot && found(node.shadowRoot, name);
            if (inside) return inside;
        }
    };
    const image = found(document, "latent-image");
    const handle = found(document, "latent-handle-0");
    if (!image?.dataset.code || !handle) return null;
    const { left, top, width, height } = handle.getBoundingClientRect();
    const [x, y] = [left + width / 2, top + height / 2].map(Math.round);
    return JSON.stringify({ code: image.dataset.code, pixels: image.toDataURL(), x, y });
})()"""


class Tab:
    """One tab of a browser that speaks BiDi."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket, self._numbers = socket, count(1)
        self.ask("session.new", capabilities={})
        tree = self.ask("browsingContext.getTree")
        self._context = tree["contexts"][0]["context"]

    def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command and wait for its result; events in between are ignored."""
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            answer = json.loads(self._socket.recv(PATIENCE_SECONDS))
            if answer.get("id") == number:
                assert answer["type"] == "success", answer
                result: dict[str, Any] = answer["result"]
                return result

    def open(self, address: str) -> None:
        viewport = {"width": 1400, "height": 1000}
        self.ask("browsingContext.setViewport", context=self._context, viewport=viewport)
        self.ask("browsingContext.navigate", context=self._context, url=address, wait="complete")

    def look(self) -> dict[str, Any] | None:
        """What the board shows: code, pixels, and where its first handle is; None before that."""
        answer = self.ask(
            "script.evaluate",
            expression=LOOK,
            target={"context": self._context},
            awaitPromise=False,
        )
        value = answer["result"].get("value")
        return json.loads(value) if value else None

    def point(self, *actions: dict[str, Any]) -> None:
        pointer = {"type": "pointer", "id": "mouse", "actions": list(actions)}
        self.ask("input.performActions", context=self._context, actions=[pointer])


def settled(tab: Tab) -> dict[str, Any] | None:
    """What the board shows once its first handle stays in place: late parts of the page move it."""
    before = tab.look()
    time.sleep(0.5)
    after = tab.look()
    return after if after == before else None


def wait_for(condition: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return found


@pytest.fixture
def firefox(tmp_path: Path) -> Iterator[Tab]:
    if FIREFOX is None:
        pytest.skip("no Firefox is installed")
    port = free_port()
    command = [FIREFOX, "--headless", "--profile", str(tmp_path)]
    command += ["--remote-debugging-port", str(port), "about:blank"]
    with ExitStack() as stack:
        browser = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        stack.callback(browser.wait)
        stack.callback(browser.terminate)

        def connected() -> ClientConnection | None:
            try:
                address = f"ws://127.0.0.1:{port}/session"
                return stack.enter_context(connect(address, max_size=None, proxy=None))
            except OSError:
                assert browser.poll() is None
                return None

        yield Tab(wait_for(connected))


def test_a_handle_is_dragged_and_the_image_follows(firefox: Tab, address: str) -> None:
    firefox.open(f"{address}/?run=checkpoints/circles-categorical")
    start = wait_for(lambda: settled(firefox))
    x, y = start["x"], start["y"]
    firefox.point(
        {"type": "pointerMove", "x": x, "y": y},
        {"type": "pointerDown", "button": 0},
        {"type": "pointerMove", "x": x + 60, "y": y, "duration": 200},
        {"type": "pointerMove", "x": x + 120, "y": y, "duration": 200},
    )
    held = firefox.look()
    assert held is not None
    assert held["code"] != start["code"]
    assert held["pixels"] != start["pixels"]
    firefox.point({"type": "pointerUp", "button": 0})
    released = firefox.look()
    assert released is not None
    assert released["code"] == held["code"]
    assert float(released["code"].split(",")[0]) > float(start["code"].split(",")[0])
