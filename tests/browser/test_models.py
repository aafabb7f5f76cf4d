"""A VAE written in plain torch, exported, uploaded and slid, in a real browser."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch
from playwright.sync_api import Page, expect
from torch import Tensor, nn

from dvae_core.runs.run import Run
from tests.browser.conftest import REPOSITORY
from tests.browser.test_explore import drag, expect_code, settled
from tests.browser.test_latent_board import code

pytestmark = [pytest.mark.browser, pytest.mark.filterwarnings("ignore")]


Answer = Callable[[Tensor], Tensor | tuple[Tensor, Tensor]]


class GaussianVAE(nn.Module):
    """Two latents: how bright the left half is, and how bright the right half."""

    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        halves = images.unflatten(3, (2, 16)).mean((1, 2, 4))  # (B, 1, 32, 2, 16) -> (B, 2)
        return 4 * halves - 2, torch.full_like(halves, -4.0)

    def decode(self, codes: Tensor) -> Tensor:
        columns = codes.sigmoid().repeat_interleave(16, 1)  # (B, 2) -> (B, 32)
        return columns[:, None, None].expand(-1, 1, 32, 32)


class Call(nn.Module):
    def __init__(self, function: Answer) -> None:
        super().__init__()
        self.function = function

    def forward(self, batch: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        return self.function(batch)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def address(serve: Callable[[Path, Mapping[str, str]], str], runs: Path) -> str:
    return serve(REPOSITORY / "app.py", {"DVAE_RUNS": str(runs)})


def exported(folder: Path) -> dict[str, Path]:
    model = GaussianVAE()
    networks: dict[str, tuple[Answer, Tensor]] = {
        "Encoder": (model.encode, torch.zeros(2, 1, 32, 32)),
        "Decoder": (model.decode, torch.zeros(2, 2)),
    }
    paths = {}
    for name, (function, example) in networks.items():
        paths[name] = folder / f"{name}.onnx"
        torch.onnx.export(
            Call(function),
            (example,),
            paths[name],
            dynamo=True,
            verbose=False,
            external_data=False,
            dynamic_shapes=({0: torch.export.Dim.DYNAMIC},),
        )
    return paths


def test_ones_own_model_is_uploaded_and_slid(
    page: Page, address: str, runs: Path, tmp_path: Path
) -> None:
    files = exported(tmp_path)
    page.goto(f"{address}/models")
    expect(page.get_by_role("heading", name="Import a model")).to_be_visible()
    for place, path in enumerate(files.values()):
        expect(page.get_by_test_id("stStatusWidget")).to_have_count(0)  # the first run of the page
        page.locator("input[type=file]").nth(place).set_input_files(path)
        expect(page.get_by_text(path.name, exact=True)).to_be_visible()
        expect(page.get_by_test_id("stStatusWidget")).to_have_count(0)
    page.get_by_label("Name").fill("halves")
    page.get_by_role("button", name="Import", exact=True).click()
    expect(page.get_by_text("halves was imported")).to_be_visible(timeout=60_000)
    assert Run(runs / "halves").record.num_latents == 2

    page.get_by_role("button", name="Open in Explore").click()
    expect(page.get_by_test_id("stSidebar").get_by_text("imported from")).to_be_visible()
    settled(page)
    before = code(page)
    drag(page, latent=0, by=80)
    after = code(page)
    assert after[0] > before[0]
    expect_code(page, [after[0], before[1]])  # the other handle stays
