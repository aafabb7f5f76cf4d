"""Factors with the shipped runs, in a real browser."""

from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import REPOSITORY, Serve

pytestmark = pytest.mark.browser


def cells(page: Page) -> Locator:
    return page.locator(".js-plotly-plot").first.locator(".hm image")


def click_cell(page: Page, row: int, column: int, place: float = 0.5) -> None:
    box = cells(page).bounding_box()
    assert box is not None
    page.mouse.click(
        box["x"] + (column + place) * box["width"] / 2, box["y"] + (row + 0.5) * box["height"] / 2
    )


def test_the_page_opens_by_its_own_address_on_a_fresh_server(
    page: Page, serve: Serve, tmp_path: Path
) -> None:
    address = serve(REPOSITORY / "app.py", {"DVAE_RUNS": str(tmp_path)})
    page.goto(f"{address}/factors?run=checkpoints/circles-categorical")
    expect(cells(page)).to_be_visible()
    count = len(list((REPOSITORY / "pages").glob("*.py")))
    expect(page.get_by_test_id("stSidebarNavLink")).to_have_count(count)


def test_a_click_anywhere_on_a_cell_opens_the_traversal_of_that_latent(
    page: Page, address: str
) -> None:
    page.goto(f"{address}/factors?run=checkpoints/circles-categorical")
    expect(cells(page)).to_be_visible()
    latents = page.locator(".js-plotly-plot").first.locator(".ytick text").all_text_contents()
    opened = page.locator(".st-key-cell")
    for place, column, factor in ((0.06, 1, "y"), (0.94, 0, "x"), (0.5, 1, "y")):
        click_cell(page, 1, column, place)
        expect(opened).to_contain_text(f"beside {factor}")
        expect(page.get_by_test_id("stStatusWidget")).to_have_count(0)
        page.wait_for_timeout(300)  # until the chart is drawn again
    assert opened.inner_text().splitlines()[0].removesuffix(" beside y") in latents
    expect(opened.locator("img")).to_have_count(2)
    opened.get_by_role("button", name="in Explore").click()
    expect(page.get_by_test_id("latent-board")).to_be_visible()
    expect(
        page.get_by_test_id("stSidebar").get_by_role("combobox", name="Order latents by")
    ).to_have_value("information: y")


def test_a_cell_is_chosen_by_keyboard(page: Page, address: str) -> None:
    page.goto(f"{address}/factors?run=checkpoints/circles-gaussian")
    expect(cells(page)).to_be_visible()
    for label, keys in (("Latent", ["ArrowDown", "Enter"]), ("Factor", ["Enter"])):
        page.get_by_role("combobox", name=label, exact=True).focus()
        page.keyboard.press("ArrowDown")
        for key in keys:
            page.keyboard.press(key)
    expect(page.locator(".st-key-cell")).to_contain_text("beside")


def test_scores_name_their_protocol(page: Page, address: str) -> None:
    page.goto(f"{address}/factors?run=checkpoints/circles-categorical")
    expect(page.get_by_test_id("stDataFrame")).to_be_visible()
    expect(page.get_by_text("Shipped runs come with their scores")).to_be_visible()
