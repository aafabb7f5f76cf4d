from pathlib import Path

import pytest

from dvae_core.config import RunConfig
from dvae_core.data import load_dataset
from dvae_core.evaluation.protocol import evaluate
from dvae_core.evaluation.results import EvaluationSettings
from dvae_core.exchange.tensorboard import EventWriter
from dvae_core.jobs import TRAINING, job_progress
from dvae_core.runs.files import RUN_FILES, Kind, find_file, travelling_files, travels
from dvae_core.runs.names import name_latent
from dvae_core.runs.run import Run
from dvae_core.training.trainer import train


@pytest.fixture
def full_run(tmp_path: Path, tiny_config: RunConfig) -> Run:
    """A run with all that a training here, an evaluation and a person leave in its folder."""
    settings = {"objective": "factor", "snapshot_every": 4}
    config = RunConfig(**(tiny_config.model_dump() | settings))
    run = Run.create(tmp_path / "full", config, (1, 32, 32))
    with job_progress(run, TRAINING, lambda: False):
        train(run)
    with EventWriter(run) as events:
        events.update()
    with run.reserved_for("evaluation"):
        evaluation = evaluate(
            run, load_dataset("circles", 32), "paper", ("mig",), EvaluationSettings(points=200)
        )
        run.write_evaluation(evaluation.model_dump(mode="json"))
    run.write_notes("The first", "")
    name_latent(run, 0, "size")
    run.request_stop()
    return run


def test_every_file_of_a_run_is_in_the_table(full_run: Run) -> None:
    paths = [path for path in full_run.path.rglob("*") if path.is_file()]
    found = {path: find_file(path.relative_to(full_run.path).as_posix()) for path in paths}
    assert [path for path, file in found.items() if file is None] == []
    only_imported = {"encoder.onnx", "decoder.onnx"}
    expected = {file.pattern for file in RUN_FILES} - only_imported
    assert {file.pattern for file in found.values() if file} == expected


def test_what_travels_is_all_but_the_local_files(full_run: Run) -> None:
    there = travelling_files(full_run.path)
    assert {file.kind for file in there.values()} == set(Kind) - {Kind.LOCAL}
    left = {path for path in full_run.path.iterdir() if path.name not in there}
    locks = {".training.lock", ".evaluation.lock", ".names.lock"}
    assert {path.name for path in left} == {"jobs", "snapshots", "stop", "tensorboard"} | locks


def test_an_unknown_file_never_travels(full_run: Run) -> None:
    before = travelling_files(full_run.path)
    unknown = ("diary.txt", "config.json.bak", "snapshots/1.safetensors", "snapshots/notes.json")
    for name in unknown:
        (full_run.path / name).write_text("secret")
        assert not travels(name)
    assert travelling_files(full_run.path) == before


@pytest.mark.parametrize(
    "path", ["", ".", "../config.json", "/config.json", "a/config.json", "config.json/x"]
)
def test_a_path_that_leads_elsewhere_is_no_file_of_a_run(path: str) -> None:
    assert not travels(path)


def test_each_file_that_travels_has_a_limit() -> None:
    assert all((file.max_bytes > 0) == (file.kind is not Kind.LOCAL) for file in RUN_FILES)
