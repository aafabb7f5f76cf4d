import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from dvae_core.jobs import find_training, overview
from dvae_core.runs.run import State, Status
from dvae_core.system.processes import ProcessIdentity
from tests.jobs.conftest import MakeRun

GONE = ProcessIdentity(pid=1, birth="another boot/1")


@pytest.fixture
def trainer() -> Iterator[ProcessIdentity]:
    """A process that could be one."""
    process = subprocess.Popen(["sleep", "300"])
    identity = ProcessIdentity.of(process.pid)
    assert identity is not None
    yield identity
    process.kill()
    process.wait()


def test_a_folder_without_runs_has_none_to_show(root: Path, tmp_path: Path) -> None:
    assert overview(root) == []
    assert overview(tmp_path / "nowhere") == []


def test_each_run_says_how_it_stands(
    root: Path, make_run: MakeRun, trainer: ProcessIdentity
) -> None:
    names = ("damaged", "failed", "finished", "lost", "new", "queued", "running")
    runs = {name: make_run(name) for name in names}
    runs["running"].write_notes("My run", "")
    statuses = {
        "failed": Status(state=State.FAILED, step=4, steps=12, message="kl is nan"),
        "finished": Status(state=State.FINISHED, step=12, steps=12, seconds=3.0),
        "lost": Status(state=State.RUNNING, step=8, steps=12, process=GONE),
        "queued": Status(state=State.QUEUED, step=2, steps=12),
        "running": Status(state=State.RUNNING, step=3, steps=12, seconds=6.0, process=trainer),
    }
    for name, status in statuses.items():
        runs[name].write_status(status)
    (runs["finished"].path / "model.safetensors").touch()
    (runs["damaged"].path / "status.json").unlink()
    (root / "queue.json").write_text(json.dumps({"waiting": ["queued"]}))
    found = {one.run.id: one for one in overview(root)}
    assert list(found) == list(names)
    assert {name: str(one.state) for name, one in found.items()} == {
        name: "stopped" if name == "new" else name for name in names
    }
    assert "status.json is missing" in found["damaged"].message
    assert found["failed"].message == "kl is nan"
    assert found["lost"].message == "its process died"
    assert (found["running"].name, found["failed"].name) == ("My run", "failed")
    assert (found["queued"].position, found["running"].position) == (1, None)
    assert (found["running"].fraction, found["finished"].fraction) == (0.25, 1.0)
    # Three steps took six seconds; nine are left.
    assert (found["running"].seconds_left, found["queued"].seconds_left) == (18.0, None)
    assert find_training(runs["queued"]).position == 1


def test_a_run_that_waits_in_no_queue_is_not_queued(root: Path, make_run: MakeRun) -> None:
    run = make_run("forgotten")
    run.write_status(Status(state=State.QUEUED, steps=12))
    assert find_training(run).state is State.STOPPED


def test_a_lost_run_repeats_the_last_words_of_its_process(make_run: MakeRun) -> None:
    run = make_run("lost")
    run.write_status(Status(state=State.RUNNING, steps=12, process=GONE))
    (run.path / "jobs").mkdir()
    (run.path / "jobs" / "resume.log").write_bytes(b"x" * 9000 + b"\nOut of \xff memory\n\n")
    record = run.path / "jobs" / "resume.json"
    record.write_text(json.dumps({"arguments": [], "process": GONE.model_dump()}))
    assert find_training(run).message == "Out of \ufffd memory"
    # What another process printed before says nothing of this one.
    for other in (json.dumps({"arguments": [], "process": {"pid": 2, "birth": "x"}}), "{"):
        record.write_text(other)
        assert find_training(run).message == "its process died"


@pytest.mark.parametrize("name", ["status.json", "config.json"])
def test_a_run_that_vanishes_between_two_looks_is_damaged(make_run: MakeRun, name: str) -> None:
    run = make_run("vanishing")
    (run.path / name).unlink()
    assert find_training(run).state is State.DAMAGED
