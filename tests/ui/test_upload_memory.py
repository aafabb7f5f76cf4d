import asyncio
import importlib
from types import SimpleNamespace

import pytest
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.uploaded_file_manager import UploadedFileRec

from tests.coroutines import run_to_end
from ui import upload_memory
from ui.upload_memory import drop_uploads, drop_uploads_of_closed_tabs, uploaded_bytes


@pytest.fixture
def files(monkeypatch: pytest.MonkeyPatch) -> MemoryUploadedFileManager:
    """Files of two sessions, of which "open" alone has a browser."""
    files = MemoryUploadedFileManager("/upload")
    for session, size in (("open", 10), ("open", 5), ("closed", 20)):
        name = f"{session} {size}"
        files.add_file(session, UploadedFileRec(name, name, "text/plain", b"x" * size))

    class OneRuntime:
        uploaded_file_mgr = files

        @staticmethod
        def exists() -> bool:
            return True

        @classmethod
        def instance(cls) -> type["OneRuntime"]:
            return cls

        @staticmethod
        def is_active_session(session: str) -> bool:
            return session == "open"

    monkeypatch.setattr(upload_memory, "Runtime", OneRuntime)
    return files


@pytest.mark.usefixtures("files")
def test_the_bytes_of_each_session_are_counted() -> None:
    assert uploaded_bytes() == {"open": 15, "closed": 20}


def test_a_session_drops_its_own_files_alone(
    files: MemoryUploadedFileManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = SimpleNamespace(uploaded_file_mgr=files, session_id="open")
    monkeypatch.setattr(upload_memory, "get_script_run_ctx", lambda: context)
    drop_uploads()
    assert uploaded_bytes() == {"closed": 20}


@pytest.mark.usefixtures("files")
def test_files_of_a_closed_tab_are_freed_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload_memory, "_SWEEP_SECONDS", 0.01)

    async def wait(until: dict[str, int]) -> None:
        sweeping = asyncio.create_task(drop_uploads_of_closed_tabs())
        for _ in range(500):
            await asyncio.sleep(0.01)
            if uploaded_bytes() == until:
                break
        sweeping.cancel()

    with pytest.MonkeyPatch.context() as patient:
        patient.setattr(upload_memory, "CLOSED_SECONDS", 1e9)
        run_to_end(asyncio.wait_for(wait({"open": 15, "closed": 20}), 5))
    assert uploaded_bytes() == {"open": 15, "closed": 20}
    monkeypatch.setattr(upload_memory, "CLOSED_SECONDS", 0.05)
    run_to_end(wait({"open": 15}))
    assert uploaded_bytes() == {"open": 15}


def test_the_app_frees_them_as_long_as_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONSAFEPATH", "1")  # which the app sets for its processes
    app = importlib.import_module("app")
    said = []

    async def sweep() -> None:
        said.append("sweeps")
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            said.append("ends")
            raise

    async def serve() -> None:
        async with app.working(app.app):
            await asyncio.sleep(0)
            assert said == ["sweeps"]
        await asyncio.sleep(0)

    monkeypatch.setattr(app, "drop_uploads_of_closed_tabs", sweep)
    run_to_end(serve())
    assert said == ["sweeps", "ends"]
