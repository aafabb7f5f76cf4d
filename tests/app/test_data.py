import io
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from dvae_core.data import dataset_names, load_dataset
from tests.app.conftest import OpenApp

PAGE = "pages/data.py"


@pytest.fixture(autouse=True)
def own_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVAE_DATA", str(tmp_path / "data"))


def npz(**arrays: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


def upload(app: AppTest, name: str, content: bytes) -> AppTest:
    app.file_uploader[0].set_value((name, content, "application/octet-stream"))
    return app.run()


def said(app: AppTest) -> str:
    return " ".join(e.value for e in [*app.caption, *app.error, *app.info, *app.success])


def test_every_set_is_listed_with_its_state(open_app: OpenApp) -> None:
    app = open_app(PAGE)
    assert not app.exception
    table = app.dataframe[0].value.set_index("data set")
    assert tuple(table.index) == dataset_names()
    assert table.loc["rooms", "state"] == "ready"
    assert table.loc["shapes3d", "state"] == "file missing"


@pytest.mark.parametrize("name", ["circles", "sprites", "color_sprites", "rooms", "digits"])
def test_a_set_that_is_here_shows_its_sheet(open_app: OpenApp, name: str) -> None:
    app = open_app(PAGE)
    app.selectbox(key="data-name").set_value(name).run()
    assert not app.exception
    assert not app.error
    assert len(app.get("image")) == len(load_dataset(name).factor_sizes)


def test_a_set_that_is_missing_says_how_to_get_it(open_app: OpenApp) -> None:
    app = open_app(PAGE)
    app.selectbox(key="data-name").set_value("shapes3d").run()
    assert "python -m dvae_core download shapes3d" in [code.value for code in app.code]


def test_ones_own_images_are_planned_imported_and_removed(open_app: OpenApp) -> None:
    images = np.random.default_rng(0).integers(0, 255, (6, 40, 40), np.uint8)
    factors = np.array([[0, 0], [0, 1], [0, 2], [1, 0], [1, 1], [1, 2]])
    app = upload(open_app(PAGE), "mine.npz", npz(images=images, factors=factors))
    assert not app.exception
    assert not app.error
    assert "3 values" in said(app)
    app.text_input(key="import-name").set_value("mine")
    app.button(key="import").click().run()
    assert not app.exception
    assert load_dataset("mine").factor_sizes == (2, 3)
    assert next(box.value for box in app.selectbox if box.label == "Data set") == "mine"
    app.button(key="data-remove").click().run()
    assert not app.exception
    assert "mine" not in dataset_names()


def test_a_training_on_what_was_imported_is_one_click_away(open_app: OpenApp) -> None:
    images = np.random.default_rng(0).integers(0, 255, (6, 32, 32), np.uint8)
    app = upload(open_app(PAGE), "mine.npz", npz(images=images))
    app.text_input(key="import-name").set_value("mine")
    app.button(key="import").click().run()
    app.button(key="data-train-on-it").click().run()
    assert not app.exception
    assert next(box.value for box in app.selectbox if box.label == "Data set") == "mine"
    assert app.button(key="train-start").label == "Train"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("mine.npz", b"no zip"),
        ("mine.npz", npz(pictures=np.zeros((3, 8, 8)))),
        ("mine.h5", b"\x89HDF\r\n\x1a\n" + b"\0" * 100),
        ("mine.png", b"no picture"),
    ],
)
def test_an_upload_that_is_no_data_set_is_an_error_box(
    open_app: OpenApp, name: str, content: bytes
) -> None:
    app = upload(open_app(PAGE), name, content)
    assert not app.exception
    assert len(app.error) == 1
    assert not app.get("text_input")
