"""Uploaded files take memory only as long as a page may read them."""

import io
from collections.abc import Callable

import numpy as np
import pytest
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.testing.v1 import AppTest

from dvae_core.exchange.archive import export_run
from dvae_core.runs.run import Run
from tests.app.conftest import OpenApp
from tests.onnx import graphs


@pytest.fixture
def freed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The sessions whose files were freed, as often as they were."""
    sessions: list[str] = []
    free = MemoryUploadedFileManager.remove_session_files

    def note(files: MemoryUploadedFileManager, session: str) -> None:
        sessions.append(session)
        free(files, session)

    monkeypatch.setattr(MemoryUploadedFileManager, "remove_session_files", note)
    return sessions


def test_leaving_a_page_frees_its_files(open_app: OpenApp, freed: list[str]) -> None:
    app = open_app("pages/data.py")
    freed.clear()
    app.run()
    assert not freed
    app.switch_page("../pages/models.py").run()
    assert len(freed) == 1


def import_data(app: AppTest, run: Run) -> AppTest:
    file = io.BytesIO()
    np.savez(file, images=np.random.default_rng(0).integers(0, 255, (6, 32, 32), np.uint8))
    app.file_uploader[0].set_value(("a.npz", file.getvalue(), "")).run()
    app.text_input(key="import-name").set_value("mine")
    return app.button(key="import").click().run()


def import_a_run(app: AppTest, run: Run) -> AppTest:
    return app.file_uploader[0].set_value(("a.zip", export_run(run), "application/zip")).run()


def import_a_model(app: AppTest, run: Run) -> AppTest:
    content = graphs.decoder().SerializeToString()
    app.file_uploader(key="model-decoder-0").set_value(("decoder.onnx", content, "")).run()
    app.selectbox(key="model-dataset").set_value("circles")
    app.text_input(key="model-name").set_value("mine")
    return app.button(key="model-import").click().run()


@pytest.mark.parametrize(
    ("page", "take"), [("data", import_data), ("train", import_a_run), ("models", import_a_model)]
)
def test_an_import_frees_its_files(
    open_app: OpenApp,
    runs: dict[str, Run],
    freed: list[str],
    page: str,
    take: Callable[[AppTest, Run], AppTest],
) -> None:
    app = open_app(f"pages/{page}.py")
    freed.clear()
    app = take(app, runs["runs/smooth"])
    assert not (*app.exception, *app.error)
    assert len(freed) == 1
