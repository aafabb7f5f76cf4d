"""A page run without a browser, before a folder of small runs."""

import json
import shutil
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import streamlit as st
from streamlit.components.v2 import manifest_scanner
from streamlit.testing.v1 import AppTest

from dvae_core.config import RunConfig
from dvae_core.data.imported.dataset import import_images
from dvae_core.data.imported.options import ImportOptions
from dvae_core.evaluation.results import EvaluationSettings
from dvae_core.runs.run import Run
from dvae_core.training.estimate import Estimate
from dvae_core.training.trainer import train

APP = Path(__file__).parents[2] / "ui" / "main.py"

OpenApp = Callable[..., AppTest]


@pytest.fixture(scope="session", autouse=True)
def _packages_scanned_once() -> Iterator[None]:
    """Each `AppTest` looks for components in all installed packages, which takes longer than most
    pages."""
    with pytest.MonkeyPatch.context() as patch:
        scan = cache(manifest_scanner.scan_component_manifests)
        patch.setattr(manifest_scanner, "scan_component_manifests", scan)
        yield


@pytest.fixture(autouse=True)
def own_folders(own_folders: Path) -> Path:
    """Empty folders of runs and data sets, and no cache of another test."""
    st.cache_data.clear()
    st.cache_resource.clear()
    return own_folders


@pytest.fixture
def train_unlabelled(own_folders: Path, tiny_config: RunConfig) -> Callable[[int], str]:
    """Train a run on so many images without factors; returns its address."""

    def make(count: int) -> str:
        pixels = np.random.default_rng(0).integers(0, 255, (count, 32, 32), np.uint8)
        np.savez(own_folders / "bare.npz", images=pixels)
        import_images(own_folders / "bare.npz", "bare", ImportOptions(32))
        config = tiny_config.model_copy(update={"dataset": "bare"})
        train(Run.create(own_folders / "runs" / "unlabelled", config, (1, 32, 32)))
        return "runs/unlabelled"

    return make


@pytest.fixture
def runs(
    own_folders: Path, tiny_config: RunConfig, trained_once: Callable[[RunConfig], Path]
) -> dict[str, Run]:
    """A shipped run and one of the user's, of different families and sizes."""
    gaussian = tiny_config.model_copy(update={"latents": "gaussian", "num_latents": 3})
    made = {
        "checkpoints/discrete": (own_folders / "checkpoints" / "discrete", tiny_config),
        "runs/smooth": (own_folders / "runs" / "smooth", gaussian),
    }
    return {
        address: Run(shutil.copytree(trained_once(config), folder))
        for address, (folder, config) in made.items()
    }


@pytest.fixture
def open_app() -> OpenApp:
    """Open the app at a link, and run it once."""

    def open_at(page: str | None = None, **query: str) -> AppTest:
        app = AppTest.from_file(str(APP), default_timeout=60)
        for name, value in query.items():
            app.query_params[name] = value
        if page is not None:
            app.switch_page(f"../{page}")
        return app.run()

    return open_at


def ticked(app: AppTest, table: int = 0) -> list[int]:
    """The rows that a new table has ticked."""
    selection = json.loads(app.dataframe[table].proto.selection_default)
    rows: list[int] = selection["selection"]["rows"]
    return rows


class InstantEstimate:
    """Stands in for the process that times some steps: three minutes for everything."""

    is_running = False

    def __init__(self, config: RunConfig) -> None:
        pass

    def result(self) -> Estimate:
        return Estimate(180.0, 120.0, 240.0, 2_000.0, 100)


@pytest.fixture(autouse=True)
def few_images(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages encode a tenth of the images that a person's browser waits for."""
    few = EvaluationSettings(points=1_000, test_points=500)
    monkeypatch.setattr("ui.cached.EvaluationSettings", lambda: few)
    monkeypatch.setattr("ui.cached.ROTATION_IMAGES", 6)
    monkeypatch.setattr("ui.cached.AGGREGATE_IMAGES", 128)
    # No browser asks for the progress of an encoding.
    monkeypatch.setattr("ui.encoding.PATIENCE_SECONDS", 60.0)


@pytest.fixture(autouse=True)
def instant_estimate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ui.train.start.EstimateProcess", InstantEstimate)
