"""Whatever ends a training, it goes on to the bits of one that nothing ever ended."""

import re
import subprocess
import time
from pathlib import Path

import pytest

from dvae_core.__main__ import main
from dvae_core.config import RunConfig
from dvae_core.errors import RunError
from dvae_core.runs.run import Run, State
from dvae_core.training import snapshots
from dvae_core.training.trainer import train
from tests.killing import Deaths, ReportKills, run_program
from tests.stopping import stop_after
from tests.training.comparing import assert_same_end
from tests.training.mortal import GAP_BATCHES, POINTS
from tests.training.witness import assert_one_at_a_time

OBJECTIVES = ("elbo", "factor")


@pytest.fixture(autouse=True)
def quick_snapshots(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshots, "POINTS", POINTS)
    monkeypatch.setattr(snapshots, "GAP_BATCHES", GAP_BATCHES)


def new_run(folder: Path, config: RunConfig, **changes: object) -> Run:
    return Run.create(folder, RunConfig(**(config.model_dump() | changes)), (1, 32, 32))


def new_pair(folder: Path, config: RunConfig, **changes: object) -> tuple[Run, Run]:
    """A run to be killed, which saves its state as often as `changes` say, and one to compare."""
    rarely = {"checkpoint_seconds": config.checkpoint_seconds}
    return (
        new_run(folder / "killed", config, **changes),
        new_run(folder / "whole", config, **(changes | rarely)),
    )


def let_it_die(run: Run, *how: object, prefix: tuple[str, ...] = ()) -> list[str]:
    """Run `mortal` and return what it printed."""
    return run_program("tests.training.mortal", run.path, *how, prefix=prefix)


def test_a_training_killed_at_every_touch_of_the_disk_ends_with_the_same_bits(
    tmp_path: Path, tiny_config: RunConfig
) -> None:
    changes = {"steps": 40, "snapshot_every": 3, "log_every": 2, "checkpoint_seconds": 0.0}
    run, whole = new_pair(tmp_path, tiny_config, **changes)
    deaths = Deaths.read(let_it_die(run, "calls", 24))
    assert deaths.count == 24
    assert deaths.during_a_write >= 5
    train(whole)
    assert_same_end(run, whole)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_a_training_killed_at_random_moments_ends_with_the_same_bits(
    tmp_path: Path, tiny_config: RunConfig, objective: str, kills: int, report_kills: ReportKills
) -> None:
    changes = {
        "objective": objective,
        "steps": 1_000,
        "snapshot_every": 50,
        "log_every": 5,
        "checkpoint_seconds": 0.2,
    }
    run, whole = new_pair(tmp_path, tiny_config, **changes)
    deaths = Deaths.read(let_it_die(run, "times", 1, kills))
    assert deaths.count == kills
    steps = [int(place) for place in deaths.places]
    assert len(set(steps)) >= 0.5 * kills  # all over its life
    train(whole)
    assert_same_end(run, whole)
    report_kills(
        f"a training, objective {objective}, at steps {min(steps)} to {max(steps)} of 1,000",
        deaths,
        "the same bits",
    )


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_training_killed_in_its_snapshots_ends_with_the_same_ones(
    tmp_path: Path, tiny_config: RunConfig, kills: int, report_kills: ReportKills
) -> None:
    changes = {
        "steps": 6 * kills,
        "snapshot_every": 3,
        "log_every": 2,
        "checkpoint_seconds": 0.0,
    }
    run, whole = new_pair(tmp_path, tiny_config, **changes)
    deaths = Deaths.read(let_it_die(run, "snapshots", 2, kills))
    assert deaths.count == kills
    assert deaths.during_a_write >= kills / 20
    train(whole)
    assert_same_end(run, whole)
    report_kills("a training, during snapshots", deaths, "the same snapshots and bits")


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_of_two_trainers_of_a_run_never_two_are_at_work(
    tmp_path: Path, tiny_config: RunConfig, kills: int, report_kills: ReportKills
) -> None:
    changes = {"steps": 15 * kills, "log_every": 5, "checkpoint_seconds": 0.1}
    run, whole = new_pair(tmp_path, tiny_config, **changes)
    deaths = Deaths.read(let_it_die(run, "pairs", 3, kills))
    assert deaths.count >= kills
    assert_one_at_a_time(tmp_path / "witness")
    assert main(["resume", str(whole.path)]) == 0
    assert_same_end(run, whole)
    report_kills(
        "one of two trainers that start a run together, then the other",
        deaths,
        "never two at work, the same bits",
    )


def test_a_run_killed_between_its_last_state_and_its_weights_has_the_right_weights(
    tmp_path: Path, tiny_config: RunConfig
) -> None:
    run, whole = (new_run(tmp_path / name, tiny_config) for name in ("run", "whole"))
    train(run, should_stop=stop_after(6))
    early = (run.path / "model.safetensors").read_bytes()
    train(run)
    (run.path / "model.safetensors").write_bytes(early)
    train(run)
    train(whole)
    assert_same_end(run, whole)


def test_a_full_file_system_fails_the_run_and_keeps_its_state(
    tmp_path: Path, tiny_config: RunConfig
) -> None:
    run, whole = (new_run(tmp_path / name, tiny_config) for name in ("run", "whole"))
    train(run, should_stop=stop_after(6))
    # No file may grow beyond what status and rows need.
    lines = let_it_die(run, "limit", 100_000)
    assert re.fullmatch("error: the disk is full .*then resume", lines[0])
    assert re.fullmatch("failed the disk is full .*then resume", lines[1])
    train(whole)
    assert_same_end(run, whole)


def can_mount() -> bool:
    command = ["unshare", "--mount", "mount", "-t", "tmpfs", "-o", "size=1m", "none", "/mnt"]
    try:
        return subprocess.run(command, capture_output=True).returncode == 0
    except OSError:
        return False


@pytest.mark.skipif(not can_mount(), reason="needs the right to mount a small disk")
def test_a_full_disk_fails_the_run_and_keeps_its_state(
    tmp_path: Path, tiny_config: RunConfig
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    changes = {"snapshot_every": 1, "checkpoint_seconds": 0.0}
    source = new_run(tmp_path / "run", tiny_config, **changes)
    whole = new_run(tmp_path / "whole", tiny_config, **changes)
    train(source, should_stop=stop_after(6))
    there = f"mount -t tmpfs -o size=40m none {disk} && cp -r {source.path} {disk}"
    back = f"rm -r {source.path} && cp -r {disk}/run {tmp_path}"
    shell = ("unshare", "--mount", "sh", "-c", f'{there} && "$@" && {back}', "sh")
    # Room for nothing; for a status; for that and for rows; for a snapshot, but not for the state.
    left = ("0", "40000", "80000", "3000000")
    lines = let_it_die(Run(disk / "run"), "full", *left, prefix=shell)
    assert len(lines) == 2 * len(left)
    for line in lines[::2]:
        assert re.fullmatch("error: the disk is full .*No space left.*then resume", line)
    # Without any room the training does not even begin, and leaves the status as it was.
    assert lines[1] == "stopped "
    for line in lines[3::2]:
        assert re.fullmatch("failed the disk is full .*No space left.*then resume", line)
    train(whole)
    assert_same_end(source, whole)


def test_a_failed_run_says_that_the_disk_was_full(
    tmp_path: Path, tiny_config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = new_run(tmp_path / "run", tiny_config)

    def full(self: Run, state: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Run, "save_trainer_state", full)
    with pytest.raises(RunError, match=r"the disk is full \(No space left on device\)"):
        train(run)
    status = run.status()
    assert (status.state, status.diverged) == (State.FAILED, False)
    assert "free some space, then resume" in status.message


def test_another_error_of_the_disk_is_not_called_full(
    tmp_path: Path, tiny_config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = new_run(tmp_path / "run", tiny_config)

    def broken(self: Run, state: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(Run, "save_trainer_state", broken)
    with pytest.raises(OSError, match="Input/output error"):
        train(run)
    assert "Input/output error" in run.status().message


def test_a_clock_that_jumps_changes_nothing(
    tmp_path: Path, tiny_config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = {"log_every": 1, "snapshot_every": 4}
    run = new_run(tmp_path / "run", tiny_config, **changes)
    whole = new_run(tmp_path / "whole", tiny_config, **changes)
    train(whole)
    jumps = iter(range(10**6))
    with monkeypatch.context() as patch:
        patch.setattr(time, "time", lambda: (-1) ** next(jumps) * 1e9)
        train(run)
    assert_same_end(run, whole)
    rows = run.metrics.read()
    assert all(row["images_per_second"] > 0 for row in rows)
    seconds = [row["seconds"] for row in rows]
    assert seconds == sorted(seconds)
    assert 0 <= seconds[-1] < 300
