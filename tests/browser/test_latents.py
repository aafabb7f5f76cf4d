"""The page Latents with the shipped runs, in a real browser."""

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import REPOSITORY, Serve

pytestmark = pytest.mark.browser


def test_a_name_changes_the_words_of_the_boxes_and_not_the_latent(
    page: Page, serve: Serve, tmp_path: Path
) -> None:
    address = serve(REPOSITORY / "app.py", {"DVAE_DATA": str(tmp_path)})
    order = ("latent=1", "latent=0")  # one of them is not the first of the box
    for link, words in zip(order, ("height", "side"), strict=True):
        page.goto(f"{address}/latents?run=checkpoints/circles-categorical&{link}")
        latent = f"Latent {link[-1]}"
        page.get_by_text("Name and note").click()
        page.get_by_label("Name", exact=True).fill(words)
        page.get_by_label("Name", exact=True).press("Enter")
        expect(page.get_by_role("heading", name=f"{latent} · {words}")).to_be_visible()
        # The form is open still, and what a person does next does not send the words of before.
        page.get_by_label("Note", exact=True).fill("of the disc")
        page.get_by_label("Note", exact=True).press("Control+Enter")
        expect(page.get_by_text("of the disc", exact=True).first).to_be_visible()
        expect(page.get_by_role("heading", name=f"{latent} · {words}")).to_be_visible()
        assert link in page.url
