"""A run of known cardinalities on every page, beside one that knows none."""

from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from dvae_core.config import RunConfig
from dvae_core.runs.run import Run
from dvae_core.training.trainer import train
from tests.app.conftest import OpenApp


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the run `known`, whose latents have 3, 40 and 12 categories, and `unknown`,
    whose two latents have 5."""
    folder = tmp_path_factory.mktemp("runs")
    sizes: dict[str, dict[str, Any]] = {
        "known": {"num_latents": 3, "num_categories": 40, "cardinalities": (3, 40, 12)},
        "unknown": {"num_latents": 2, "num_categories": 5},
    }
    for name, settings in sizes.items():
        config = RunConfig.from_preset(
            "quick", **settings, steps=12, batch_size=8, threads=1, device="cpu"
        )
        train(Run.create(folder / name, config, (1, 32, 32)))
    return folder


@pytest.fixture(autouse=True)
def runs_of_both(own_folders: Path, trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVAE_RUNS", str(trained))


def said(app: AppTest) -> str:
    shown = " ".join(element.value for element in (*app.caption, *app.markdown))
    return shown.replace("\\", "")


def test_explore_says_how_many_categories_each_latent_has(open_app: OpenApp) -> None:
    app = open_app("pages/explore.py", run="runs/known")
    assert not app.exception
    assert not app.error
    assert "K = 3, 40, 12" in said(app)


@pytest.mark.parametrize("tool", ["pair", "downloads"])
def test_a_tool_copes_with_rows_of_different_length(open_app: OpenApp, tool: str) -> None:
    app = open_app("pages/explore.py", run="runs/known")
    app.button_group(key="tool").set_value(tool).run()
    assert not app.exception
    assert not app.error


def test_factors_counts_the_categories_as_they_are(open_app: OpenApp) -> None:
    app = open_app("pages/factors.py", run="runs/known")
    app.sidebar.radio[0].set_value("native").run()
    boxes = {box.label: box for box in app.selectbox}
    boxes["Latent"].set_value(0)
    boxes["Factor"].set_value("y").run()
    assert not app.exception
    assert not app.error
    assert "**latent 0** beside **y**" in said(app)
    assert "K = 3, 40, 12; Miller-Madow" in said(app)


@pytest.mark.parametrize("mass", ["aggregate", "made"])
def test_compare_turns_two_latents_of_different_size(open_app: OpenApp, mass: str) -> None:
    app = open_app("pages/compare.py", part="rotation")
    app.sidebar.selectbox(key="run-choice").set_value("runs/known").run()
    app.sidebar.selectbox(key="compare-right").set_value("runs/unknown").run()
    app.slider(key="angle").set_value(30)
    app.button_group(key="turned-mass").set_value(mass).run()
    assert not app.exception
    assert not app.error


def test_method_takes_it_as_the_example(open_app: OpenApp) -> None:
    app = open_app("pages/method.py")
    app.sidebar.selectbox(key="example").set_value("runs/known").run()
    assert not app.exception
    assert not app.error
