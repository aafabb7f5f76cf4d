"""Nothing of a stranger makes the browser ask another host."""

import shutil

import pytest
from playwright.sync_api import Page, expect

from dvae_core.runs.catalog import SHIPPED_ROOT
from dvae_core.runs.names import name_latent
from dvae_core.runs.run import Run
from tests.browser.conftest import REPOSITORY, Serve

pytestmark = pytest.mark.browser

HOSTILE = "![i](http://outside.example/i.png) http://outside.example/p"


@pytest.fixture(scope="module")
def hostile_app(serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of an app with a run whose texts try to load something from elsewhere."""
    folder = tmp_path_factory.mktemp("hostile")
    run = Run(shutil.copytree(SHIPPED_ROOT / "circles-categorical", folder / "runs" / "stranger"))
    run.write_notes("![i](http://outside.example/j.png)", HOSTILE)
    name_latent(run, 0, HOSTILE, note=HOSTILE)
    folders = {"DVAE_RUNS": str(folder / "runs"), "DVAE_DATA": str(folder / "data")}
    return serve(REPOSITORY / "app.py", folders)


def test_no_request_leaves_for_another_host(hostile_app: str, page: Page) -> None:
    asked: set[str] = set()
    blocked: list[str] = []
    page.on("request", lambda request: asked.add(request.url))
    page.on(
        "console",
        lambda said: blocked.append(said.text) if "Content Security Policy" in said.text else None,
    )
    for name in ("explore", "train"):
        page.goto(f"{hostile_app}/{'' if name == 'explore' else name}?run=runs/stranger")
        if name == "explore":
            expect(page.get_by_test_id("latent-row-0")).to_contain_text("outside.example")
        expect(page.get_by_test_id("stStatusWidget")).to_have_count(0)
        page.wait_for_load_state("networkidle")
    assert not page.get_by_role("link", name="outside.example").count()
    assert not [url for url in asked if not url.startswith((f"{hostile_app}/", "data:", "blob:"))]
    assert not blocked


def test_the_policy_of_the_pages_stops_an_image_of_another_host(
    hostile_app: str, page: Page
) -> None:
    """Which a text would load that became markup all the same."""
    page.goto(hostile_app)
    stopped = page.evaluate(
        """() => new Promise(done => {
            document.addEventListener("securitypolicyviolation", event => done(event.blockedURI));
            const image = new Image();
            image.onload = image.onerror = () => setTimeout(done, 1000, "");
            image.src = "http://outside.example/i.png";
        })"""
    )
    assert stopped == "http://outside.example/i.png"
