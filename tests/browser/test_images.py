"""Clicks and keys in the table and on the map of Images, which need a browser."""

import re

import pytest
from playwright.sync_api import Locator, Page, expect

pytestmark = pytest.mark.browser

RUN = "checkpoints/circles-categorical"
ROW, HEAD = 56, 36  # pixels


def title(page: Page) -> Locator:
    return page.get_by_role("heading", name=re.compile("Start"))


def test_a_click_an_arrow_key_and_a_head_in_the_table(page: Page, address: str) -> None:
    page.goto(f"{address}/images?run={RUN}&start=prior-3")
    expect(title(page)).to_have_text("Start: prior sample 3")
    expect(page.get_by_test_id("stStatusWidget")).to_have_count(0)
    table = page.get_by_test_id("stDataFrame")
    table.click(position={"x": 140, "y": HEAD + ROW / 2})
    expect(title(page)).to_have_text(re.compile(r"Start: image \d+"))
    first = title(page).inner_text()
    expect(page).to_have_url(re.compile("start=factors"))
    page.keyboard.press("ArrowDown")
    expect(title(page)).not_to_have_text(first)
    table.click(position={"x": 100, "y": HEAD / 2})  # the column "number"
    expect(page).to_have_url(re.compile("sort=number"))
    page.wait_for_timeout(600)  # a person takes longer to go back
    page.go_back()
    expect(page).not_to_have_url(re.compile("sort=number"))


def test_a_point_and_a_box_on_the_map(page: Page, address: str) -> None:
    page.goto(f"{address}/images?run={RUN}&part=map&start=prior-3")
    points = page.locator(".scatterlayer path.point")
    expect(points).to_have_count(1024 + 8)  # rings around the nearest
    expect(page.get_by_test_id("stStatusWidget")).to_have_count(0)
    points.nth(17).click(force=True)
    expect(title(page)).to_have_text(re.compile(r"Start: image \d+"))
    expect(points).to_have_count(1024 + 8 + 1)
    page.locator(".modebar-btn[data-title='Box Select']").click()
    plot = page.locator(".nsewdrag").first.bounding_box()
    assert plot is not None
    page.mouse.move(plot["x"] + 20, plot["y"] + 20)
    page.mouse.down()
    page.mouse.move(plot["x"] + plot["width"] / 2, plot["y"] + plot["height"] / 2, steps=4)
    page.mouse.up()
    expect(page.get_by_text(re.compile(r"among the \d+ points chosen on the map"))).to_be_visible()
    expect(page).to_have_url(re.compile("points="))
