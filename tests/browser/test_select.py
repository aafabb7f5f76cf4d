"""Select on a folder of planted runs, in a real browser."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch
from playwright.sync_api import Locator, Page, expect

from dvae_core.config import RunConfig
from dvae_core.models.vae import build_model
from dvae_core.selection.study import GAP, RECONSTRUCTION_GAP
from tests.browser.conftest import REPOSITORY
from tests.selection.planted import planted_run

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def address(
    serve: Callable[[Path, Mapping[str, str]], str], tmp_path_factory: pytest.TempPathFactory
) -> str:
    """Four runs of which a smaller gap goes with a greater MIG, with weights that can be opened."""
    folder = tmp_path_factory.mktemp("runs")
    for seed in range(4):
        config = RunConfig(
            dataset="circles", image_size=32, num_latents=2, num_categories=4, steps=12, seed=seed
        )
        gap = 1.0 + seed
        scores = {"mig": 1 - gap / 10, GAP: gap, RECONSTRUCTION_GAP: gap}
        run = planted_run(folder / "study" / f"run-{seed}", config, scores)
        model = build_model(config, (1, 32, 32), torch.Generator().manual_seed(seed))
        run.save_model(model, config.steps)
    return serve(REPOSITORY / "app.py", {"DVAE_RUNS": str(folder)})


def points(page: Page) -> Locator:
    return page.locator(".st-key-select-scatter-mig .scatterlayer .trace").first.locator(".point")


def opened_run(page: Page) -> Locator:
    return page.get_by_test_id("stSidebar").get_by_label("Run", exact=True)


def test_a_click_on_a_point_opens_that_run(page: Page, address: str) -> None:
    page.goto(f"{address}/select?folder=runs/study&view=gap")
    expect(points(page)).to_have_count(4, timeout=90_000)
    box = points(page).nth(2).bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    expect(page.get_by_test_id("latent-board")).to_be_visible()
    expect(opened_run(page)).to_have_value("study/run-2")


def test_a_click_on_a_name_opens_that_run_in_a_sorted_table(page: Page, address: str) -> None:
    page.goto(f"{address}/select?folder=runs/study")
    table = page.get_by_test_id("stDataFrame").first
    expect(table).to_be_visible()
    expect(page.get_by_test_id("stStatusWidget")).to_have_count(0)
    box = table.bounding_box()  # the cells are drawn, so that a click needs a place
    assert box is not None
    name, score, head, first_row = box["x"] + 65, box["x"] + 140, box["y"] + 18, box["y"] + 53
    page.mouse.click(score, head)  # the least MIG first, which run-3 has
    page.wait_for_timeout(500)
    page.mouse.click(name, first_row)
    expect(page.get_by_test_id("latent-board")).to_be_visible()
    expect(opened_run(page)).to_have_value("study/run-3")


def test_a_run_is_chosen_and_opened_by_keyboard(page: Page, address: str) -> None:
    page.goto(f"{address}/select?folder=runs/study&view=gap")
    expect(points(page)).to_have_count(4, timeout=90_000)
    page.get_by_role("combobox", name="Runs to open or compare").focus()
    page.keyboard.type("run-1")
    page.keyboard.press("Enter")
    page.keyboard.press("Escape")  # more than one could be chosen
    button = page.get_by_role("button", name="Open in Explore")
    expect(button).to_be_enabled()
    button.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("latent-board")).to_be_visible()
    expect(opened_run(page)).to_have_value("study/run-1")


def test_the_url_follows_and_another_tab_sees_the_same(page: Page, address: str) -> None:
    page.goto(f"{address}/select?folder=runs/study")
    page.get_by_text("Effect of a setting").click()
    expect(page.get_by_text("differ in no numeric setting")).to_be_visible()
    expect(page).to_have_url(re.compile("view=settings"))
    other = page.context.new_page()
    other.goto(page.url)
    expect(other.get_by_text("differ in no numeric setting")).to_be_visible()


def test_a_narrow_page_does_not_scroll_sideways(page: Page, address: str) -> None:
    page.set_viewport_size({"width": 400, "height": 900})
    page.goto(f"{address}/select?folder=runs/study&view=gap")
    expect(points(page)).to_have_count(4, timeout=90_000)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
