"""Method with the shipped runs, in a real browser."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import REPOSITORY

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def address(
    serve: Callable[[Path, Mapping[str, str]], str], tmp_path_factory: pytest.TempPathFactory
) -> str:
    return serve(REPOSITORY / "app.py", {"DVAE_RUNS": str(tmp_path_factory.mktemp("runs"))})


@pytest.fixture
def method(page: Page, address: str) -> Page:
    page.goto(f"{address}/method?run=checkpoints/circles-categorical")
    expect(page.get_by_text("Disentangling by Factorising")).to_be_visible()
    return page


def test_turning_both_priors_costs_the_grid_alone(method: Page) -> None:
    def kl(family: str) -> str:
        metrics = method.locator(f".st-key-prior-{family}").get_by_test_id("stMetricValue")
        return metrics.first.inner_text()

    slider = method.locator(".st-key-method-angle").get_by_role("slider")
    slider.focus()
    slider.press("Home")
    grid = method.locator(".st-key-prior-categorical").get_by_test_id("stMetricValue").first
    expect(grid).to_have_text("0.000 nats")
    for _ in range(30):
        slider.press("ArrowRight")
    expect(slider).to_have_value("30")
    expect(grid).to_have_text("0.398 nats")
    assert kl("gaussian") == "0.000 nats"


def test_the_page_fits_a_narrow_screen(method: Page) -> None:
    method.set_viewport_size({"width": 390, "height": 900})
    method.wait_for_timeout(500)
    surplus = method.evaluate(
        "(() => { const main = document.querySelector('[data-testid=stMain]');"
        " return main.scrollWidth - main.clientWidth; })()"
    )
    assert surplus <= 0


def test_the_last_link_leads_to_compare(method: Page) -> None:
    method.get_by_test_id("stPageLink").get_by_text("See it on two models").click()
    expect(method.get_by_test_id("board-left")).to_be_visible()
    expect(method.get_by_test_id("board-right")).to_be_visible()
