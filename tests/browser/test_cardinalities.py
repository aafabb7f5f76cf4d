"""A run of known cardinalities in a real browser."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from dvae_core.config import RunConfig
from dvae_core.runs.run import Run
from dvae_core.training.trainer import train
from tests.browser.conftest import REPOSITORY

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def address(
    serve: Callable[[Path, Mapping[str, str]], str], tmp_path_factory: pytest.TempPathFactory
) -> str:
    folder = tmp_path_factory.mktemp("runs")
    config = RunConfig.from_preset(
        "quick",
        num_latents=3,
        num_categories=64,
        cardinalities=(3, 40),
        steps=200,
        batch_size=16,
        threads=1,
        device="cpu",
    )
    train(Run.create(folder / "known", config, (1, 32, 32)))
    return serve(REPOSITORY / "app.py", {"DVAE_RUNS": str(folder)})


def test_every_row_slides_over_its_own_categories_on_one_axis(page: Page, address: str) -> None:
    page.goto(f"{address}/?run=runs/known")
    expect(page.get_by_test_id("latent-handle-0")).to_be_attached()  # the rows are there
    if page.get_by_text("inactive latent").is_visible():
        page.get_by_text("inactive latent").click()
    ends = []
    for latent, count in enumerate((3, 40, 64)):
        handle = page.get_by_test_id(f"latent-handle-{latent}")
        handle.focus()
        for key, category in (("Home", 0), ("End", count - 1)):
            page.keyboard.press(key)
            said = f"latent {latent}, category {category} of 0 to {count - 1}"
            assert (handle.get_attribute("aria-valuetext") or "").startswith(said)
            place = handle.bounding_box()
            assert place is not None
            ends.append(place["x"])
    assert ends[2:4] == pytest.approx(ends[:2], abs=1)
    assert ends[4:] == pytest.approx(ends[:2], abs=1)


def test_factors_and_compare_open_it_beside_a_run_that_knows_none(page: Page, address: str) -> None:
    page.goto(f"{address}/factors?run=runs/known")
    page.get_by_text("native: categories as they are").click()
    expect(page.get_by_text("K = 3, 40, 64; Miller-Madow")).to_be_visible(timeout=120_000)
    page.goto(
        f"{address}/compare?run=runs/known&second=checkpoints/circles-categorical&part=rotation"
    )
    boards = page.get_by_test_id("latent-board")
    expect(boards).to_have_count(2)
    expect(page.locator(".st-key-turned-left .js-plotly-plot")).to_be_visible(timeout=120_000)
    expect(page.get_by_test_id("stException")).to_have_count(0)
    expect(page.get_by_test_id("stAlert")).to_have_count(0)
