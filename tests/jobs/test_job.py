import os
import shutil
import signal
from pathlib import Path

import psutil
import pytest

from dvae_core.config import RunConfig
from dvae_core.errors import RunError
from dvae_core.evaluation.results import read_evaluation
from dvae_core.jobs import (
    Job,
    find_job,
    job,
    job_progress,
    queue_training,
    start_job,
    stop_job,
)
from dvae_core.progress import never
from dvae_core.runs.run import Run, State
from dvae_core.training.trainer import train
from tests.jobs.conftest import MakeRun, pid_of, wait_until

QUICK = ["--protocol", "paper", "--metrics", "mig,kl", "--points", "200"]
# The gap draws batches until it is stopped.
ENDLESS = ["--protocol", "paper", "--metrics", "straight_through_gap", "--gap-batches", "1000000"]


@pytest.fixture
def run(root: Path, make_run: MakeRun) -> Run:
    """A run of `root`, trained to its end."""
    made = make_run("trained")
    train(made)
    return made


def evaluation_of(run: Run) -> Job:
    found = find_job(run, "evaluate")
    assert found is not None
    return found


def evaluation_pid(run: Run) -> int:
    for process in psutil.process_iter(["cmdline"]):
        line = process.info["cmdline"] or []
        if line[1:5] == ["-m", "dvae_core", "evaluate", str(run.path.resolve())]:
            return process.pid
    raise AssertionError("nothing measures the run")


def test_a_run_without_a_job_has_none(run: Run) -> None:
    assert find_job(run, "evaluate") is None
    stop_job(run, "evaluate")


def test_a_job_does_its_work_and_says_so(run: Run) -> None:
    start_job(run, "evaluate", QUICK)
    assert evaluation_of(run).state == "running"
    wait_until(lambda: evaluation_of(run).state != "running")
    found = evaluation_of(run)
    assert (found.arguments, found.state, found.fraction) == (QUICK, "finished", 1.0)
    assert read_evaluation(run).score("mig", "paper") is not None


def test_a_job_leads_its_own_session_at_a_lower_priority_and_is_stopped(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DVAE_NICENESS")
    start_job(run, "evaluate", ENDLESS, {"COLOUR": "green"})
    with pytest.raises(RunError, match="already runs 'evaluate'"):
        start_job(run, "evaluate", QUICK)
    wait_until(lambda: evaluation_of(run).stage == "straight_through_gap")
    process = psutil.Process(evaluation_pid(run))
    assert os.getsid(process.pid) == process.pid
    assert process.nice() == max(10, psutil.Process().nice())
    autogroup = Path(f"/proc/{process.pid}/autogroup")
    if autogroup.exists():
        assert autogroup.read_text().split()[-1] == str(process.nice())
    assert process.environ()["COLOUR"] == "green"
    assert process.environ()["DVAE_JOB"] == "evaluate"
    stop_job(run, "evaluate")
    assert evaluation_of(run).state == "stopped"
    wait_until(lambda: not process.is_running() or process.status() == psutil.STATUS_ZOMBIE)


def test_an_evaluation_starts_those_that_are_to_follow(run: Run, make_run: MakeRun) -> None:
    others = [make_run("second"), make_run("third")]
    shutil.copytree(run.path, others[1].path, dirs_exist_ok=True)
    # One was deleted, and the second has no weights: neither holds up the third.
    waiting = [run.path.parent / "deleted", *(other.path for other in others)]
    start_job(run, "evaluate", [*QUICK, "--then", *map(str, waiting)])
    wait_until(lambda: find_job(others[1], "evaluate") is not None)
    wait_until(lambda: evaluation_of(others[1]).state == "finished")
    assert evaluation_of(others[0]).state == "failed"
    for done in (run, others[1]):
        score = read_evaluation(done).score("mig", "paper")
        assert score is not None
        assert score.points == 200


def test_a_killed_job_is_lost_and_another_can_start(run: Run) -> None:
    start_job(run, "evaluate", ENDLESS)
    wait_until(lambda: evaluation_of(run).stage == "straight_through_gap")
    os.kill(evaluation_pid(run), signal.SIGKILL)
    wait_until(lambda: evaluation_of(run).state == "lost")
    start_job(run, "evaluate", QUICK)
    wait_until(lambda: evaluation_of(run).state == "finished")


def test_a_job_that_never_began_says_why(run: Run) -> None:
    start_job(run, "evaluate", ["--metrics", "beauty"])
    wait_until(lambda: evaluation_of(run).state == "lost")
    assert "no metric is called 'beauty'" in evaluation_of(run).message


def test_a_job_that_breaks_says_why(run: Run) -> None:
    (run.path / "model.safetensors").write_bytes(b"x" * 100)
    start_job(run, "evaluate", QUICK)
    wait_until(lambda: evaluation_of(run).state == "failed")
    assert "damaged or of another run" in evaluation_of(run).message


def test_a_damaged_record_is_lost_and_another_job_can_start(run: Run) -> None:
    (run.path / "jobs").mkdir(exist_ok=True)
    (run.path / "jobs" / "evaluate.json").write_text("{")
    assert evaluation_of(run).state == "lost"
    start_job(run, "evaluate", QUICK)
    wait_until(lambda: evaluation_of(run).state == "finished")


def test_a_job_that_nobody_could_find_again_is_not_left(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(job, "write_record", full)
    with pytest.raises(OSError, match="No space left"):
        start_job(run, "evaluate", ENDLESS)
    assert find_job(run, "evaluate") is None
    with pytest.raises(AssertionError, match="nothing measures"):
        wait_until(lambda: not evaluation_pid(run), seconds=1.0)


def test_a_job_whose_starter_was_killed_before_it_was_recorded_ends(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DVAE_JOB", "evaluate")
    with (
        pytest.raises(RunError, match="whoever started 'evaluate' of trained was killed: start it"),
        job_progress(run, "evaluate", never),
    ):
        raise AssertionError("it works all the same")
    assert "DVAE_JOB" not in os.environ
    assert find_job(run, "evaluate") is None


def test_a_command_from_a_shell_does_not_hide_how_the_last_job_ended(run: Run) -> None:
    start_job(run, "evaluate", QUICK)
    wait_until(lambda: evaluation_of(run).state == "finished")
    with job_progress(run, "evaluate", never) as report:
        report("mig", 0.5)
        assert evaluation_of(run).state == "finished"
    assert evaluation_of(run).state == "finished"


def test_a_run_is_measured_while_it_trains(make_run: MakeRun) -> None:
    run = make_run("busy", endless=True)
    queue_training(run)
    wait_until(lambda: run.has_model)
    start_job(run, "evaluate", QUICK)
    wait_until(lambda: evaluation_of(run).state == "finished")
    assert run.state() is State.RUNNING
    with pytest.raises(RunError, match="already runs 'resume'"):
        start_job(run, "resume")


def test_a_training_is_no_job_of_two_starters(make_run: MakeRun, tiny_config: RunConfig) -> None:
    run = make_run("shared", endless=True)
    start_job(run, "resume")
    assert run.state() is State.RUNNING
    first = pid_of(run)
    with pytest.raises(RunError, match="is already being trained"):
        queue_training(run)
    assert pid_of(run) == first
