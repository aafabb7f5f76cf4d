"""The page Images, without a browser: no clicks into the table or the map."""

import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from dvae_core.analysis.encoded import cached_encoded_set
from dvae_core.config import RunConfig
from dvae_core.data.imported.dataset import import_images
from dvae_core.data.imported.options import ImportOptions
from dvae_core.errors import EvaluationError
from dvae_core.runs.run import Run
from dvae_core.training.trainer import train
from tests.app.conftest import OpenApp

PAGE = "pages/images.py"
RUN = "checkpoints/discrete"


def texts(app: AppTest) -> str:
    shown = [*app.markdown, *app.caption, *app.warning, *app.error, *app.info]
    return " ".join(str(element.value).replace("\\", "") for element in shown)


def set_field(app: AppTest, label: str, value: str) -> None:
    """By label: the key changes with the value that the app holds."""
    fields = [*app.selectbox, *app.text_input]
    next(field for field in fields if field.label == label).set_value(value).run()
    assert not app.exception


def press(app: AppTest, key: str) -> None:
    app.button(key=key).click().run()
    assert not app.exception


def test_without_a_run_the_page_says_how_to_get_one(open_app: OpenApp) -> None:
    app = open_app(PAGE)
    assert not app.exception
    assert "python -m dvae_core train" in app.code[0].value


@pytest.mark.parametrize(("address", "kind"), [(RUN, "category 0"), ("runs/smooth", "latent 0")])
def test_both_families_have_a_table(
    open_app: OpenApp,
    runs: dict[str, Run],
    monkeypatch: pytest.MonkeyPatch,
    address: str,
    kind: str,
) -> None:
    monkeypatch.setattr("dvae_core.analysis.encoded.ACTIVE_NATS", -1.0)  # a tiny run learns nothing
    app = open_app(PAGE, run=address)
    assert not app.exception
    assert not app.error
    assert "**1,024** images" in texts(app)
    table = app.dataframe[0].value
    assert len(table) == 30
    assert {"image", "number", '"x"', "loss", "kl", kind} <= set(table.columns)
    assert "reconstruction" not in table
    press(app, "images-chevron_right")
    assert app.query_params["page"] == "2"
    assert "31 to 60 of 1,024" in texts(app)


def test_conditions_are_added_changed_counted_and_removed(
    open_app: OpenApp, runs: dict[str, Run]
) -> None:
    app = open_app(PAGE, run=RUN)
    press(app, "images-last_page")
    assert app.query_params["page"] == "35"
    press(app, "condition-add")
    assert app.query_params["where"] == "loss >= 95%"
    assert "page" not in app.query_params
    assert "**52** of 1,024 images" in texts(app)
    set_field(app, "Condition 1", '"y"')
    set_field(app, "Comparison 1", "in")
    set_field(app, "To 1", "3")
    assert app.query_params["where"] == '"y" in 0..3'
    assert "**128** of 1,024 images" in texts(app)
    press(app, "condition-add")
    assert "128 images" in texts(app)
    assert "52 images" in texts(app)
    set_field(app, "To 1", "many")
    assert "“many” is no number" in texts(app)
    assert app.query_params["where"].startswith('"y" in 0..3')
    press(app, "remove-0")
    press(app, "remove-0")
    assert "where" not in app.query_params
    assert "**1,024** images" in texts(app)


def test_a_link_restores_the_slice_and_the_order(open_app: OpenApp, runs: dict[str, Run]) -> None:
    app = open_app(PAGE, run=RUN, where="x in 0..7 and (y = 3 or y = 5)", sort="-loss")
    assert not app.exception
    assert "**16** of 1,024 images" in texts(app)
    assert app.selectbox(key="condition-0-what").value == '"x"'
    assert app.text_input(key="condition-1-text").value == "(y = 3 or y = 5)"
    table = app.dataframe[0].value
    assert len(table) == 16
    assert (np.diff(table["loss"]) <= 0).all()
    assert {"reconstruction", "difference"} <= set(table.columns)


def test_an_empty_slice_names_the_condition_to_blame(
    open_app: OpenApp, runs: dict[str, Run]
) -> None:
    app = open_app(PAGE, run=RUN, where="x = 3 and loss > 1e6")
    assert not app.exception
    assert "no image meets “reconstruction loss, nats more than 1e6”" in texts(app)
    app = open_app(PAGE, run=RUN, where="x = 3 and x = 4")
    assert "without “x is 3” it has 32" in texts(app)
    app = open_app(PAGE, run=RUN, where="hue = 3 and x = 4")
    assert "no factor is called 'hue'" in texts(app)
    assert "**32** of 1,024 images" in texts(app)


def test_a_chosen_image_is_the_start_everywhere(open_app: OpenApp, runs: dict[str, Run]) -> None:
    app = open_app(PAGE, run=RUN, start="factors-3.4")
    near = [button for button in app.button if str(button.key).startswith("nearest-")]
    assert len(near) == 8
    near[0].click().run()
    start = app.query_params["start"]
    assert start.startswith("factors-")
    assert start != "factors-3.4"
    press(app, "images-explore")
    assert app.title[0].value == "Explore"
    assert app.query_params["start"] == start


def test_images_of_the_same_factors_are_told_apart(
    open_app: OpenApp, own_folders: Path, tiny_config: RunConfig, tmp_path: Path
) -> None:
    draw = np.random.default_rng(0)
    pixels = draw.integers(0, 255, (40, 32, 32), np.uint8)
    labels = np.stack([np.arange(40) % 2, np.arange(40) % 3], 1)
    np.savez(tmp_path / "two.npz", images=pixels, factors=labels)
    import_images(tmp_path / "two.npz", "two", ImportOptions(32))
    config = tiny_config.model_copy(update={"dataset": "two"})
    train(Run.create(own_folders / "runs" / "labelled", config, (1, 32, 32)))
    app = open_app(PAGE, run="runs/labelled", start="image-17")
    assert not app.exception
    assert app.subheader[0].value == "Start: image 17"
    press(app, "images-explore")
    assert not app.info
    assert app.query_params["start"] == "image-17"


def test_images_without_factors_have_a_table_too(
    open_app: OpenApp, train_unlabelled: Callable[[int], str]
) -> None:
    app = open_app(PAGE, run=train_unlabelled(60), part="scores", where="loss >= 50%")
    assert not app.exception
    assert "Without factors" in texts(app)
    assert "**30** of 60 images" in texts(app)


@pytest.mark.parametrize("kind", ["latents", "pca"])
def test_the_map_keeps_chosen_points_in_the_link(
    open_app: OpenApp, runs: dict[str, Run], kind: str
) -> None:
    from base64 import urlsafe_b64encode
    from zlib import compress

    bits = np.zeros(1024, bool)
    bits[[5, 7, 900]] = True
    points = urlsafe_b64encode(compress(np.packbits(bits).tobytes())).decode()
    app = open_app(PAGE, run=RUN, part="map", map=kind, points=points)
    assert not app.exception
    assert "**3** of 1,024 images" in texts(app)
    press(app, "remove-points")
    assert "points" not in app.query_params
    app = open_app(PAGE, run=RUN, points="eJw=")
    assert "another number of images" in texts(app)
    assert "**1,024** images" in texts(app)


def test_umap_says_how_to_install_it(
    open_app: OpenApp, runs: dict[str, Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ui.images_page.map.is_umap_installed", lambda: False)
    app = open_app(PAGE, run=RUN, part="map", map="umap")
    assert "pip install umap-learn" in texts(app)


def test_progress_stop_and_the_rest(
    open_app: OpenApp, runs: dict[str, Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ui.encoding.PATIENCE_SECONDS", 0.0)
    go = threading.Event()

    def slow(run, dataset, count, progress, should_stop):  # type: ignore[no-untyped-def]
        progress(256, 1024)
        while not go.wait(0.01) and not should_stop():
            pass
        return cached_encoded_set(run, dataset, count, 0, progress, should_stop)

    monkeypatch.setattr("ui.encoding.cached_encoded_set", slow)
    app = open_app(PAGE, run=RUN)
    other = open_app("pages/latents.py", run=RUN)
    for each in (app, other):
        assert not each.exception
        assert not each.dataframe
        assert each.button(key="encoding-stop")
    monkeypatch.setattr("ui.encoding.PATIENCE_SECONDS", 60.0)
    app.button(key="encoding-stop").click().run()
    app.run()
    assert "this page shows 128 of 1,024 images" in texts(app)
    other.run()  # the same thread
    assert "From 128 images of 1,024" in texts(other)
    go.set()
    press(app, "encoding-rest")
    assert "**1,024** images" in texts(app)


def test_an_error_of_the_thread_is_one_line(
    open_app: OpenApp, runs: dict[str, Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object, **options: object) -> None:
        raise EvaluationError("codes of the images are not finite: train it again")

    monkeypatch.setattr("ui.encoding.cached_encoded_set", fail)
    app = open_app(PAGE, run=RUN)
    assert not app.exception
    assert "codes of the images are not finite" in texts(app)
    monkeypatch.setattr("ui.encoding.cached_encoded_set", cached_encoded_set)
    app.run()
    assert "**1,024** images" in texts(app)


def test_a_missing_data_set_is_said(open_app: OpenApp, runs: dict[str, Run]) -> None:
    config = runs["runs/smooth"].path / "config.json"
    config.write_text(config.read_text().replace('"circles"', '"gone"'))
    app = open_app(PAGE, run="runs/smooth")
    assert not app.exception
    assert "no data set is called" in app.error[0].value


def test_latents_leads_to_the_images_of_a_category(open_app: OpenApp, runs: dict[str, Run]) -> None:
    app = open_app("pages/latents.py", run=RUN, latent="1")
    button = next(button for button in app.button if str(button.key).startswith("images-of-"))
    category = str(button.key).rpartition("-")[2]
    button.click().run()
    assert not app.exception
    assert app.title[0].value == "Images"
    assert app.query_params["where"] == f"category 1 = {category}"
