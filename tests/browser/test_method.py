"""Method with the shipped runs, in a real browser."""

import pytest
from playwright.sync_api import Locator, Page, expect

pytestmark = pytest.mark.browser


@pytest.fixture
def method(page: Page, address: str) -> Page:
    page.goto(f"{address}/method?run=checkpoints/circles-categorical")
    expect(page.get_by_text("Disentangling by Factorising")).to_be_visible()
    return page


def test_rotating_both_priors_clips_the_grid_alone(method: Page) -> None:
    def clipped(family: str) -> Locator:
        return method.locator(f".st-key-prior-{family}").get_by_test_id("stMetricValue").first

    slider = method.locator(".st-key-method-angle").get_by_role("slider")
    slider.focus()
    slider.press("Home")
    expect(clipped("categorical")).to_have_text("0.0%")
    for _ in range(6):
        slider.press("ArrowRight")
    expect(slider).to_have_value("30")
    expect(clipped("categorical")).to_have_text("15.6%")
    expect(clipped("gaussian")).to_have_text("0.0%")


def test_the_contents_lead_to_a_section(method: Page) -> None:
    method.get_by_role("link", name="FactorDVAE: asking for independence").click()
    expect(method.get_by_role("heading", name="FactorDVAE")).to_be_in_viewport()


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
