import hashlib
import io
import threading
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from streamlit.testing.v1 import AppTest

from dvae_core.data import dataset_names, load_dataset
from dvae_core.data.imported.dataset import import_images, remove_imported
from dvae_core.data.imported.options import ImportOptions
from dvae_core.data.listing import dataset_info
from dvae_core.data.originals.addresses import REMOTE_FILES, RemoteFile
from dvae_core.errors import DataError
from dvae_core.progress import Progress
from tests.app.conftest import OpenApp, ticked
from ui.cached import st_load_dataset

PAGE = "pages/data.py"


def npz(**arrays: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


def upload(app: AppTest, name: str, content: bytes) -> AppTest:
    app.file_uploader[0].set_value((name, content, "application/octet-stream"))
    return app.run()


def said(app: AppTest) -> str:
    texts = " ".join(e.value for e in [*app.caption, *app.error, *app.info, *app.success])
    return texts.replace("\\", "")  # which keep Markdown from reading them


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


def test_the_ticked_row_is_the_set_of_the_box(open_app: OpenApp) -> None:
    app = open_app(PAGE)
    assert ticked(app) == [0]
    before = app.dataframe[0].proto.id
    app.selectbox(key="data-name").set_value("rooms").run()
    assert ticked(app) == [dataset_names().index("rooms")]
    assert app.dataframe[0].proto.id != before  # a table keeps the ticks that it has


def test_a_set_that_is_missing_says_how_to_get_it(open_app: OpenApp) -> None:
    app = open_app(PAGE)
    app.selectbox(key="data-name").set_value("shapes3d").run()
    assert "python -m dvae_core download shapes3d" in [code.value for code in app.code]


def test_a_download_runs_in_the_background_and_says_how_it_ended(
    open_app: OpenApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_go_on = threading.Event()

    def slowly(name: str, progress: Progress, trust_hash: str | None) -> tuple[Path, ...]:
        progress(3_000_000, 12_000_000)
        may_go_on.wait(30)
        progress(4_000_000, 12_000_000)
        raise DataError(f"{name} cannot be had here")

    monkeypatch.setattr("ui.data.downloads.download", slowly)
    monkeypatch.setattr("ui.data.downloads._downloads", {})
    app = open_app(PAGE)
    app.selectbox(key="data-name").set_value("shapes3d").run()
    app.button(key="data-download").click().run()
    assert not app.exception
    (bar,) = app.get("progress")
    assert bar.proto.text == "3 of 12 MB"
    other = open_app(PAGE)  # another tab
    other.selectbox(key="data-name").set_value("shapes3d").run()
    assert len(other.get("progress")) == 1
    may_go_on.set()
    await_download("shapes3d")
    app.run()
    assert "shapes3d cannot be had here" in said(app)
    assert app.button(key="data-download").label == "Resume the download"


def await_download(name: str) -> None:
    for thread in threading.enumerate():
        if thread.name == f"download {name}":
            thread.join(30)


def test_a_file_with_another_hash_is_used_or_deleted_when_a_person_says_so(
    open_app: OpenApp, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    aside = folder / "3dshapes.h5.untrusted"
    monkeypatch.setitem(REMOTE_FILES, "shapes3d", (RemoteFile("3dshapes.h5", (), "0" * 32),))
    monkeypatch.setattr("ui.data.downloads._downloads", {})
    app = open_app(PAGE)
    app.selectbox(key="data-name").set_value("shapes3d").run()
    for button in ("data-download", "data-download-again", "data-download", "data-download-trust"):
        if not aside.exists():
            aside.write_bytes(b"another file")
        app.button(key=button).click().run()
        await_download("shapes3d")
        app.run()
        assert not app.exception
        if button == "data-download":
            (warning,) = app.warning
            assert hashlib.md5(b"another file").hexdigest() in warning.value
        if button == "data-download-again":
            assert not aside.exists()
    assert (folder / "3dshapes.h5").read_bytes() == b"another file"
    assert dataset_info("shapes3d").state == "ready"


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


def test_a_damaged_picture_is_skipped_by_a_box(open_app: OpenApp) -> None:
    app = upload_all(
        open_app(PAGE), {"a.png": png(200), "b.png": png(210), "bad.png": png(220)[:40]}
    )
    assert not app.exception
    assert "bad.png" in said(app)
    assert "“Skip damaged”" in said(app)
    app.text_input(key="import-name").set_value("mine")
    app.button(key="import").click().run()
    assert "bad.png" in app.error[0].value.replace("\\", "")
    assert "mine" not in dataset_names()
    app.checkbox(key="import-skip").check().run()
    app.text_input(key="import-name").set_value("mine")
    app.button(key="import").click().run()
    assert not app.error
    assert load_dataset("mine").num_images == 2
    assert "Skipped" in said(app)


def test_a_range_is_given_on_the_page(open_app: OpenApp) -> None:
    images = np.random.default_rng(0).random((6, 32, 32)) * 2 - 1
    app = upload(open_app(PAGE), "mine.npz", npz(images=images))
    assert "“Give the values of black and white”" in app.error[0].value.replace("\\", "")
    app.checkbox(key="import-has-range").check().run()
    app.text_input(key="import-Black").set_value("-1").run()
    app.text_input(key="import-White").set_value("one").run()
    assert "White is “one”: enter a number" in app.error[0].value.replace("\\", "")
    app.text_input(key="import-White").set_value("1").run()
    assert not app.error
    assert "-1 is black and 1 is white" in said(app)


def test_an_import_replaces_an_earlier_one_of_its_name(tmp_path: Path) -> None:
    labels = np.arange(6)[:, None]
    for shade, name in ((0, "dark"), (255, "light")):
        images = np.full((6, 32, 32), shade, np.uint8)
        images[1:] = 128
        np.savez(tmp_path / f"{name}.npz", images=images, factors=labels)
    import_images(tmp_path / "dark.npz", "mine", ImportOptions(32))
    assert st_load_dataset("mine", 32).images_at(torch.tensor([0])).max() < 0.1
    remove_imported("mine")
    import_images(tmp_path / "light.npz", "mine", ImportOptions(32))
    assert st_load_dataset("mine", 32).images_at(torch.tensor([0])).min() > 0.9


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
    assert "import-name" not in [box.key for box in app.text_input]


def png(grey: int) -> bytes:
    file = io.BytesIO()
    Image.new("L", (64, 64), grey).save(file, "png")
    return file.getvalue()


def upload_all(app: AppTest, files: dict[str, bytes]) -> AppTest:
    app.file_uploader[0].set_value([(name, content, "") for name, content in files.items()])
    return app.run()


def test_pictures_come_with_a_table_of_their_factors(open_app: OpenApp) -> None:
    table = b"file,brightness,side\na.png,low,left\nb.png,high,left\nc d.png,low,right\n"
    pictures = {"a.png": png(0), "b.png": png(200), "c d.png": png(10)}
    app = upload_all(open_app(PAGE), pictures | {"mine.csv": table})
    assert not app.error
    assert "factor brightness: 2 values" in said(app)
    app.text_input(key="import-name").set_value("mine")
    app.button(key="import").click().run()
    assert load_dataset("mine").factor_names == ("brightness", "side")


def test_a_zip_of_class_folders_is_imported(open_app: OpenApp) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in ("disc/0.png", "disc/1.png", "square/0.png"):
            archive.writestr(name, png(200 + len(name)))
    app = upload_all(open_app(PAGE), {"shapes.zip": file.getvalue()})
    assert not app.error
    assert "factor class: 2 values" in said(app)


@pytest.mark.parametrize(
    ("files", "complaint"),
    [
        ({"a.png": b"", "b.npz": b""}, "b.npz is a data set by itself"),
        ({"a.csv": b"", "b.csv": b"", "c.png": b""}, "2 tables are chosen"),
        ({"x/a.png": b"", "y/a.png": b""}, "two of the files are called a.png"),
        ({"a.zip": b"no zip"}, "a.zip is not a complete zip file"),
    ],
)
def test_files_that_do_not_go_together_are_one_line(
    open_app: OpenApp, files: dict[str, bytes], complaint: str
) -> None:
    app = upload_all(open_app(PAGE), files)
    assert not app.exception
    (error,) = app.error
    assert complaint in error.value.replace("\\", "")


def test_the_link_restores_the_data_set(open_app: OpenApp) -> None:
    app = open_app(PAGE, set="circles_continuous")
    assert app.selectbox(key="data-name").value == "circles_continuous"
    assert "where the disc is within the bins of x and y" in " ".join(c.value for c in app.caption)
    app.selectbox(key="data-name").set_value("circles").run()
    assert app.query_params["set"] == "circles"
