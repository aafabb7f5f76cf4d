"""The exported page in a real browser, opened from disk without a network."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from dvae_core.runs.catalog import SHIPPED_ROOT
from dvae_core.runs.run import Run
from dvae_core.web.page import export_page
from tests.browser.test_latent_board import centre, code, pixels

pytestmark = pytest.mark.browser

RUNS = [Run(SHIPPED_ROOT / f"circles-{family}") for family in ("gaussian", "categorical")]
HOSTILE = "<img src=x onerror=\"document.title='gone'\">"


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_page(RUNS, tmp_path_factory.mktemp("page") / "page.html", note=HOSTILE)


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A tab without a network; a complaint of the page fails the test."""
    context = browser.new_context(viewport={"width": 1400, "height": 1000}, offline=True)
    tab = context.new_page()
    complaints: list[str] = []
    tab.on("console", lambda message: complaints.append(message.text))
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    tab.on(
        "request",
        lambda request: (
            None
            if request.url.startswith(("file:", "blob:", "data:"))
            else complaints.append(request.url)
        ),
    )
    yield tab
    context.close()
    assert complaints == []


def opened(page: Page, file: Path, link: str = "") -> None:
    page.goto(f"{file.as_uri()}{link}")
    for side in ("left", "right"):
        expect(page.get_by_test_id(f"board-{side}").locator("[data-code]")).to_be_visible()


def test_the_strips_of_other_rows_follow_a_drag_and_the_link_restores_it(
    page: Page, file: Path
) -> None:
    opened(page, file)
    board = page.get_by_test_id("board-right")
    strip = board.get_by_test_id("latent-strip-1")
    page.wait_for_timeout(500)
    before = pixels(strip)
    x, y = centre(board.get_by_test_id("latent-handle-0"))
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x - 150, y, steps=5)
    page.wait_for_function(
        "([id, before]) => document.querySelector(id).toDataURL() !== before",
        arg=["[data-testid=board-right] [data-testid=latent-strip-1]", before],
    )
    page.mouse.up()
    moved = code(board)
    assert "code2=" in page.url
    link = "#" + page.url.partition("#")[2]
    page.goto("about:blank")  # else the browser keeps the page, and changes the link alone
    opened(page, file, link)
    assert code(board) == pytest.approx(moved, abs=1e-4)
    expect(page.get_by_role("button", name="Undo")).to_be_disabled()


def test_a_cell_leads_to_its_latent_a_start_to_its_code_and_undo_goes_back(
    page: Page, file: Path
) -> None:
    opened(page, file)
    board = page.get_by_test_id("board-left")
    page.get_by_test_id("cell-0-1-0").click()
    expect(board.get_by_test_id("latent-handle-1")).to_be_focused()
    first = code(board)
    page.get_by_test_id("starts").get_by_role("button").nth(5).click()
    expect(board.locator(f"[data-code='{','.join(map(str, first))}']")).to_have_count(0)
    assert "start=5" in page.url
    page.keyboard.press("Control+z")
    expect(page.get_by_test_id("starts").get_by_role("button").first).to_have_attribute(
        "aria-pressed", "true"
    )
    page.keyboard.press("Control+y")
    assert "start=5" in page.url


def test_markup_in_texts_stays_text_and_a_strange_link_is_left_out(page: Page, file: Path) -> None:
    opened(page, file, "#start=99&code=1,NaN&latent=7&code2=%3Cimg%3E")
    expect(page.get_by_text(HOSTILE)).to_be_visible()
    assert page.title() == "circles-gaussian and circles-categorical"
    expect(page.get_by_test_id("starts").get_by_role("button").first).to_have_attribute(
        "aria-pressed", "true"
    )


def test_two_latents_are_dragged_at_once(page: Page, file: Path) -> None:
    opened(page, file)
    board = page.get_by_test_id("board-right")
    board.get_by_test_id("pad-toggle").click()
    before = code(board)
    x, y = centre(board.get_by_test_id("pad-plane"))
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 40, y - 60, steps=4)
    page.mouse.up()
    after = code(board)
    assert all(a != b for a, b in zip(before, after, strict=True))
    board.get_by_test_id("pad-knob").press("Escape")
    page.wait_for_timeout(500)
    assert code(board) == pytest.approx(before, abs=1e-4)
