"""No process of this package imports from the working directory, or reports to anyone."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest

from dvae_core.config import RunConfig
from dvae_core.data.imported.dataset import import_images
from dvae_core.data.imported.options import ImportOptions
from dvae_core.jobs import find_job, start_job
from dvae_core.runs.run import Run
from dvae_core.system.environment import package_environment, safe_environment
from dvae_core.training.estimate import EstimateProcess
from tests.jobs.conftest import wait_until
from tests.onnx import graphs

ROOT = Path(__file__).parents[2]
SHADOWED = ("json", "h5py", "numpy", "psutil", "sklearn", "joblib", "streamlit", "ray")
STARTERS = {"Popen", "run", "call", "check_call", "check_output"}


@pytest.fixture
def stranger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The working directory has modules that a careless process would import; none may run."""
    folder, ran = tmp_path / "stranger", tmp_path / "ran"
    folder.mkdir()
    ran.mkdir()
    for name in SHADOWED:
        (folder / f"{name}.py").write_text(f"open({str(ran / name)!r}, 'w')\nraise SystemExit\n")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("PYTHONPATH", os.pathsep)  # two empty parts, each the working directory
    subprocess.run([sys.executable, "-c", "import h5py"], check=True)
    (ran / "h5py").unlink()  # where Python is not told to be careful
    yield
    assert not [path.name for path in ran.iterdir()]


@pytest.mark.usefixtures("stranger", "own_folders")
def test_the_reader_of_files_imports_nothing_of_a_stranger(tmp_path: Path) -> None:
    np.savez(tmp_path / "mine.npz", images=np.eye(32, dtype=np.uint8)[None] * 255)
    import_images(tmp_path / "mine.npz", "mine", ImportOptions(32))


@pytest.mark.usefixtures("stranger")
def test_a_job_and_the_workers_of_a_library_import_nothing_of_a_stranger(tiny_run: Run) -> None:
    few = ["--metrics", "dci", "--points", "200", "--test-points", "100", "--workers", "2"]
    start_job(tiny_run, "evaluate", few)

    def state() -> str:
        job = find_job(tiny_run, "evaluate")
        return job.state if job else "running"

    wait_until(lambda: state() != "running")
    assert state() == "finished"


@pytest.mark.usefixtures("stranger")
def test_an_estimate_imports_nothing_of_a_stranger(tiny_config: RunConfig) -> None:
    assert EstimateProcess(tiny_config).result().seconds > 0


def test_the_command_line_makes_its_own_processes_careful() -> None:
    program = (
        "import os, sys, dvae_core.__main__ as entry\n"
        "sys.argv = ['dvae', 'datasets', '--json']\n"
        "entry.program()\n"
        "sys.exit(os.environ['PYTHONSAFEPATH'] != '1')"
    )
    command = [sys.executable, "-c", program]
    subprocess.run(command, env=package_environment(), check=True, stdout=subprocess.DEVNULL)


def test_every_process_of_the_package_gets_a_careful_environment() -> None:
    starts = 0
    for path in (ROOT / "dvae_core").rglob("*.py"):
        text = path.read_text()
        for node in ast.walk(ast.parse(text)):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            module, name = node.func.value, node.func.attr
            if name in STARTERS and isinstance(module, ast.Name) and module.id == "subprocess":
                starts += 1
                assert any(word.arg == "env" for word in node.keywords), (path, node.lineno)
                assert "safe_environment" in text or "package_environment" in text, path
    assert starts >= 5


def test_a_careful_environment_keeps_the_paths_that_are_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(["", "/a", "", "/b"]))
    assert safe_environment()["PYTHONPATH"] == os.pathsep.join(["/a", "/b"])
    assert package_environment()["PYTHONPATH"] == os.pathsep.join([str(ROOT), "/a", "/b"])


def test_onnxruntime_reports_its_use_to_nobody(tmp_path: Path) -> None:
    """It keeps what it has to report, and an id of the machine, below the home folder."""
    program = (
        "from dvae_core.onnx.session import Session\n"
        "import sys, pathlib\n"
        "Session(pathlib.Path(sys.argv[1]).read_bytes())"
    )
    onnx.save(graphs.decoder(), tmp_path / "decoder.onnx")
    home = tmp_path / "home"
    home.mkdir()
    environment = package_environment() | {"HOME": str(home), "TMPDIR": str(home)}
    environment.pop("ORT_DISABLE_TELEMETRY", None)
    command = [sys.executable, "-c", program, str(tmp_path / "decoder.onnx")]
    subprocess.run(command, env=environment, check=True)
    assert not list(home.rglob("*"))
