import json
from pathlib import Path

import pytest

from dvae_core.__main__ import main
from dvae_core.config import RunConfig
from dvae_core.runs.run import Run, State, Status


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a person's own runs, which is not there yet."""
    monkeypatch.setenv("DVAE_RUNS", str(tmp_path / "runs"))
    return tmp_path / "runs"


@pytest.fixture
def run(root: Path, tiny_config: RunConfig) -> Run:
    return Run.create(root / "mine", tiny_config, (1, 32, 32))


def answer(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> dict:
    assert main([*map(str, arguments), "--json"]) == 0
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def complaint(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    assert main([*map(str, arguments)]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    return said


def test_runs_are_listed(capsys: pytest.CaptureFixture[str], root: Path, run: Run) -> None:
    shown = answer(capsys, "runs")["mine"]
    assert (shown["state"], shown["step"], shown["steps"]) == ("stopped", 0, 12)
    assert answer(capsys, "runs", root / "empty") == {}


def test_a_run_is_trained_in_the_background(
    capsys: pytest.CaptureFixture[str], root: Path, run: Run
) -> None:
    busy = ["train", "--run-dir", str(root / "busy"), "--preset", "quick", "--steps", "1000000"]
    assert answer(capsys, *busy, "--background")["state"] == "running"
    try:
        assert "is being trained" in complaint(capsys, "resume", root / "busy")
        assert "is being trained" in complaint(capsys, "delete", root / "busy")
        assert answer(capsys, "resume", run.path, "--background")["position"] == 1
        assert answer(capsys, "queue")["waiting"] == ["mine"]
        assert answer(capsys, "stop", run.path)["state"] == "stopped"
    finally:
        stopped = answer(capsys, "stop", root / "busy")
    assert stopped["state"] == "stopped"


def test_the_bound_of_the_queue_is_set(capsys: pytest.CaptureFixture[str], root: Path) -> None:
    assert answer(capsys, "queue") == {"at_once": 1, "waiting": []}
    assert answer(capsys, "queue", "--at-once", "3")["at_once"] == 3
    assert answer(capsys, "queue")["at_once"] == 3


def test_a_run_is_deleted_and_restored(
    capsys: pytest.CaptureFixture[str], root: Path, run: Run
) -> None:
    path = answer(capsys, "delete", run.path)["path"]
    assert not run.path.exists()
    assert answer(capsys, "restore", path)["run"] == str(run.path)
    assert run.state() is State.STOPPED
    assert "is not a deleted run" in complaint(capsys, "restore", path)


def test_a_run_is_exported_and_imported(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, root: Path, run: Run
) -> None:
    run.write_status(Status(state=State.FAILED, step=3, steps=12, message="kl is nan"))
    archive = tmp_path / "mine.zip"
    shown = answer(capsys, "export-run", run.path, "--output", archive)
    assert shown["bytes"] == archive.stat().st_size
    assert answer(capsys, "import-run", archive)["run"] == str(root / "mine-2")
    there = answer(capsys, "import-run", archive, "--folder", tmp_path / "there", "--name", "new")
    assert there == {"run": str(tmp_path / "there" / "new"), "state": "failed"}
    archive.write_bytes(b"PK")
    assert "is not a zip file" in complaint(capsys, "import-run", archive)
