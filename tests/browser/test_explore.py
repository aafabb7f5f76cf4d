"""Explore with the shipped runs, in a real browser."""

import re
import time
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlparse

import pytest
from PIL import Image, ImageDraw
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser.conftest import REPOSITORY
from tests.browser.test_latent_board import (
    centre,
    code,
    code_text,
    pixels,
    shown_image,
    wait_for_answer,
)

pytestmark = pytest.mark.browser

APP = REPOSITORY / "app.py"
FAMILIES = ["checkpoints/circles-categorical", "checkpoints/circles-gaussian"]


def opened(page: Page, address: str, **query: str) -> list[str]:
    """Open Explore; the list returned grows by every message that goes to the server."""
    sent: list[str] = []
    page.on("websocket", lambda socket: socket.on("framesent", lambda _: sent.append("frame")))
    page.goto(f"{address}/?{urlencode(query)}")
    settled(page)
    sent.clear()
    return sent


def settled(page: Page) -> None:
    expect(page.get_by_test_id("latent-board")).to_have_attribute("aria-busy", "false")
    expect(page.get_by_test_id("stStatusWidget")).to_have_count(0)
    shown_image(page)


def expect_code(page: Page, expected: list[float]) -> None:
    """Wait until the board shows a code."""
    deadline = time.monotonic() + 30
    while code(page) != pytest.approx(expected, abs=1e-4):
        assert time.monotonic() < deadline, f"{code(page)} is shown, not {expected}"
        page.wait_for_timeout(50)


def link_of_code(page: Page) -> str:
    """The address, as soon as it says the code that the board shows."""
    deadline = time.monotonic() + 30
    while True:
        found = parse_qs(urlparse(page.url).query).get("code", [""])[0]
        if found and [float(v) for v in found.split(",")] == pytest.approx(code(page), abs=1e-6):
            return page.url
        assert time.monotonic() < deadline, f"{page.url} does not say {code(page)}"
        page.wait_for_timeout(50)


def drag(page: Page, latent: int, by: float, steps: int = 8) -> None:
    x, y = centre(page.get_by_test_id(f"latent-handle-{latent}"))
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + by, y, steps=steps)
    page.mouse.up()
    wait_for_answer(page)


@pytest.mark.parametrize("run", FAMILIES)
def test_a_drag_moves_the_image_and_the_other_strips_without_the_server(
    page: Page, address: str, run: str
) -> None:
    received: list[str] = []
    page.on("websocket", lambda socket: socket.on("framereceived", lambda _: received.append("")))
    sent = opened(page, address, run=run)
    received.clear()
    strip = page.get_by_test_id("latent-strip-1")
    x, y = centre(page.get_by_test_id("latent-handle-0"))
    page.mouse.move(x, y)
    page.mouse.down()
    images, strips = [pixels(shown_image(page))], {still(strip)}
    for step in range(5):
        page.mouse.move(x - 60 * (step + 1), y)
        images.append(pixels(shown_image(page)))
        strips.add(still(strip))
    assert len(set(images)) == len(strips) == 6
    assert sent == received == []
    before_release = pixels(shown_image(page)), still(strip)
    page.mouse.up()
    wait_for_answer(page)
    assert (pixels(shown_image(page)), still(strip)) == before_release


def still(strip: Locator) -> str:
    """Pixels of a film strip that no longer changes."""
    before = ""
    while (now := pixels(strip)) != before:
        before = now
        strip.page.wait_for_timeout(150)
    return now


@pytest.mark.parametrize(
    "without",
    ["delete window.Worker", "Worker.prototype.postMessage = () => { throw new Error('no') }"],
)
def test_where_a_browser_cannot_decode_the_server_renders(
    browser: Browser, address: str, without: str
) -> None:
    context = browser.new_context(viewport={"width": 1400, "height": 1000})
    context.add_init_script(without)
    page = context.new_page()
    opened(page, address, run=FAMILIES[0])
    expect(page.get_by_test_id("pad-toggle")).to_be_hidden()
    strip = page.get_by_test_id("latent-strip-1")
    strip_before, image_before = pixels(strip), pixels(shown_image(page))
    drag(page, 0, -120)
    assert pixels(shown_image(page)) != image_before
    assert still(strip) != strip_before
    context.close()


def test_a_board_that_comes_back_has_its_decoder_still(page: Page, address: str) -> None:
    opened(page, address, run=FAMILIES[0])
    drag(page, 0, -120)  # the server now knows that the browser has the weights
    moved = code(page)
    page.get_by_test_id("stSidebarNav").get_by_role("link", name="Method").click()
    expect(page.get_by_test_id("latent-board")).to_have_count(0)
    page.get_by_test_id("stSidebarNav").get_by_role("link", name="Explore").click()
    settled(page)
    expect_code(page, moved)


def test_two_images_blend_and_the_release_is_one_move(page: Page, address: str) -> None:
    query = {"run": FAMILIES[0], "start": "factors-20.9", "tool": "interpolation"}
    page.goto(f"{address}/?{urlencode(query)}&other=factors-4.25")
    board, second = (page.get_by_test_id(f"board-{side}") for side in ("A", "B"))
    target = code(second)
    start = code(board)
    board.get_by_test_id("blend").fill("50")
    middle = [(a + b) / 2 for a, b in zip(start, target, strict=True)]
    assert code(board) == pytest.approx(middle, abs=0.02)
    expect(board.get_by_test_id("latent-board")).to_have_attribute("aria-busy", "false")
    page.get_by_role("button", name="Undo").click()
    expect(board.get_by_test_id("blend")).to_have_value("0")
    assert code(board) == pytest.approx(start, abs=1e-4)


def test_a_link_shows_the_same_image_in_another_browser(
    page: Page, address: str, browser: Browser
) -> None:
    opened(page, address, run=FAMILIES[0], start="factors-20.9")
    drag(page, 0, -120)
    drag(page, 1, 90)
    link = link_of_code(page)
    shown = pixels(page.get_by_test_id("latent-image"))
    other = browser.new_context().new_page()
    other.goto(link)
    settled(other)
    assert pixels(other.get_by_test_id("latent-image")) == shown
    other.context.close()


def test_the_browsers_back_goes_to_the_code_before(page: Page, address: str) -> None:
    opened(page, address, run=FAMILIES[0], start="factors-20.9")
    drag(page, 0, -120)
    first = code(page)
    address_before = link_of_code(page)
    drag(page, 0, 150)
    expect(page).not_to_have_url(address_before)
    page.go_back()
    expect(page).to_have_url(address_before)
    expect_code(page, first)


def test_a_first_visitor_is_told_what_to_do_until_the_first_move(
    browser: Browser, address: str
) -> None:
    context = browser.new_context(viewport={"width": 1400, "height": 1000})
    page = context.new_page()
    opened(page, address, run=FAMILIES[0])
    hint = page.get_by_test_id("board-welcome")
    expect(hint).to_contain_text("Drag a handle")
    drag(page, 0, 60)
    expect(hint).to_have_count(0)
    page.reload()
    settled(page)
    expect(hint).to_have_count(0)
    context.close()


def test_the_hint_stays_away_where_the_browser_keeps_nothing(
    browser: Browser, address: str
) -> None:
    context = browser.new_context(viewport={"width": 1400, "height": 1000})
    context.add_init_script("delete window.localStorage; delete Window.prototype.localStorage;")
    page = context.new_page()
    opened(page, address, run=FAMILIES[0])
    hint = page.get_by_test_id("board-welcome")
    expect(hint).to_be_visible()
    for by in (60, -40):  # the second answer draws the board anew
        drag(page, 0, by)
        settled(page)
        expect(hint).to_have_count(0)
    context.close()


def test_undo_and_back_to_the_start(page: Page, address: str) -> None:
    opened(page, address, run=FAMILIES[1])
    start = code(page)
    drag(page, 0, 100)
    moved = code(page)
    drag(page, 1, 100)
    later = code(page)
    page.get_by_role("button", name="Undo").click()
    expect_code(page, moved)
    for redo in ("Control+Shift+Z", "Control+y"):
        settled(page)
        expect(page.get_by_role("button", name="Redo")).to_be_enabled()
        expect(page.locator(".st-key-shortcuts button")).to_be_enabled()  # comes a moment later
        page.keyboard.press(redo)
        expect_code(page, later)
        settled(page)
        page.keyboard.press("Control+z")
        expect_code(page, moved)
    page.get_by_role("button", name="Back to the start").click()
    expect_code(page, start)


def test_two_tabs_on_different_runs_do_not_disturb_each_other(
    page: Page, address: str, browser: Browser
) -> None:
    opened(page, address, run=FAMILIES[0])
    other = browser.new_context().new_page()
    opened(other, address, run=FAMILIES[1])
    before = code(other)
    drag(page, 0, -100)
    drag(page, 1, -100)
    settled(other)
    assert code(other) == before
    other.reload()
    settled(other)
    assert code(other) == before
    other.context.close()


def test_an_uploaded_image_becomes_the_start(page: Page, address: str, tmp_path: Path) -> None:
    image = Image.new("RGB", (300, 200), "black")
    ImageDraw.Draw(image).ellipse((160, 60, 220, 120), fill="white")
    image.save(tmp_path / "mine.png")
    (tmp_path / "broken.png").write_bytes((tmp_path / "mine.png").read_bytes()[:200])
    opened(page, address, run=FAMILIES[0])
    shown = code_text(page)
    page.get_by_test_id("stSidebar").get_by_text("Your image").click()
    chooser = page.locator("input[type=file]")
    chooser.set_input_files(tmp_path / "broken.png")
    expect(page.get_by_text("cannot be read")).to_be_visible()
    expect(page.get_by_test_id("latent-image")).to_have_attribute("data-code", shown)
    chooser.set_input_files(tmp_path / "mine.png")
    expect(page.get_by_text("300 x 200 pixels are squashed to 32 x 32")).to_be_visible()
    expect(page.get_by_test_id("latent-image")).not_to_have_attribute("data-code", shown)
    settled(page)
    uploaded = code(page)
    expect(page).to_have_url(re.compile("start=upload-"))
    page.reload()
    settled(page)
    expect_code(page, uploaded)
    page.get_by_test_id("stSidebarNav").get_by_role("link", name="Factors").click()
    page.get_by_test_id("stSidebarNav").get_by_role("link", name="Explore").click()
    settled(page)
    expect_code(page, uploaded)


def test_linked_boards_of_two_images_move_and_return_together(page: Page, address: str) -> None:
    query = {"run": FAMILIES[0], "start": "factors-20.9", "tool": "interpolation"}
    page.goto(f"{address}/?{urlencode(query)}&other=factors-4.25")
    boards = [page.get_by_test_id(f"board-{side}") for side in ("A", "B")]
    for board in boards:
        expect(board.get_by_test_id("latent-board")).to_have_attribute("aria-busy", "false")
    expect(page.get_by_test_id("stStatusWidget")).to_have_count(0)
    before = [code(board) for board in boards]
    handle = boards[0].get_by_test_id("latent-handle-1")
    handle.focus()
    handle.press("Home")
    handle.press("Tab")  # lets go
    expect(boards[1].get_by_test_id("latent-handle-1")).to_have_attribute("aria-valuenow", "-1")
    assert [code(board)[1] for board in boards] == [-1, -1]
    assert [code(board)[0] for board in boards] == [each[0] for each in before]
    page.get_by_role("button", name="Undo").click()
    for board, expected in zip(boards, before, strict=True):
        expect(board.get_by_test_id("latent-handle-1")).not_to_have_attribute("aria-valuenow", "-1")
        assert code(board) == pytest.approx(expected, abs=1e-4)
    for latent in ("0", "1"):  # a click in the list reaches the readouts of both
        page.get_by_role("button", name=f"latent {latent}", exact=True).click()
        for board in boards:
            expect(board.locator(".readout .name")).to_have_text(f"latent {latent}")


def test_latents_opens_the_latent_that_was_dragged(page: Page, address: str) -> None:
    opened(page, address, run=FAMILIES[0], start="factors-20.9")
    for row in (1, 0):
        before = page.url
        drag(page, row, -120)
        expect(page).not_to_have_url(before)
        expect(page).to_have_url(re.compile("latent="))
    latent = re.search(r"latent=(\d+)", page.url)
    assert latent is not None
    page.get_by_role("button", name="Real images of a latent").click()
    expect(page.get_by_role("heading", name=f"Latent {latent[1]}")).to_be_visible()
