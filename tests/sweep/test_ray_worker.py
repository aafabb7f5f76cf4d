import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from dvae_core.errors import RunError
from dvae_core.runs.names import latent_names, name_latent
from dvae_core.runs.run import Run, State
from dvae_core.sweep.plan import Sweep
from dvae_core.sweep.ray_worker import (
    Piece,
    RunWorker,
    code_hash,
    files_to_send,
    pack_files,
    receive,
)
from dvae_core.sweep.survey import Task, survey
from dvae_core.training.trainer import train

MakeSweep = Callable[..., Sweep]


def worker_for(task: Task, piece_seconds: float = 0.05) -> RunWorker:
    run = task.open()
    files = pack_files(run)
    return RunWorker(run.id, files, task.trains, task.evaluations, piece_seconds, code_hash())


def take_pieces(run: Run, worker: RunWorker) -> list[Piece]:
    pieces: list[Piece] = []
    deadline = time.monotonic() + 120
    while not pieces or not pieces[-1].ended:
        assert time.monotonic() < deadline
        pieces.append(worker.next_piece())
        receive(run, pieces[-1])
    assert not worker.folder.exists()
    return pieces


def test_what_people_write_during_a_training_elsewhere_stays(tiny_run: Run) -> None:
    name_latent(tiny_run, 0, "size")
    tiny_run.write_notes("The first", "")
    assert not {"names.json", "notes.json"} & set(pack_files(tiny_run))
    # The worker has no such files.
    status = tiny_run.status()
    receive(tiny_run, Piece({}, frozenset(pack_files(tiny_run)), status, ended=True, reason=""))
    assert latent_names(tiny_run).name(0) == "size"
    assert tiny_run.read_notes().name == "The first"


def test_pieces_add_up_to_the_run_that_a_training_here_would_make(
    tiny_sweep: MakeSweep, tmp_path: Path
) -> None:
    options = {"steps": 200, "checkpoint_seconds": 0.1, "snapshot_every": 100}
    task = survey(tiny_sweep(**options), tmp_path / "far").tasks[1]
    pieces = take_pieces(task.open(), worker_for(task))
    assert len(pieces) > 2
    whole = survey(tiny_sweep(**options), tmp_path / "here").tasks[1].open()
    train(whole)
    assert task.run.state() is State.FINISHED
    expected = whole.load_model().state_dict()
    for key, tensor in task.run.load_model().state_dict().items():
        assert torch.equal(tensor, expected[key]), key
    assert [row["step"] for row in task.run.metrics.read()] == list(range(4, 201, 4))
    assert task.run.snapshot_steps() == whole.snapshot_steps()
    found = {score["name"] for score in task.run.read_evaluation()["scores"]}
    assert found == {"mig", "kl", "sampled_kl", "active_latents"}


def test_a_stopped_worker_hands_over_a_state_that_goes_on_to_the_same_bits(
    tiny_sweep: MakeSweep, tmp_path: Path
) -> None:
    options = {"steps": 300, "checkpoint_seconds": 1000}
    task = survey(tiny_sweep(**options), tmp_path / "far").tasks[0]
    worker = worker_for(task)
    while worker.next_piece().status.state is not State.RUNNING:
        time.sleep(0.01)
    worker.stop()
    pieces = take_pieces(task.open(), worker)
    assert pieces[-1].reason == "stopped"
    assert task.run.state() is State.STOPPED
    assert 0 < task.run.status().step < 300
    take_pieces(task.run, worker_for(task))
    whole = survey(tiny_sweep(**options), tmp_path / "here").tasks[0].open()
    train(whole)
    expected = whole.load_model().state_dict()
    for key, tensor in task.run.load_model().state_dict().items():
        assert torch.equal(tensor, expected[key]), key


def test_a_divergence_is_told(tiny_sweep: MakeSweep, tmp_path: Path) -> None:
    sweep = tiny_sweep(learning_rate=1.0, num_latents=64, steps=4000, latents="gaussian")
    task = survey(sweep, tmp_path).tasks[0]
    (*_, last) = take_pieces(task.open(), worker_for(task))
    assert "diverged" in last.reason
    assert task.run.status().diverged


def test_other_code_is_refused(tiny_sweep: MakeSweep, tmp_path: Path) -> None:
    task = survey(tiny_sweep(), tmp_path).tasks[0]
    with pytest.raises(RunError, match="another version of dvae_core"):
        RunWorker("run", pack_files(task.open()), True, (), 0.0, "another")


def test_what_belongs_to_a_machine_does_not_travel(tiny_run: Run) -> None:
    (tiny_run.path / "jobs").mkdir(exist_ok=True)
    for name in ("stop", "jobs/resume.json", ".training.lock"):
        (tiny_run.path / name).write_text("{}")
    paths = files_to_send(tiny_run)
    assert paths[0] == "trainer.safetensors"
    assert {"config.json", "model.safetensors", "metrics.jsonl"} <= set(paths)
    assert not {"stop", "jobs/resume.json", ".training.lock", "status.json"} & set(paths)


@pytest.mark.parametrize(
    "path",
    [
        *("../elsewhere", "/etc/passwd", "a/../../b", ".hidden", "jobs/x.json", "status.json", ""),
        *("snapshots/../model.safetensors", "snapshots/1.safetensors", "diary.txt"),
    ],
)
def test_a_path_that_no_run_has_is_refused_and_nothing_written(
    tiny_run: Run, tmp_path: Path, path: str
) -> None:
    before = {name: (tiny_run.path / name).read_bytes() for name in files_to_send(tiny_run)}
    paths = frozenset(before)
    piece = Piece({"metrics.jsonl": b"", path: b""}, paths, tiny_run.status(), True, "")
    with pytest.raises(RunError, match="which is not a file of a run"):
        receive(tiny_run, piece)
    assert before == {name: (tiny_run.path / name).read_bytes() for name in before}


def test_files_that_went_away_go_here_too(tiny_run: Run) -> None:
    paths = frozenset(files_to_send(tiny_run))
    status, name = tiny_run.status(), "snapshots/00000001.safetensors"
    receive(
        tiny_run,
        Piece({name: b"x"}, paths | {name}, status, False, ""),
    )
    assert (tiny_run.path / name).read_bytes() == b"x"
    receive(tiny_run, Piece({}, paths, status, False, ""))
    assert not (tiny_run.path / name).exists()


def test_a_run_under_way_elsewhere_is_shown_as_this_process_s(tiny_run: Run) -> None:
    status = tiny_run.status().model_copy(update={"state": State.RUNNING})
    paths = frozenset(files_to_send(tiny_run))
    receive(tiny_run, Piece({}, paths, status, False, ""))
    assert tiny_run.state() is State.RUNNING
    receive(tiny_run, replace(Piece({}, paths, status, False, ""), status=tiny_run.status()))
