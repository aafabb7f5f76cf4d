"""One selection on every page: each control shows what its page computes with."""

import re
from collections.abc import Iterator
from itertools import pairwise
from math import gcd

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

pytestmark = pytest.mark.browser

SHARED = ("Explore", "Factors", "Images", "Latents", "Models", "Train")
"""Pages with a box "Run"."""
PAGES = (*SHARED, "Compare", "Select", "Method")
PATHS = {page: "" if page == "Explore" else page.lower() for page in PAGES}
WITH_PROTOCOL = ("Factors", "Compare", "Select")
# None of these is the first of its list, which a box that lost its value would show.
OPENING, OTHER, SECOND = "rooms-categorical-factor", "circles-gaussian", "digits-categorical"
EXAMPLE = "circles-categorical"  # of Method, which has no use for a Gaussian run
SUMMARIES = {
    "rooms-categorical-factor": "rooms 32x32 · objective factor",
    "digits-categorical": "digits 32x32",
    "circles-categorical": "categorical latents, N = 2",
    "circles-gaussian": "gaussian latents, N = 2",
    "sprites-gaussian": "gaussian latents, N = 10 · sprites",
}


def sidebar(page: Page) -> Locator:
    return page.get_by_test_id("stSidebar")


def go(page: Page, name: str) -> None:
    link = page.get_by_test_id("stSidebarNav").get_by_role("link", name=name)
    link.click()
    expect(link).to_have_attribute("aria-current", "page")


def choose(page: Page, label: str, run: str) -> None:
    sidebar(page).get_by_role("combobox", name=label, exact=True).click()
    page.get_by_role("option", name=f"{run} (shipped)", exact=True).click()


def expect_run(page: Page, run: str, label: str = "Run") -> None:
    """The box shows the run, and so does what the page says below it."""
    box = sidebar(page).get_by_role("combobox", name=label, exact=True)
    expect(sidebar(page).get_by_text(SUMMARIES[run])).to_be_visible()
    expect(box).to_have_count(1)  # for a moment the one before stands beside it
    expect(page.get_by_test_id("stStatusWidget")).to_have_count(0)
    expect(box).to_have_value(f"{run} (shipped)")


def expect_shared(page: Page, run: str) -> None:
    """As `expect_run`, and the link names the run."""
    expect(page).to_have_url(re.compile(f"run=checkpoints(/|%2F){run}(&|$)"))
    expect_run(page, run)


def expect_side(page: Page, label: str, run: str) -> None:
    """The box of one side of Compare shows the run, and so does the heading of its board."""
    heading = page.get_by_role("heading", name=f"{run} (shipped)", exact=True)
    expect(heading).to_be_visible(timeout=180_000)  # the first time it encodes 10,000 images
    expect(page.get_by_test_id("stStatusWidget")).to_have_count(0)
    box = sidebar(page).get_by_role("combobox", name=label, exact=True)
    expect(box).to_have_value(f"{run} (shipped)")


def expect_page(page: Page, name: str) -> None:
    """A page shows the selection in its boxes, in its link, and in what it computes."""
    expect(page).to_have_url(re.compile(f"run=checkpoints(/|%2F){OTHER}(&|$)"))
    if name in SHARED:
        expect_run(page, OTHER)
    if name == "Train":
        expect(page.get_by_role("heading", name=OTHER, exact=True)).to_be_visible()
    elif name == "Method":
        expect_run(page, EXAMPLE, "Example run")
    elif name == "Compare":
        expect_side(page, "Left", OTHER)
        expect_side(page, "Right", SECOND)
    if name in WITH_PROTOCOL:
        chosen = sidebar(page).get_by_role("radio", name="native: categories as they are")
        expect(chosen).to_be_checked()


def expect_there(page: Page, path: str, run: str) -> None:
    expect(page).to_have_url(re.compile(f"/{path}\\?.*run=checkpoints(/|%2F){run}(&|$)"))
    expect_run(page, run)
    page.wait_for_timeout(600)  # a person takes longer to go on


def rounds(names: tuple[str, ...]) -> Iterator[str]:
    """A walk from the first name that reaches each name from three others.

    Each round goes to every name, by steps of one length. All ordered pairs would take three times
    as long, and what a page shows depends on having been left, not on where to.
    """
    count = len(names)
    steps = [step for step in range(1, count) if gcd(step, count) == 1]  # which miss no name
    yield names[0]
    for step in steps[:3]:
        yield from (names[step * place % count] for place in range(1, count + 1))


@pytest.mark.timeout(900)
def test_every_control_shows_the_selection_wherever_a_person_comes_from(
    page: Page, address: str
) -> None:
    page.goto(f"{address}/compare?run=checkpoints/{OTHER}")
    expect_side(page, "Left", OTHER)
    choose(page, "Right", SECOND)
    expect_side(page, "Right", SECOND)
    sidebar(page).get_by_text("native: categories as they are").click()
    expect(page).to_have_url(re.compile("protocol=native"))
    go(page, "Explore")
    walk = list(rounds(PAGES))
    assert len(set(pairwise(walk))) == 3 * len(PAGES)
    for place, name in enumerate(walk):
        if place:
            go(page, name)
        expect_page(page, name)


def test_a_run_chosen_on_any_page_is_in_the_box_of_the_next(page: Page, address: str) -> None:
    page.goto(address)
    expect_shared(page, OPENING)
    go(page, "Factors")
    expect_shared(page, OPENING)
    choose(page, "Run", OTHER)
    expect_shared(page, OTHER)
    choose(page, "Run", "circles-categorical")  # the first of the list
    expect_shared(page, "circles-categorical")
    go(page, "Train")
    expect_shared(page, "circles-categorical")
    choose(page, "Run", OTHER)
    expect_shared(page, OTHER)
    go(page, "Compare")
    expect_side(page, "Left", OTHER)
    choose(page, "Left", "digits-categorical")
    expect_side(page, "Left", "digits-categorical")
    go(page, "Models")
    expect_shared(page, "digits-categorical")


def test_links_back_forward_and_reload(page: Page, address: str) -> None:
    page.goto(f"{address}/?run=checkpoints/sprites-gaussian")
    expect_shared(page, "sprites-gaussian")
    choose(page, "Run", OTHER)
    expect_shared(page, OTHER)
    go(page, "Factors")
    expect_shared(page, OTHER)
    choose(page, "Run", "circles-categorical")
    expect_shared(page, "circles-categorical")
    go(page, "Select")
    expect(page).to_have_url(re.compile("/select.*folder="))  # its second link
    page.wait_for_timeout(600)
    entries = [  # one for each thing that was done
        ("", "sprites-gaussian"),
        ("", OTHER),
        ("factors", OTHER),
        ("factors", "circles-categorical"),
    ]
    for path, run in reversed(entries):
        page.go_back()
        expect_there(page, path, run)
    for path, run in entries[1:]:
        page.go_forward()
        expect_there(page, path, run)
    page.go_back()
    expect_there(page, *entries[2])
    page.reload()
    expect_shared(page, OTHER)
    go(page, "Models")
    expect_shared(page, OTHER)


def test_a_cell_of_the_heat_map_is_still_chosen_on_return(page: Page, address: str) -> None:
    page.goto(f"{address}/factors?run=checkpoints/{OTHER}&latent=1&factor=x")
    cell = page.locator(".st-key-cell")
    expect(cell).to_contain_text("latent 1 beside x")
    cell.get_by_role("button", name="in Explore").click()
    expect(page.get_by_test_id("latent-board")).to_be_visible()
    order = sidebar(page).get_by_role("combobox", name="Order latents by")
    expect(order).to_have_value("information: x")
    expect(page.get_by_test_id("latent-row-1")).to_have_class(re.compile("chosen"))
    go(page, "Factors")
    expect(cell).to_contain_text("latent 1 beside x")
    page.reload()
    expect(cell).to_contain_text("latent 1 beside x")


def test_a_second_tab_has_a_choice_of_its_own(page: Page, address: str, browser: Browser) -> None:
    page.goto(f"{address}/?run=checkpoints/{OTHER}")
    expect_shared(page, OTHER)
    other = page.context.new_page()
    other.goto(f"{address}/factors")
    expect_shared(other, OPENING)
    choose(other, "Run", "circles-categorical")
    expect_shared(other, "circles-categorical")
    go(page, "Models")
    expect_shared(page, OTHER)
    go(other, "Explore")
    expect_shared(other, "circles-categorical")
    go(page, "Factors")
    expect_shared(page, OTHER)


def test_the_kind_of_start_survives_another_page(page: Page, address: str) -> None:
    page.goto(f"{address}/?run=checkpoints/circles-gaussian&start=prior-3")
    chosen = sidebar(page).locator("[data-testid=stButtonGroup] [aria-checked=true]")
    expect(chosen).to_have_text("Prior")
    go(page, "Factors")
    expect_shared(page, "circles-gaussian")
    go(page, "Explore")
    expect_shared(page, "circles-gaussian")
    expect(chosen).to_have_text("Prior")
    expect(sidebar(page).get_by_text("Prior sample 3")).to_be_visible()


def test_the_form_of_a_new_run_survives_a_reload_and_back_takes_a_change_back(
    page: Page, address: str
) -> None:
    page.goto(f"{address}/train?view=new")
    steps = page.get_by_label("Steps", exact=True)
    family = page.get_by_role("combobox", name="Latent family")
    steps.fill("700")
    steps.press("Enter")
    expect(page).to_have_url(re.compile("steps=700"))
    page.wait_for_timeout(600)
    family.click()
    page.get_by_role("option", name="QLAE (quantized)").click()
    expect(page).to_have_url(re.compile("latents=quantized"))
    page.reload()
    expect(steps).to_have_value("700")
    expect(family).to_have_value("QLAE (quantized)")
    page.wait_for_timeout(600)
    page.go_back()
    expect(family).to_have_value("Categorical")
    expect(steps).to_have_value("700")
