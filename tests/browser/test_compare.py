"""Compare with the shipped runs, in a real browser."""

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.test_latent_board import centre, code_text
from tests.browser.test_latent_board import code as code_of

pytestmark = pytest.mark.browser

SECOND = "second=checkpoints/circles-categorical"


@pytest.fixture
def compare(page: Page, address: str) -> Page:
    """The page with all its parts, left the Gaussian run and right the categorical one."""
    page.goto(f"{address}/compare?run=checkpoints/circles-gaussian&{SECOND}")
    expect(page.get_by_test_id("stDataFrame")).to_be_visible()
    settled(page)
    return page


def settled(page: Page) -> None:
    for side in ("left", "right"):
        board = page.get_by_test_id(f"board-{side}").get_by_test_id("latent-board")
        expect(board).to_have_attribute("aria-busy", "false")
    expect(page.get_by_test_id("stStatusWidget")).to_have_count(0)


def code(page: Page, side: str) -> list[float]:
    return code_of(page.get_by_test_id(f"board-{side}"))


def drag(page: Page, side: str, latent: int, by: float) -> None:
    handle = page.get_by_test_id(f"board-{side}").get_by_test_id(f"latent-handle-{latent}")
    handle.scroll_into_view_if_needed()
    x, y = centre(handle)
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + by, y, steps=8)
    page.mouse.up()


def changed(page: Page, side: str, before: list[float]) -> list[float]:
    """The code of a side, once it is another than before."""
    page.wait_for_function(
        """([side, before]) => {
            const found = (root) => {
                for (const node of root.querySelectorAll("*")) {
                    if (node.dataset?.testid === `board-${side}`) return node;
                    const inside = node.shadowRoot && found(node.shadowRoot);
                    if (inside) return inside;
                }
            };
            const image = found(document)?.querySelector("[data-testid=latent-image]");
            return image && image.dataset.code !== before;
        }""",
        arg=[side, before_text(page, side, before)],
    )
    return code(page, side)


def before_text(page: Page, side: str, before: list[float]) -> str:
    text = code_text(page.get_by_test_id(f"board-{side}"))
    return text if code(page, side) == before else ""


def kl(page: Page, side: str) -> Locator:
    metric = page.locator(f".st-key-turned-{side}").get_by_test_id("stMetric").first
    return metric.get_by_test_id("stMetricValue")


def test_moving_a_latent_moves_its_partner_to_where_it_means_the_same(compare: Page) -> None:
    before = {side: code(compare, side) for side in ("left", "right")}
    drag(compare, "right", 0, -90)
    moved = changed(compare, "right", before["right"])
    grid_mass_following = changed(compare, "left", before["left"])
    assert moved[0] < before["right"][0]
    # x grows against latent 0 in both shipped runs, so that both fall together.
    assert grid_mass_following[0] < before["left"][0]
    assert grid_mass_following[1] == pytest.approx(before["left"][1], abs=1e-4)


def test_each_slider_says_its_side_and_its_factor(compare: Page) -> None:
    names = [
        slider.get_attribute("aria-label") or ""
        for slider in compare.get_by_test_id("latent-board").get_by_role("slider").all()
    ]
    assert len(names) == len(set(names)) == 4
    assert {name.partition(":")[0] for name in names} == {"left", "right"}
    assert any(re.fullmatch(r"right: latent 0, x \d+ %", name) for name in names)


def test_unlinked_boards_move_apart(compare: Page) -> None:
    compare.get_by_test_id("stSidebar").get_by_text("Link the boards").click()
    settled(compare)
    before = {side: code(compare, side) for side in ("left", "right")}
    drag(compare, "left", 1, 70)
    changed(compare, "left", before["left"])
    settled(compare)
    compare.wait_for_timeout(500)  # an answer to the right would have come with the left one's
    assert code(compare, "right") == before["right"]


def test_undo_takes_both_back(compare: Page) -> None:
    before = {side: code(compare, side) for side in ("left", "right")}
    drag(compare, "left", 0, 80)
    left = changed(compare, "left", before["left"])
    right = changed(compare, "right", before["right"])
    settled(compare)
    compare.get_by_role("button", name="Undo").click()
    assert changed(compare, "left", left) == pytest.approx(before["left"], abs=1e-4)
    assert changed(compare, "right", right) == pytest.approx(before["right"], abs=1e-4)


def test_the_angle_raises_the_kl_of_a_uniform_grid_and_leaves_that_of_a_round_normal(
    compare: Page,
) -> None:
    compare.get_by_text("Rotate both latent spaces").click()
    compare.get_by_role("radio", name="Synthetic").click()
    expect(kl(compare, "right")).to_have_text("0.000")
    normal = float(kl(compare, "left").inner_text())
    slider = compare.locator(".st-key-angle").get_by_role("slider")
    slider.focus()
    for _ in range(20):
        slider.press("ArrowRight")
    expect(slider).to_have_value("20")
    # Angles on the way are answered too; the last one costs more than 0.1 nats.
    expect(kl(compare, "right")).to_have_text(re.compile(r"^(0\.[1-9]|[1-9])"))
    settled(compare)
    assert normal > 0
    assert float(kl(compare, "left").inner_text()) == pytest.approx(normal, rel=0.01)


def test_the_pointer_finds_the_image_behind_a_point_in_both_planes(compare: Page) -> None:
    tip = compare.get_by_test_id("plane-tip")
    expect(tip).to_be_hidden()
    drawing = compare.get_by_test_id("plane-1")
    drawing.scroll_into_view_if_needed()
    compare.mouse.move(*centre(drawing))
    expect(tip).to_be_visible()
    expect(tip).to_contain_text("x ")
    for plane in ("plane-0", "plane-1"):
        mark = compare.get_by_test_id(plane).locator("circle")
        expect(mark).to_have_attribute("visibility", "visible")


def test_a_plane_is_walked_by_keyboard(compare: Page) -> None:
    compare.get_by_test_id("plane-0").focus()
    compare.keyboard.press("ArrowRight")
    tip = compare.get_by_test_id("plane-tip")
    index = int(tip.get_attribute("data-index") or -1)
    compare.keyboard.press("ArrowUp")
    expect(tip).to_have_attribute("data-index", str(index + 1))
    compare.keyboard.press("Escape")
    expect(tip).to_be_hidden()


def test_the_argument_is_on_the_first_screen_and_the_page_is_short(
    page: Page, address: str
) -> None:
    page.set_viewport_size({"width": 1440, "height": 900})
    page.goto(f"{address}/compare")
    expect(page.get_by_test_id("stDataFrame")).to_be_visible()
    settled(page)
    notes = page.get_by_test_id("latent-planes").locator(".note")  # MIG and angles
    boxes = [note.bounding_box() for note in notes.all()]
    assert len(boxes) == 2
    assert all(box is not None and box["y"] + box["height"] <= 900 for box in boxes)
    height = page.evaluate("document.querySelector('[data-testid=stMain]').scrollHeight")
    assert height <= 2650  # of two runs with ten latents each
