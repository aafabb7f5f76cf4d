from collections.abc import Callable

import pytest

from dvae_core.runs.run import Run
from tests.app.conftest import OpenApp

PAGE = "pages/latents.py"


def test_without_a_run_the_page_says_how_to_get_one(open_app: OpenApp) -> None:
    app = open_app(PAGE)
    assert not app.exception
    assert "python -m dvae_core train" in app.code[0].value


@pytest.mark.parametrize(
    ("address", "kind"), [("checkpoints/discrete", "Categories"), ("runs/smooth", "Bins")]
)
def test_both_families_show_what_the_data_put_into_a_latent(
    open_app: OpenApp, runs: dict[str, Run], address: str, kind: str
) -> None:
    app = open_app(PAGE, run=address, latent="1")
    assert not app.exception
    assert not app.error
    assert app.subheader[0].value.startswith("Latent 1")
    metrics = {metric.label: metric.value for metric in app.metric}
    assert set(metrics) == {"Mean KL", f"{kind} in use", "Without an image"}
    assert any("From 1,024 images." in caption.value for caption in app.caption)


def test_another_latent_is_that_of_all_pages(open_app: OpenApp, runs: dict[str, Run]) -> None:
    app = open_app(PAGE, run="checkpoints/discrete", latent="0")
    app.sidebar.selectbox[1].set_value(1).run()
    assert app.subheader[0].value.startswith("Latent 1")
    assert app.query_params["latent"] == "1"


def test_typical_images_and_a_factor_are_in_the_link(
    open_app: OpenApp, runs: dict[str, Run]
) -> None:
    app = open_app(PAGE, run="checkpoints/discrete", pick="typical", of="y")
    assert not app.exception
    assert "Factor" in [box.label for box in app.selectbox]
    shown = " ".join(caption.value.replace("\\", "") for caption in app.caption)
    assert "nats of y. Each column is" in shown


def test_images_without_factors_have_means_instead(
    open_app: OpenApp, train_unlabelled: Callable[[int], str]
) -> None:
    app = open_app(PAGE, run=train_unlabelled(30))
    assert not app.exception
    assert not app.error
    assert "What varies within a category" in [header.value for header in app.subheader]


def test_a_missing_data_set_is_said(
    open_app: OpenApp, runs: dict[str, Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = runs["runs/smooth"]
    config = run.path / "config.json"
    config.write_text(config.read_text().replace('"circles"', '"gone"'))
    app = open_app(PAGE, run="runs/smooth")
    assert not app.exception
    assert "no data set is called" in app.error[0].value


@pytest.mark.parametrize("page", ["pages/explore.py", "pages/factors.py"])
def test_the_page_is_a_click_away(open_app: OpenApp, runs: dict[str, Run], page: str) -> None:
    app = open_app(page, run="checkpoints/discrete", latent="1", factor="x")
    (button,) = [button for button in app.button if button.label.startswith("Real images of")]
    button.click().run()
    assert not app.exception
    assert app.subheader[0].value.startswith("Latent 1")
