import os
import signal
import time
from collections.abc import Callable

import psutil
import pytest

from dvae_core.errors import RunError
from dvae_core.evaluation import read_evaluation
from dvae_core.jobs import Job, find_job, start_job, stop_job
from dvae_core.run import Run

QUICK = ["--protocol", "paper", "--metrics", "mig,kl", "--points", "200"]
# The gap draws batches until it is stopped.
ENDLESS = ["--protocol", "paper", "--metrics", "straight_through_gap", "--gap-batches", "10000000"]


def wait_for(run: Run, condition: Callable[[Job], bool]) -> Job:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        job = find_job(run)
        assert job is not None
        if condition(job):
            return job
        time.sleep(0.05)
    raise AssertionError(f"the job stayed {find_job(run)}")


def pid_of(run: Run) -> int:
    record = run.read_job()
    assert record is not None
    return record.pid


def test_a_run_without_a_job_has_none(tiny_run: Run) -> None:
    assert find_job(tiny_run) is None


def test_a_job_does_its_work_and_says_so(tiny_run: Run) -> None:
    start_job(tiny_run, "evaluate", QUICK)
    job = find_job(tiny_run)
    assert job is not None
    assert job.state == "running"
    finished = wait_for(tiny_run, lambda job: job.state != "running")
    assert (finished.state, finished.fraction) == ("finished", 1.0)
    assert read_evaluation(tiny_run).score("mig", "paper") is not None


def test_a_second_job_is_refused_while_one_runs(tiny_run: Run) -> None:
    start_job(tiny_run, "evaluate", ENDLESS)
    try:
        with pytest.raises(RunError, match="is at 'evaluate' already"):
            start_job(tiny_run, "evaluate", QUICK)
    finally:
        stop_job(tiny_run)


def test_a_job_leads_its_own_session_at_a_lower_priority(tiny_run: Run) -> None:
    start_job(tiny_run, "evaluate", ENDLESS)
    try:
        pid = pid_of(tiny_run)
        assert os.getsid(pid) == pid
        assert psutil.Process(pid).nice() > psutil.Process().nice()
    finally:
        stop_job(tiny_run)


def test_a_job_is_stopped_and_leaves_no_process(tiny_run: Run) -> None:
    start_job(tiny_run, "evaluate", ENDLESS)
    wait_for(tiny_run, lambda job: job.stage == "straight_through_gap")
    pid = pid_of(tiny_run)
    stop_job(tiny_run)
    assert wait_for(tiny_run, lambda job: job.state != "running").state == "stopped"
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_a_killed_job_is_lost_and_another_can_start(tiny_run: Run) -> None:
    start_job(tiny_run, "evaluate", ENDLESS)
    wait_for(tiny_run, lambda job: job.stage == "straight_through_gap")
    os.kill(pid_of(tiny_run), signal.SIGKILL)
    assert wait_for(tiny_run, lambda job: job.state != "running").state == "lost"
    start_job(tiny_run, "evaluate", QUICK)
    assert wait_for(tiny_run, lambda job: job.state != "running").state == "finished"


def test_a_job_that_never_began_says_why(tiny_run: Run) -> None:
    start_job(tiny_run, "evaluate", ["--metrics", "beauty"])
    job = wait_for(tiny_run, lambda job: job.state != "running")
    assert job.state == "lost"
    assert "no metric is called 'beauty'" in job.message


def test_a_job_that_breaks_says_why(tiny_run: Run) -> None:
    (tiny_run.path / "model.safetensors").write_bytes(b"x" * 100)
    start_job(tiny_run, "evaluate", QUICK)
    job = wait_for(tiny_run, lambda job: job.state != "running")
    assert job.state == "failed"
    assert "truncated or no safetensors file" in job.message


def test_stopping_what_does_not_run_does_nothing(tiny_run: Run) -> None:
    stop_job(tiny_run)
    assert find_job(tiny_run) is None


def test_a_damaged_record_is_lost_and_another_job_can_start(tiny_run: Run) -> None:
    (tiny_run.path / "job.json").write_text("{")
    job = find_job(tiny_run)
    assert job is not None
    assert job.state == "lost"
    start_job(tiny_run, "evaluate", QUICK)
    assert wait_for(tiny_run, lambda job: job.state != "running").state == "finished"
