"""Every page that shows a model, for the families with learnt values or points."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from dvae_core.__main__ import main
from dvae_core.config import FAMILIES, RunConfig
from tests.app.conftest import OpenApp

NEW = ("qvae", "quantized", "fsq")
each_family = pytest.mark.parametrize("family", NEW)


@pytest.fixture
def address(
    own_folders: Path,
    tiny_config: RunConfig,
    trained_once: Callable[[RunConfig], Path],
    family: str,
) -> str:
    settings = {"latents": family, "num_categories": 16, "hessian_weight": 1.0}
    config = tiny_config.model_copy(update=settings)
    shutil.copytree(trained_once(config), own_folders / "runs" / "one")
    return "runs/one"


def words(app: AppTest) -> str:
    said = [*app.info, *app.warning, *app.error, *app.caption, *app.markdown]
    return " ".join(element.value for element in said).replace("\\", "")


def in_order(app: AppTest) -> None:
    assert not app.exception
    assert not app.error


@each_family
def test_the_board_opens_and_says_what_its_bars_are(
    open_app: OpenApp, address: str, family: str
) -> None:
    app = open_app(run=address, start="factors-3.20")
    in_order(app)
    is_point = family != "qvae"
    assert ("a point, not a distribution" in words(app)) == is_point
    assert ("KL of the start image from the prior" in words(app)) != is_point


@pytest.mark.parametrize(
    ("page", "family"),
    [("latents", "qvae"), ("latents", "fsq"), ("images", "quantized"), ("compare", "quantized")],
)
def test_other_pages_stand(open_app: OpenApp, address: str, page: str) -> None:
    in_order(open_app(f"pages/{page}.py", run=address))


@pytest.mark.parametrize(
    ("protocol", "family"),
    [("paper", "qvae"), *(("native", family) for family in NEW)],
)
def test_the_heat_map_is_the_same_kind_for_all(
    open_app: OpenApp, address: str, protocol: str
) -> None:
    app = open_app("pages/factors.py", run=address)
    app.sidebar.radio[0].set_value(protocol).run()
    in_order(app)
    assert f"{protocol}: " in words(app)


def test_a_run_of_the_command_line_opens_on_its_board(open_app: OpenApp, own_folders: Path) -> None:
    flags = "--latents quantized --preset qlae --dataset circles --image-size 32 --num-latents 3"
    quick = "--steps 6 --batch-size 8 --threads 1 --snapshot-every 3"
    folder = own_folders / "runs" / "qlae"
    assert main(["train", *flags.split(), *quick.split(), "--run-dir", str(folder)]) == 0
    app = open_app(run="runs/qlae", start="factors-3.20")
    in_order(app)
    assert "a point, not a distribution" in words(app)


@each_family
def test_a_family_brings_its_own_settings_to_the_form(open_app: OpenApp, family: str) -> None:
    app = open_app("pages/train.py", view="new")
    (box,) = [box for box in app.selectbox if box.label == "Latent family"]
    box.set_value(family).run()
    in_order(app)
    shown = {field.label for field in app.text_input}
    for name in FAMILIES[family].settings:  # type: ignore[index]
        title = RunConfig.model_fields[name].title or name.replace("_", " ").capitalize()
        assert name in ("noise_steps", "sampling") or title in shown


@pytest.mark.parametrize("preset", ["tripod"])
def test_a_preset_fills_the_form(open_app: OpenApp, preset: str) -> None:
    app = open_app("pages/train.py", view="new")
    (choice,) = [group for group in app.button_group if group.label == "Preset"]
    choice.set_value(preset).run()
    in_order(app)
    wanted = RunConfig.from_preset(preset)
    (steps,) = [field for field in app.text_input if field.label == "Steps"]
    assert steps.value == str(wanted.steps)
