import json
from pathlib import Path

import pytest

from dvae_core.config import RunConfig
from dvae_core.errors import RunError
from dvae_core.jobs import find_training
from dvae_core.jobs.trash import MAX_KEPT, delete_run, deleted_id, deleted_runs, restore_run
from dvae_core.runs.catalog import SHIPPED_ROOT, list_runs
from dvae_core.runs.run import Run, State, Status
from dvae_core.system.processes import ProcessIdentity


@pytest.fixture
def run(tmp_path: Path, tiny_config: RunConfig) -> Run:
    return Run.create(tmp_path / "my-run_1", tiny_config, (1, 32, 32))


def test_a_deleted_run_comes_back_as_it_was(tmp_path: Path, run: Run) -> None:
    before = {path.name: path.read_bytes() for path in run.path.iterdir()}
    trashed = delete_run(run)
    assert list_runs(tmp_path) == []
    assert deleted_runs(tmp_path) == [trashed]
    assert deleted_id(trashed) == "my-run_1"
    restored = restore_run(trashed)
    assert restored.path == run.path
    after = {path.name: path.read_bytes() for path in run.path.iterdir()}
    assert {name: after[name] for name in before} == before
    assert deleted_runs(tmp_path) == []


def test_two_runs_of_one_name_are_kept_apart(
    tmp_path: Path, run: Run, tiny_config: RunConfig
) -> None:
    first = delete_run(run)
    second = delete_run(Run.create(run.path, tiny_config, (1, 32, 32)))
    assert deleted_runs(tmp_path) == [second, first]
    restore_run(first)
    with pytest.raises(RunError, match="already exists"):
        restore_run(second)
    assert deleted_runs(tmp_path) == [second]


def test_the_trash_is_bounded_and_loses_the_oldest(tmp_path: Path, tiny_config: RunConfig) -> None:
    deleted = [
        delete_run(Run.create(tmp_path / f"run-{number}", tiny_config, (1, 32, 32)))
        for number in range(MAX_KEPT + 3)
    ]
    assert deleted_runs(tmp_path) == deleted[:2:-1]
    assert not deleted[0].exists()


def test_a_damaged_run_is_deleted_too(run: Run) -> None:
    (run.path / "config.json").write_text("{")
    assert delete_run(run).is_dir()


@pytest.mark.parametrize("work", ["training", "evaluation"])
def test_a_run_that_somebody_works_on_is_not_deleted(run: Run, work: str) -> None:
    with run.reserved_for(work), pytest.raises(RunError, match=f"held by another process .*{work}"):
        delete_run(run)
    assert run.path.is_dir()


def test_a_run_in_training_is_not_deleted(run: Run) -> None:
    process = ProcessIdentity.current()
    run.write_status(Status(state=State.RUNNING, steps=12, process=process))
    with pytest.raises(RunError, match="is being trained: stop the training, then delete the run"):
        delete_run(run)


def test_a_run_being_measured_is_not_deleted(run: Run) -> None:
    process = ProcessIdentity.current().model_dump()
    (run.path / "jobs").mkdir()
    record = {"arguments": [], "process": process}
    (run.path / "jobs" / "evaluate.json").write_text(json.dumps(record))
    with pytest.raises(RunError, match="is being evaluated: stop the evaluation, then delete"):
        delete_run(run)


def test_a_deleted_run_leaves_the_queue(tmp_path: Path, run: Run) -> None:
    run.write_status(Status(state=State.QUEUED, steps=12))
    (tmp_path / "queue.json").write_text(json.dumps({"waiting": [run.id]}))
    assert find_training(run).position == 1
    trashed = delete_run(run)
    assert json.loads((tmp_path / "queue.json").read_text())["waiting"] == []
    assert restore_run(trashed).state() is State.STOPPED


def test_shipped_runs_and_other_folders_are_left_alone(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="is shipped with the app"):
        delete_run(Run(SHIPPED_ROOT / "circles-gaussian"))
    (tmp_path / "photos").mkdir()
    for path in (tmp_path / "photos", tmp_path / "missing"):
        with pytest.raises(RunError, match="is not a run folder: nothing was deleted"):
            delete_run(Run(path))
    assert (tmp_path / "photos").is_dir()


@pytest.mark.parametrize("name", ["photos", ".trash/gone-1", ".trash/none", ".trash/../photos"])
def test_only_what_lies_in_a_trash_is_restored(tmp_path: Path, name: str) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / ".trash" / "none").mkdir(parents=True)
    with pytest.raises(RunError, match="is not a deleted run"):
        restore_run(tmp_path / name)
    assert (tmp_path / "photos").is_dir()
