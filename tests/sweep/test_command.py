"""The command, on this machine, with real processes."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from dvae_core.__main__ import main
from dvae_core.jobs import start_job, stop_job
from dvae_core.runs.catalog import list_runs
from dvae_core.runs.run import Run, State
from dvae_core.sweep.plan import Sweep
from dvae_core.sweep.survey import survey
from dvae_core.training.trainer import train

MakeSweep = Callable[..., Sweep]


@pytest.fixture
def bare_file(sweep_file: Path) -> Path:
    """The file without its evaluation, which takes a process for each run."""
    sweep_file.write_text(sweep_file.read_text().partition("[evaluation]")[0])
    return sweep_file


def sweep(file: Path, output: Path, *flags: str) -> int:
    return main(["sweep", str(file), "--output", str(output), "--json", *flags])


def last_json(capsys: pytest.CaptureFixture[str]) -> dict:
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def test_a_sweep_is_made_once_and_only_what_is_missing_is_made_again(
    sweep_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "study"
    sweep_file.write_text(sweep_file.read_text().replace("seeds = 2", "seeds = 1"))
    assert sweep(sweep_file, output, "--workers", "2") == 0
    ids = ["gaussian_seed-0", "categorical_seed-0"]
    done = last_json(capsys)
    assert (done["done_now"], done["missing"], done["failed"]) == (ids, [], {})
    runs = list_runs(output)
    assert sorted(run.id for run in runs) == sorted(ids)
    for run in runs:
        assert run.state() is State.FINISHED
        assert {score["metric"] for score in run.read_evaluation()["scores"]} == {"mig", "kl"}

    weights = {run.id: (run.path / "model.safetensors").stat().st_mtime_ns for run in runs}
    (output / ids[1] / "evaluation.json").unlink()
    sweep_file.write_text(sweep_file.read_text().replace("seeds = 1", "seeds = 2"))
    assert sweep(sweep_file, output, "--workers", "2") == 0
    assert last_json(capsys)["done_now"] == [ids[1], "gaussian_seed-1", "categorical_seed-1"]
    for run in runs:
        assert (run.path / "model.safetensors").stat().st_mtime_ns == weights[run.id]

    assert sweep(sweep_file, output) == 0
    assert last_json(capsys)["done_now"] == []


def test_runs_are_compared_when_all_are_trained(
    sweep_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = sweep_file.read_text().replace('["mig", "kl"]', '["udr"]')
    sweep_file.write_text(text.replace('["gaussian", "categorical"]', '["gaussian"]'))
    assert sweep(sweep_file, tmp_path / "study", "--workers", "1") == 0
    assert last_json(capsys)["missing"] == []
    for run in list_runs(tmp_path / "study"):
        (score,) = run.read_evaluation()["scores"]
        assert (score["name"], score["reason"]) == ("udr", "")


def test_a_failure_is_listed_at_the_end_and_the_rest_goes_on(
    bare_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = "[[cases]]\nlearning_rate = 1.0\nnum_latents = 64\n[[cases]]\nlearning_rate = 1e-3\n"
    bare_file.write_text(bare_file.read_text() + bad)
    flags = ["--set", "latents=gaussian", "seeds=1", "steps=400"]
    assert sweep(bare_file, tmp_path / "study", *flags) == 1
    said = capsys.readouterr().out.splitlines()
    done = json.loads(said[-1])
    assert done["done_now"] == ["learning-rate-0p001_seed-0"]
    assert list(done["failed"]) == ["learning-rate-1_num-latents-64_seed-0"]
    assert any(line.startswith("failed: ") and "diverged" in line for line in said)

    assert sweep(bare_file, tmp_path / "study", *flags) == 1  # listed again, not tried again
    assert "1 failed before" in capsys.readouterr().out


def test_a_run_that_is_trained_already_is_waited_for(
    tiny_sweep: MakeSweep,
    bare_file: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    settings = {"latents": "gaussian", "seeds": 1, "steps": 300}
    run = survey(tiny_sweep(**settings), tmp_path / "study").tasks[0].open()
    start_job(run, "resume")
    flags = [f"{key}={value}" for key, value in settings.items()]
    try:
        assert sweep(bare_file, tmp_path / "study", "--set", *flags) == 0
    finally:
        stop_job(run, "resume")
    assert last_json(capsys)["done_now"] == ["seed-0"]


def wait_until(condition: Callable[[], bool], process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)


@pytest.mark.parametrize(
    "number", [signal.SIGINT, pytest.param(signal.SIGKILL, marks=pytest.mark.slow)]
)
def test_an_interrupted_sweep_goes_on_to_the_same_bits(
    tiny_sweep: MakeSweep, bare_file: Path, tmp_path: Path, number: int
) -> None:
    settings = {"latents": "gaussian", "steps": 150, "checkpoint_seconds": 0.2}
    flags = ["--set", *(f"{key}={value}" for key, value in settings.items()), "--workers", "2"]
    output = tmp_path / "study"
    command = [sys.executable, "-m", "dvae_core", "sweep", str(bare_file)]
    process = subprocess.Popen([*command, "--output", str(output), *flags], stderr=subprocess.PIPE)
    runs = [Run(output / f"seed-{seed}") for seed in range(2)]
    wait_until(lambda: all(run.has_trainer_state for run in runs), process)
    os.kill(process.pid, number)
    process.communicate(timeout=120)
    if number == signal.SIGINT:
        assert process.returncode == 130
        assert {run.state() for run in runs} <= {State.STOPPED, State.FINISHED}
    assert sweep(bare_file, output, *flags) == 0
    task = survey(tiny_sweep(**settings), tmp_path / "here").tasks[-1]  # one stands for both
    train(task.open())
    expected = task.run.load_model().state_dict()
    for key, tensor in Run(output / task.run.id).load_model().state_dict().items():
        assert torch.equal(tensor, expected[key]), key


def refusal(file: Path, output: Path, capsys: pytest.CaptureFixture[str], *flags: str) -> str:
    """The one line that a refused sweep says, having written nothing."""
    assert sweep(file, output, *flags) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert not output.exists()
    return said


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--set", "seeds=501"], "the sweep has 1,002 runs: add --yes to confirm"),
        (["--set", "seeds=60000"], "at most 20,000 are allowed"),
        (["--set", "stepss=3"], "did you mean steps"),
        (["--set", "dataset=squares"], "no data set is called 'squares'"),
        (["--set", "dataset=rooms", "image_size=128"], "use image_size 64"),
        (["--set", "dataset=dsprites"], "data set dsprites is not available"),
        (["--gpus", "64"], "--gpus is 64, but this machine offers"),
        (["--workers", "0"], "workers"),
        (["--engine", "slurm"], "slurm"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_one_line(
    sweep_file: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    flags: list[str],
    message: str,
) -> None:
    monkeypatch.setenv("DVAE_DATA", str(tmp_path / "data"))
    assert message in refusal(sweep_file, tmp_path / "study", capsys, *flags)


def test_without_ray_its_engine_is_refused(
    sweep_file: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delitem(sys.modules, "dvae_core.sweep.ray", raising=False)
    said = refusal(sweep_file, tmp_path / "study", capsys, "--engine", "ray")
    assert "--engine ray needs Ray, which is not installed" in said


def test_a_second_sweep_in_the_folder_is_refused(
    bare_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "study"
    command = [sys.executable, "-m", "dvae_core", "sweep", str(bare_file), "--output", str(output)]
    process = subprocess.Popen([*command, "--set", "steps=100000"], stderr=subprocess.PIPE)
    try:
        wait_until(lambda: bool(list_runs(output)), process)
        assert sweep(bare_file, output, "--set", "steps=100000") == 2
        assert "is in use by another sweep" in capsys.readouterr().err
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=120)


def test_a_plan_starts_nothing(
    sweep_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sweep(sweep_file, tmp_path / "study", "--plan") == 0
    assert "4 to train and 0 only to evaluate" in capsys.readouterr().out
    assert not (tmp_path / "study").exists()


def test_the_folder_is_called_as_the_file_and_found_by_the_app(
    bare_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DVAE_RUNS", str(tmp_path / "mine"))
    assert main(["sweep", str(bare_file), "--set", "seeds=1", "latents=gaussian"]) == 0
    assert Run(tmp_path / "mine" / "tiny" / "seed-0").state() is State.FINISHED
