"""The latent board in a real browser: before a Streamlit server, and alone with made-up answers."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import Browser, Locator, Page, expect

from dvae_core.web.board import BoardRow, board_data, encode_frames
from dvae_core.web.scripts import board_script, board_style
from ui import latent_board

pytestmark = pytest.mark.browser

APP = Path(__file__).with_name("board_app.py")
MOUNT = Path(latent_board.__file__).with_name("mount.js")


# --- before a server


@pytest.fixture(scope="module")
def address(serve: Callable[[Path, Mapping[str, str]], str]) -> str:
    return serve(APP, {})


def opened(page: Page, address: str, **query: object) -> list[str]:
    """Open the app; the list returned grows by every message that goes to the server."""
    sent: list[str] = []
    page.on("websocket", lambda socket: socket.on("framesent", lambda _: sent.append("frame")))
    page.goto(f"{address}/?{urlencode(query)}")
    expect(page.get_by_test_id("latent-board")).to_have_attribute("aria-busy", "false")
    expect(page.get_by_test_id("stStatusWidget")).to_have_count(0)
    sent.clear()
    return sent


def pixels(canvas: Locator) -> str:
    return str(canvas.evaluate("canvas => canvas.toDataURL()"))


def shown_image(board: Page | Locator) -> Locator:
    """The large image, as soon as it is that of the current code."""
    image = board.get_by_test_id("latent-image")
    expect(image).to_have_attribute("aria-busy", "false")
    return image


def code_text(board: Page | Locator) -> str:
    """The code that a board shows, as soon as it has one."""
    text = shown_image(board).get_attribute("data-code")
    assert text
    return text


def code(board: Page | Locator) -> list[float]:
    return [float(value) for value in code_text(board).split(",")]


def centre(element: Locator) -> tuple[float, float]:
    box = element.bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def wait_for_answer(page: Page) -> None:
    expect(page.get_by_test_id("latent-board")).to_have_attribute("aria-busy", "false")


def test_a_drag_changes_the_image_at_every_step_and_sends_nothing(page: Page, address: str) -> None:
    sent = opened(page, address)
    image = page.get_by_test_id("latent-image")
    x, y = centre(page.get_by_test_id("latent-handle-0"))
    page.mouse.move(x, y)
    page.mouse.down()
    seen = [pixels(image)]
    for step in range(20):
        page.mouse.move(x + 16 * (step + 1), y)
        seen.append(pixels(image))
    assert len(set(seen)) == 21
    assert sent == []


def test_a_release_sends_one_message_with_the_whole_code(page: Page, address: str) -> None:
    sent = opened(page, address)
    before = code(page)
    x, y = centre(page.get_by_test_id("latent-handle-2"))
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 200, y + 30, steps=20)
    page.mouse.up()
    after = code(page)
    expect(page.get_by_text(f"1 2 {after[2]:.4f}")).to_be_visible()
    wait_for_answer(page)
    assert len(sent) == 1
    assert [latent for latent in range(10) if before[latent] != after[latent]] == [2]
    assert code(page) == after


@pytest.mark.parametrize("channels", [1, 3])
def test_the_strips_of_the_other_rows_follow_a_release(
    page: Page, address: str, channels: int
) -> None:
    opened(page, address, channels=channels)
    strips = [page.get_by_test_id(f"latent-strip-{latent}") for latent in (0, 1, 3)]
    before = [pixels(strip) for strip in strips]
    x, y = centre(page.get_by_test_id("latent-handle-2"))
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 250, y, steps=5)
    assert [pixels(strip) for strip in strips] == before
    page.mouse.up()
    wait_for_answer(page)
    assert all(pixels(strip) != old for strip, old in zip(strips, before, strict=True))


def test_a_handle_pressed_and_let_go_in_place_sends_nothing(page: Page, address: str) -> None:
    sent = opened(page, address)
    before = code(page)
    page.mouse.move(*centre(page.get_by_test_id("latent-handle-1")))
    page.mouse.down()
    page.mouse.up()
    page.wait_for_timeout(500)
    assert code(page) == before
    assert sent == []


def test_keys_change_the_image_at_once_and_send_one_message_when_quiet(
    page: Page, address: str
) -> None:
    sent = opened(page, address)
    image = page.get_by_test_id("latent-image")
    page.get_by_test_id("latent-handle-0").focus()
    seen = [pixels(image)]
    for _ in range(5):
        page.keyboard.down("ArrowRight")  # held: a slow machine must not seem to be quiet
        seen.append(pixels(image))
    assert len(set(seen)) == 6
    assert sent == []
    page.keyboard.up("ArrowRight")
    expect(page.get_by_text("1 0 ")).to_be_visible()
    wait_for_answer(page)
    assert len(sent) == 1


def test_escape_returns_to_the_start_between_two_categories(page: Page, address: str) -> None:
    opened(page, address)
    start, image = code(page), pixels(page.get_by_test_id("latent-image"))
    page.get_by_test_id("latent-handle-3").focus()
    page.keyboard.press("PageUp")
    page.keyboard.press("Tab")  # leaving the handle lets go of it
    expect(page.get_by_text("1 3 ")).to_be_visible()
    wait_for_answer(page)
    page.get_by_test_id("latent-handle-3").focus()
    page.keyboard.press("Escape")
    expect(page.get_by_text("2 3 ")).to_be_visible()
    wait_for_answer(page)
    assert code(page) == start
    assert pixels(page.get_by_test_id("latent-image")) == image


def test_undo_on_the_server_moves_the_handle_back(page: Page, address: str) -> None:
    opened(page, address)
    before = code(page)
    page.get_by_test_id("latent-handle-1").focus()
    page.keyboard.press("Home")
    expect(page.get_by_text("1 1 ")).to_be_visible()
    wait_for_answer(page)
    page.get_by_role("button", name="undo").click()
    expect(page.get_by_test_id("latent-image")).to_have_attribute(
        "data-code", ",".join(map(repr, before))
    )


def test_an_answer_that_arrives_during_a_drag_neither_moves_nor_ends_it(
    page: Page, address: str
) -> None:
    sent = opened(page, address, delay=1)
    first, second = (page.get_by_test_id(f"latent-handle-{latent}") for latent in (0, 1))
    strip = page.get_by_test_id("latent-strip-1")
    before = pixels(strip)
    x, y = centre(first)
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 100, y, steps=4)
    page.mouse.up()

    x, y = centre(second)
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x - 100, y, steps=4)
    held = code(page)
    expect(page.get_by_text("1 0 ")).to_be_visible()  # the answer to the first release is here
    assert code(page) == held
    assert pixels(strip) == before
    page.mouse.move(x - 150, y, steps=4)
    assert code(page)[1] < held[1]
    page.mouse.up()
    expect(page.get_by_text("2 1 ")).to_be_visible()
    wait_for_answer(page)
    assert code(page)[0] == held[0]
    assert pixels(strip) != before
    assert len(sent) == 2


def test_the_board_does_not_fade_while_it_waits(page: Page, address: str) -> None:
    opened(page, address, delay=3)
    page.get_by_test_id("latent-handle-0").focus()
    page.keyboard.press("End")
    page.keyboard.press("Tab")
    container = page.get_by_test_id("stElementContainer").filter(
        has=page.get_by_test_id("latent-board")
    )
    expect(container).to_have_attribute("data-stale", "true")
    page.wait_for_timeout(1800)  # Streamlit fades for a second, after half a second
    assert container.evaluate("element => getComputedStyle(element).opacity") == "1"
    assert page.get_by_test_id("latent-board").get_attribute("aria-busy") == "true"


@pytest.fixture
def phone(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True)
    yield context.new_page()
    context.close()


def swipe(page: Page, start: tuple[float, float], end: tuple[float, float], steps: int) -> None:
    """Draw one finger over the page. The browser decides whether that scrolls it."""
    client = page.context.new_cdp_session(page)

    def touch(kind: str, points: list[dict[str, float]]) -> None:
        client.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    touch("touchStart", [{"x": start[0], "y": start[1]}])
    for step in range(1, steps + 1):
        share = step / steps
        x, y = (from_ + share * (to - from_) for from_, to in zip(start, end, strict=True))
        touch("touchMove", [{"x": x, "y": y}])
    touch("touchEnd", [])


def test_a_finger_drags_a_handle_on_a_narrow_screen(phone: Page, address: str) -> None:
    sent = opened(phone, address)
    before = code(phone)
    x, y = centre(phone.get_by_test_id("latent-handle-1"))
    swipe(phone, (x, y), (x - 120, y - 40), steps=10)
    expect(phone.get_by_text("1 1 ")).to_be_visible()
    wait_for_answer(phone)
    assert code(phone)[1] < before[1] - 0.3
    assert len(sent) == 1


def test_a_finger_moves_a_track_sideways_without_the_handle(phone: Page, address: str) -> None:
    sent = opened(phone, address)
    _, y = centre(phone.get_by_test_id("latent-handle-1"))
    swipe(phone, (60, y), (120, y), steps=10)
    expect(phone.get_by_text("1 1 ")).to_be_visible()
    wait_for_answer(phone)
    assert len(sent) == 1


def test_a_finger_drawn_up_a_track_scrolls_and_moves_no_handle(phone: Page, address: str) -> None:
    sent = opened(phone, address)
    top = centre(phone.get_by_test_id("latent-handle-1"))[1]
    phone.get_by_test_id("latent-image").evaluate(
        """image => {
            window.moves = 0;
            const observer = new MutationObserver(() => { window.moves += 1; });
            observer.observe(image, { attributes: true });
        }"""
    )
    swipe(phone, (60, top), (60, top - 200), steps=10)
    phone.wait_for_timeout(500)
    assert phone.evaluate("moves") == 0
    assert centre(phone.get_by_test_id("latent-handle-1"))[1] < top - 50
    assert sent == []


def test_nothing_is_wider_than_a_narrow_screen(phone: Page, address: str) -> None:
    opened(phone, address)
    assert phone.evaluate("document.documentElement.scrollWidth") == 390
    for part in ("latent-board", "latent-row-0", "latent-image"):
        box = phone.get_by_test_id(part).bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 390


def test_the_large_image_stays_in_sight_on_a_narrow_screen(phone: Page, address: str) -> None:
    opened(phone, address)
    phone.get_by_test_id("latent-row-5").scroll_into_view_if_needed()
    expect(phone.get_by_test_id("latent-image")).to_be_in_viewport(ratio=1)


# --- alone

NUM_VALUES = 5
VALUES = [-1.0, -0.5, 0.0, 0.5, 1.0]


def noise(channels: int = 1, seed: int = 0) -> NDArray[np.uint8]:
    """Frames (N, K, H, W, C) and nothing alike between any two."""
    generator = np.random.default_rng(seed)
    return generator.integers(0, 256, (3, NUM_VALUES, 8, 6, channels), dtype=np.uint8)


def answer(
    answered: int = 0,
    values: tuple[float, float, float] = (0.0, 0.25, -1.0),
    *,
    session: str = "one",
    images: Sequence[NDArray[np.uint8]] | NDArray[np.uint8] | None = None,
    order: tuple[int, ...] = (0, 1, 2),
    change: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """What the server would send for three latents, latent 0 changed by `change`."""
    images = noise() if images is None else images
    rows = [
        BoardRow(
            latent=latent,
            values=VALUES,
            start=(0.0, 0.25, -1.0)[latent],
            value=values[latent],
            kl_nats=1.0,
        )
        for latent in range(3)
    ]
    rows[0] = replace(rows[0], **(change or {}))
    state_id = f"{answered} {values} {sum(int(row.sum()) for row in images)}"
    frames = encode_frames(images, images[0][0] ^ 255, state_id)
    return board_data(
        [rows[latent] for latent in order], frames, session=session, answered=answered
    )


class Board:
    """The component outside Streamlit: `give` is an answer of the server, `sent` what it hears."""

    def __init__(self, page: Page) -> None:
        self.page = page
        page.set_content("<div id=host></div>")
        page.add_style_tag(content=board_style())
        page.evaluate(
            """async (source) => {
                const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
                const parentElement = document.querySelector("#host");
                const { default: mount } = await import(url);
                window.sent = [];
                const setTriggerValue = (name, value) => sent.push(structuredClone(value));
                window.give = (data) => mount({ data: [data], parentElement, setTriggerValue });
            }""",
            board_script() + MOUNT.read_text(encoding="utf-8"),
        )

    def give(self, data: dict[str, Any]) -> None:
        """Hand over an answer and wait until it is shown, dropped or put aside."""
        self.page.evaluate(
            """async (data) => {
                window.cleanUp = give(data);
                await data.opening;
                await new Promise(requestAnimationFrame);
            }""",
            data,
        )

    @property
    def sent(self) -> list[dict[str, Any]]:
        sent: list[dict[str, Any]] = self.page.evaluate("sent")
        return sent

    def handle(self, latent: int) -> Locator:
        return self.page.get_by_test_id(f"latent-handle-{latent}")

    def press(self, latent: int, *keys: str) -> None:
        self.handle(latent).focus()
        for key in keys:
            self.page.keyboard.press(key)

    def let_go(self, latent: int) -> None:
        self.handle(latent).blur()

    def image(self) -> NDArray[np.uint8]:
        """Pixels (H, W, 4) of the large image."""
        canvas = self.page.get_by_test_id("latent-image")
        height, width, values = canvas.evaluate(
            """canvas => {
                const { width, height } = canvas;
                const { data } = canvas.getContext("2d").getImageData(0, 0, width, height);
                return [height, width, [...data]];
            }"""
        )
        return np.array(values, dtype=np.uint8).reshape(height, width, 4)


@pytest.fixture
def board(page: Page) -> Board:
    return Board(page)


@pytest.mark.parametrize("channels", [1, 3])
def test_every_frame_is_shown_pixel_for_pixel(board: Board, channels: int) -> None:
    images = noise(channels)
    board.give(answer(images=images))
    expected = np.broadcast_to(images, (*images.shape[:-1], 3))
    np.testing.assert_array_equal(board.image()[..., :3], expected[0, 0] ^ 255)
    for latent in range(3):
        board.press(latent, "End", "Home")
        for index in range(NUM_VALUES):
            # At its own values the code has an exact image, which is none of the frames.
            if code(board.page) != [0.0, 0.25, -1.0]:
                np.testing.assert_array_equal(board.image()[..., :3], expected[latent, index])
            board.press(latent, "ArrowRight")
        board.press(latent, "Escape")


def test_a_latent_without_a_row_keeps_its_value(board: Board) -> None:
    """The rows are of latents 2 and 0 of three; the frames come by ascending latent."""
    images = noise()[:2]
    rows = [
        BoardRow(latent=latent, values=VALUES, start=0.0, value=0.0, kl_nats=1.0)
        for latent in (2, 0)
    ]
    frames = encode_frames(images, images[0][0] ^ 255, "some")
    board.give(board_data(rows, frames, session="one", code=[0.0, 0.7, 0.0]))
    board.press(2, "End")
    expected = np.broadcast_to(images, (*images.shape[:-1], 3))
    np.testing.assert_array_equal(board.image()[..., :3], expected[1, -1])
    board.let_go(2)
    assert board.sent[0]["code"] == [0.0, 0.7, VALUES[-1]]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("ArrowRight", 0.5),
        ("ArrowUp", 0.5),
        ("ArrowLeft", 0.0),
        ("ArrowDown", 0.0),
        ("PageUp", 1.0),
        ("PageDown", -1.0),
        ("Home", -1.0),
        ("End", 1.0),
    ],
)
def test_a_key_steps_from_between_two_values(board: Board, key: str, value: float) -> None:
    board.give(answer())
    board.press(1, key)
    assert code(board.page) == [0.0, value, -1.0]


def test_page_keys_step_over_eight_values(board: Board) -> None:
    images = np.zeros((3, 20, 4, 4, 1), dtype=np.uint8)
    board.give(answer(images=images, change={"values": list(range(20)), "value": 3.0}))
    board.press(0, "PageUp", "PageUp", "PageDown")
    assert code(board.page)[0] == 11.0


def test_a_value_that_hardly_occurs_in_the_data_is_dimmed_and_said(board: Board) -> None:
    images = np.full((3, NUM_VALUES, 8, 6, 1), 255, dtype=np.uint8)
    visited = {"visited": [True, False, True, True, False]}
    board.give(answer(images=images, change=visited))
    strip = board.page.get_by_test_id("latent-strip-0")
    opacities = strip.evaluate(
        """canvas => {
            const { width, height } = canvas;
            const { data } = canvas.getContext("2d").getImageData(0, height / 2, width, 1);
            return [...new Set(data.filter((_, place) => place % 4 === 3))];
        }"""
    )
    assert 255 in opacities
    assert any(60 < opacity < 90 for opacity in opacities)
    said = board.page.get_by_text("hardly occurs in the data", exact=True)
    expect(said).to_have_count(0)
    board.press(0, "End")
    expect(said).to_be_visible()
    expect(board.handle(0)).to_have_attribute(
        "aria-valuetext", "latent 0, category 4 of 0 to 4, value 1.00, hardly occurs in the data"
    )


def test_handles_can_be_kept_within_the_data(board: Board) -> None:
    data = answer(change={"visited": [True, False, True, True, False]})
    board.give({**data, "withinData": True})
    reached = []
    for key in ("End", "ArrowLeft", "ArrowLeft", "ArrowLeft"):
        board.press(0, key)
        reached.append(code(board.page)[0])
    assert reached == [0.5, 0.0, -1.0, -1.0]
    rail = board.handle(0).locator("..").bounding_box()
    assert rail is not None
    board.page.mouse.click(rail["x"] + rail["width"] - 1, rail["y"] + rail["height"] - 5)
    assert code(board.page)[0] == 0.5
    board.press(1, "End")  # all of its values are visited
    assert code(board.page)[1] == 1.0


def test_leaving_a_handle_sends_its_move_at_once(board: Board) -> None:
    board.give(answer())
    board.press(2, "ArrowRight", "ArrowRight")
    board.let_go(2)
    assert board.sent == [{"code": [0.0, 0.25, 0.0], "sequence": 1}]


def test_keys_that_lead_back_send_nothing(board: Board) -> None:
    board.give(answer())
    board.press(2, "ArrowRight", "ArrowLeft")
    board.let_go(2)
    assert board.sent == []


def test_an_answer_to_an_older_state_is_dropped(board: Board) -> None:
    board.give(answer())
    board.press(0, "End")
    board.let_go(0)
    board.give(answer(answered=0, values=(-1.0, 0.25, -1.0), images=noise(seed=1)))
    assert code(board.page)[0] == 1.0
    assert board.page.get_by_test_id("latent-board").get_attribute("aria-busy") == "true"


def test_the_answer_to_the_latest_state_is_shown(board: Board) -> None:
    board.give(answer())
    board.press(0, "End")
    board.let_go(0)
    images = noise(seed=1)
    board.give(answer(answered=1, values=(1.0, 0.25, -1.0), images=images))
    np.testing.assert_array_equal(board.image()[..., :1], images[0, 0] ^ 255)
    assert board.page.get_by_test_id("latent-board").get_attribute("aria-busy") == "false"


def test_what_an_answer_says_goes_before_what_was_asked_for(board: Board) -> None:
    board.give(answer())
    board.press(0, "End")
    board.let_go(0)
    board.give(answer(answered=1, values=(0.5, 0.25, -1.0)))
    assert code(board.page)[0] == 0.5


def test_a_server_that_lost_its_session_is_believed(board: Board) -> None:
    board.give(answer())
    board.press(0, "End")
    board.let_go(0)
    board.give(answer(answered=0, values=(-1.0, 0.25, -1.0), session="two"))
    assert code(board.page)[0] == -1.0
    board.press(0, "End")
    board.let_go(0)
    assert [event["sequence"] for event in board.sent] == [1, 1]


def test_an_answer_put_aside_during_a_move_is_shown_when_nothing_came_of_it(board: Board) -> None:
    board.give(answer())
    board.press(0, "ArrowRight")
    board.give(answer(values=(0.0, 1.0, -1.0), images=noise(seed=1)))
    assert code(board.page) == [0.5, 0.25, -1.0]
    board.press(0, "ArrowLeft")
    board.let_go(0)
    expect(board.page.get_by_test_id("latent-image")).to_have_attribute("data-code", "0,1,-1")


def test_an_answer_put_aside_during_a_move_is_dropped_when_the_move_asks_for_more(
    board: Board,
) -> None:
    board.give(answer())
    board.press(0, "ArrowRight")
    board.give(answer(values=(0.0, 1.0, -1.0), images=noise(seed=1)))
    board.let_go(0)
    board.page.wait_for_timeout(100)
    assert code(board.page) == [0.5, 0.25, -1.0]


def test_a_move_that_begins_while_an_answer_is_unpacked_is_not_broken_off(board: Board) -> None:
    board.give(answer())
    board.page.evaluate(
        """async (data) => {
            give(data);
            const handle = document.querySelector("[data-testid=latent-handle-0]");
            handle.dispatchEvent(new KeyboardEvent("keydown", { key: "End" }));
            await data.opening;
            await new Promise(requestAnimationFrame);
        }""",
        answer(values=(-1.0, 0.25, -1.0), images=noise(seed=1)),
    )
    assert code(board.page) == [1.0, 0.25, -1.0]


def test_the_code_is_in_the_order_of_the_model_whatever_the_order_of_rows(board: Board) -> None:
    board.give(answer(order=(2, 0, 1)))
    rows = board.page.locator(".row").evaluate_all("rows => rows.map(row => row.dataset.testid)")
    assert rows == ["latent-row-2", "latent-row-0", "latent-row-1"]
    assert code(board.page) == [0.0, 0.25, -1.0]


def test_another_order_of_rows_keeps_the_focus(board: Board) -> None:
    board.give(answer())
    board.handle(2).focus()
    board.give(answer(order=(2, 0, 1)))
    expect(board.handle(2)).to_be_focused()


def test_a_slider_of_categories_says_which_one(board: Board) -> None:
    board.give(answer(values=(0.5, 0.25, -1.0)))
    handle = board.handle(0)
    expect(handle).to_have_role("slider")
    expect(handle).to_have_accessible_name("latent 0")
    for name, value in {
        "aria-valuemin": "-1",
        "aria-valuemax": "1",
        "aria-valuenow": "0.5",
        "aria-valuetext": "latent 0, category 3 of 0 to 4, value 0.50",
    }.items():
        expect(handle).to_have_attribute(name, value)


def test_a_slider_of_densities_says_its_value_alone(board: Board) -> None:
    board.give(answer(change={"continuous": True}))
    board.press(0, "ArrowRight")
    expect(board.handle(0)).to_have_attribute("aria-valuetext", "latent 0, value 0.50")


def test_names_from_the_server_are_text(board: Board) -> None:
    name = "<img src=x onerror=alert(1)>"
    board.give(answer(change={"carries": name, "information": 0.5}))
    expect(board.page.get_by_test_id("latent-row-0").locator(".carries")).to_have_text(name)
    expect(board.page.locator("img")).to_have_count(0)


def test_the_name_that_a_person_gave_is_in_the_row_the_readout_and_the_slider(
    board: Board,
) -> None:
    name = "latent 0 · <b>size</b>"
    board.give(answer(change={"name": name, "category_names": {2: "<i>small</i>"}}))
    row = board.page.get_by_test_id("latent-row-0")
    expect(row.locator(".name")).to_have_text(name)
    expect(board.page.locator(".readout .name")).to_have_text(name)
    expect(board.handle(0)).to_have_accessible_name(name)
    expect(board.handle(0)).to_have_attribute(
        "aria-valuetext", f"{name}, category 2 · <i>small</i> of 0 to 4, value 0.00"
    )
    board.give(answer(change={"name": ""}))  # removed again
    expect(row.locator(".name")).to_have_text("latent 0")


def test_inactive_rows_unfold(board: Board) -> None:
    board.give(answer(change={"active": False}))
    expect(board.page.get_by_test_id("latent-row-0")).to_be_hidden()
    board.page.get_by_role("button", name="1 inactive latent").click()
    expect(board.page.get_by_test_id("latent-row-0")).to_be_visible()
    assert len(set(board.page.get_by_test_id("latent-strip-0").evaluate(STRIP_COLOURS))) > 2


@pytest.mark.parametrize(
    ("active", "label"), [(True, "2 more latents"), (False, "2 more latents, 1 inactive")]
)
def test_rows_beyond_those_shown_unfold_together(board: Board, active: bool, label: str) -> None:
    board.give({**answer(change={"active": active}, order=(1, 2, 0)), "shown": 1})
    expect(board.page.get_by_test_id("latent-row-1")).to_be_visible()
    for latent in (0, 2):
        expect(board.page.get_by_test_id(f"latent-row-{latent}")).to_be_hidden()
    board.page.get_by_role("button", name=label, exact=True).click()
    for latent in (0, 2):
        expect(board.page.get_by_test_id(f"latent-row-{latent}")).to_be_visible()


def test_a_chosen_row_is_never_folded_away_at_first(board: Board) -> None:
    board.give({**answer(change={"chosen": True}, order=(1, 2, 0)), "shown": 1})
    expect(board.page.get_by_test_id("latent-row-0")).to_be_visible()


STRIP_COLOURS = """strip => {
    const { width, height } = strip;
    return [...strip.getContext("2d").getImageData(0, 0, width, height).data];
}"""


def test_the_reset_button_returns_a_row_to_its_start(board: Board) -> None:
    board.give(answer(values=(1.0, 0.25, -1.0)))
    board.page.get_by_test_id("latent-reset-0").click()
    assert [event["code"] for event in board.sent] == [[0.0, 0.25, -1.0]]


@pytest.mark.parametrize("motion", ["no-preference", "reduce"])
def test_playing_a_row_moves_the_image_and_sends_nothing(board: Board, motion: Any) -> None:
    board.page.emulate_media(reduced_motion=motion)
    board.give(answer())
    play = board.page.get_by_test_id("latent-play-0")
    play.click()
    expect(board.page.get_by_test_id("latent-image")).not_to_have_attribute(
        "data-code", "0,0.25,-1"
    )
    expect(play).to_have_accessible_name("stop latent 0")
    play.click()
    assert code(board.page) == [0.0, 0.25, -1.0]
    assert board.sent == []


def test_a_playing_row_goes_on_when_an_answer_arrives(board: Board) -> None:
    board.give(answer())
    board.page.get_by_test_id("latent-play-0").click()
    board.give(answer(values=(0.0, 1.0, -1.0)))
    assert code(board.page)[1:] == [1.0, -1.0]
    expect(board.page.get_by_test_id("latent-play-0")).to_have_accessible_name("stop latent 0")


def test_a_handle_caught_while_playing_stays_where_it_was_caught(board: Board) -> None:
    board.give(answer())
    board.page.mouse.move(1, 1)  # the browser lends its mouse to events made below
    board.page.get_by_test_id("latent-play-2").click()
    expect(board.page.get_by_test_id("latent-image")).to_have_attribute("data-code", "0,0.25,1")
    board.handle(2).evaluate(
        """handle => {
            const { left, width } = handle.getBoundingClientRect();
            const mouse = { pointerId: 1, isPrimary: true, bubbles: true };
            for (const type of ["pointerdown", "pointerup"]) {
                const clientX = left + width / 2;
                handle.dispatchEvent(new PointerEvent(type, { ...mouse, clientX }));
            }
        }"""
    )
    assert board.sent[0]["code"][2] > -1.0


def test_a_drag_that_the_browser_takes_away_leaves_everything_as_it_was(board: Board) -> None:
    board.give(answer())
    x, y = centre(board.handle(0))
    board.page.mouse.move(x, y)
    board.page.mouse.down()
    board.page.mouse.move(x + 300, y)
    assert code(board.page)[0] != 0.0
    board.page.locator(".rail").first.dispatch_event("pointercancel", {"pointerId": 1})
    assert code(board.page)[0] == 0.0
    assert board.sent == []


def test_a_handle_gripped_beside_its_needle_does_not_jump(board: Board) -> None:
    images = np.zeros((3, 64, 4, 4, 1), dtype=np.uint8)
    board.give(answer(images=images, change={"values": list(range(64)), "value": 20.0}))
    x, y = centre(board.handle(0))
    board.page.mouse.move(x + 11, y)
    board.page.mouse.down()
    board.page.mouse.move(x + 13, y)
    assert code(board.page)[0] == 20.0


def test_a_handle_between_two_values_stays_there_until_it_moves_sideways(board: Board) -> None:
    board.give(answer())
    x, y = centre(board.handle(1))
    board.page.mouse.move(x, y)
    board.page.mouse.down()
    board.page.mouse.move(x, y + 6)
    assert code(board.page) == [0.0, 0.25, -1.0]


def test_the_right_button_drags_nothing(board: Board) -> None:
    board.give(answer())
    x, y = centre(board.handle(0))
    board.page.mouse.move(x, y)
    board.page.mouse.down(button="right")
    board.page.mouse.move(x + 400, y)
    assert code(board.page) == [0.0, 0.25, -1.0]


def test_fewer_latents_in_the_next_answer_leave_no_row_behind(board: Board) -> None:
    data = answer()
    board.give(data)
    board.page.get_by_test_id("latent-play-2").click()
    fewer = {**data, "session": "two", "rows": data["rows"][:2], "code": data["code"][:2]}
    board.give(fewer)
    expect(board.page.get_by_test_id("latent-row-2")).not_to_be_attached()
    assert code(board.page) == [0.0, 0.25]


def test_escape_ends_a_drag_at_the_start(board: Board) -> None:
    board.give(answer(values=(0.5, 0.25, -1.0)))
    x, y = centre(board.handle(0))
    board.page.mouse.move(x, y)
    board.page.mouse.down()
    board.page.mouse.move(x - 300, y)
    board.page.keyboard.press("Escape")
    board.page.mouse.move(x + 100, y)
    board.page.mouse.up()
    assert [event["code"] for event in board.sent] == [[0.0, 0.25, -1.0]]


def test_the_clean_up_of_an_overtaken_call_leaves_the_board(board: Board) -> None:
    board.give(answer())
    board.page.evaluate("() => { window.overtaken = window.cleanUp; }")
    board.give(answer(values=(1.0, 0.25, -1.0)))
    board.page.evaluate("() => overtaken()")
    expect(board.page.get_by_test_id("latent-board")).to_be_attached()
    board.page.evaluate("() => cleanUp()")
    expect(board.page.get_by_test_id("latent-board")).not_to_be_attached()


def test_rows_of_different_length_share_one_axis(board: Board) -> None:
    few = [-1.0, 0.0, 1.0]
    images = [noise()[0, :3], noise()[1], noise()[2]]
    data = answer(change={"values": few, "aggregate": [0.2, 0.5, 0.3]}, images=images)
    board.give(data)
    places = []
    for latent in (0, 1):
        for key in ("Home", "End"):
            board.press(latent, key)
            place = board.handle(latent).bounding_box()
            assert place is not None
            places.append(place["x"])
        board.press(latent, "Escape")
    assert places[:2] == pytest.approx(places[2:], abs=0.5)
    board.press(0, "End")
    np.testing.assert_array_equal(board.image()[..., 0], images[0][2, ..., 0])
    expect(board.handle(0)).to_have_attribute(
        "aria-valuetext", "latent 0, category 2 of 0 to 2, value 1.00"
    )


def test_a_single_value_can_be_shown(board: Board) -> None:
    images = np.zeros((3, 5, 4, 4, 1), dtype=np.uint8)
    board.give(answer(images=images, change={"values": [0.0], "posterior": [1.0]}))
    board.press(0, "ArrowRight", "Home", "PageDown")
    assert code(board.page)[0] == 0.0
    expect(board.page.get_by_test_id("latent-play-0")).to_be_disabled()


def test_frames_that_cannot_be_read_are_told(board: Board) -> None:
    board.page.evaluate("data => { give(data) }", {**answer(), "frames": "AAAA"})
    expect(board.page.get_by_role("status")).to_contain_text("The images cannot be shown")


def test_data_survives_json(board: Board) -> None:
    data = answer(change={"kl_nats": float("nan"), "posterior": [float("nan"), 1, 2, 3, 4]})
    board.give(json.loads(json.dumps(data, allow_nan=False)))
    expect(board.page.get_by_test_id("latent-row-0").locator(".kl")).to_have_text("")
