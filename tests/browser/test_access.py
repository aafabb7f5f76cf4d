"""What everyone needs of a page: contrast in both themes, headings, keyboard, narrow windows."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

pytestmark = pytest.mark.browser

PATHS = ("", "compare", "factors", "images", "train", "select", "method", "data", "models")
CONTRAST = Path(__file__).with_name("contrast.js").read_text(encoding="utf-8")
COLLISIONS = Path(__file__).with_name("collisions.js").read_text(encoding="utf-8")
MAX_TABS = 10


@pytest.fixture(scope="module", params=["light", "dark"])
def themed(request: pytest.FixtureRequest, browser: Browser) -> Iterator[Page]:
    """A tab in one of the two themes."""
    context = browser.new_context(
        viewport={"width": 1400, "height": 1000}, color_scheme=request.param
    )
    yield context.new_page()
    context.close()


def opened(page: Page, address: str, path: str) -> None:
    page.goto(f"{address}/{path}")
    expect(page.locator("h1")).to_be_visible()
    expect(page.get_by_test_id("stStatusWidget")).to_have_count(0)


@pytest.mark.parametrize("path", PATHS)
def test_every_text_stands_out_from_its_ground(themed: Page, address: str, path: str) -> None:
    opened(themed, address, path)
    themed.wait_for_timeout(500)  # until what fades in is there
    assert themed.evaluate(CONTRAST) == []
    assert themed.locator("h1").count() == 1


def test_each_tab_has_a_title_of_its_own(page: Page, address: str) -> None:
    titles = set()
    for path in PATHS:
        opened(page, address, path)
        titles.add(page.title())
    assert len(titles) == len(PATHS)


def test_the_first_latent_is_few_tab_stops_away(page: Page, address: str) -> None:
    opened(page, address, "")
    expect(page.get_by_test_id("latent-board")).to_have_attribute("aria-busy", "false")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")  # skips what stands before the main part
    for _ in range(MAX_TABS - 1):
        page.keyboard.press("Tab")
        if page.evaluate(
            """() => {
                let at = document.activeElement;
                while (at?.shadowRoot?.activeElement) at = at.shadowRoot.activeElement;
                return at?.getAttribute("role") === "slider" && !!at.closest(".board");
            }"""
        ):
            return
    pytest.fail(f"the first latent is not among the first {MAX_TABS} stops")


@pytest.mark.parametrize("path", PATHS)
def test_every_page_fits_a_narrow_window(narrow: Page, address: str, path: str) -> None:
    opened(narrow, address, path)
    narrow.wait_for_timeout(300)
    surplus = narrow.evaluate(
        "(() => { const main = document.querySelector('[data-testid=stMain]');"
        " return main.scrollWidth - main.clientWidth; })()"
    )
    assert surplus <= 0
    assert narrow.evaluate(COLLISIONS) == []


@pytest.fixture(scope="module")
def narrow(browser: Browser) -> Iterator[Page]:
    """A tab as narrow as a phone."""
    context = browser.new_context(viewport={"width": 390, "height": 844})
    yield context.new_page()
    context.close()
