"""Whoever is killed, the next one who looks goes on: the queue and evaluations."""

from pathlib import Path

import pytest

from dvae_core.config import RunConfig
from dvae_core.jobs import read_queue, set_trainings_at_once
from dvae_core.runs.catalog import list_runs
from dvae_core.runs.run import Run, State
from dvae_core.system import files
from dvae_core.training.trainer import train
from tests.killing import Deaths, ReportKills, run_program, unfinished
from tests.training.comparing import assert_same_results
from tests.training.witness import assert_one_at_a_time

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]
PROGRAM = "tests.jobs.mortal"


def test_a_queue_whose_processes_are_killed_trains_each_run_once(
    tmp_path: Path,
    tiny_config: RunConfig,
    monkeypatch: pytest.MonkeyPatch,
    kills: int,
    report_kills: ReportKills,
) -> None:
    root = tmp_path / "runs"
    root.mkdir()
    monkeypatch.setenv("DVAE_RUNS", str(root))
    changes = {"steps": 60, "log_every": 5, "checkpoint_seconds": 0.05}
    config = RunConfig(**(tiny_config.model_dump() | changes))
    whole = Run.create(tmp_path / "whole", config, (1, 32, 32))
    Run.create(tmp_path / "new", config, (1, 32, 32))
    deaths = Deaths.read(run_program(PROGRAM, "queue", tmp_path, 4, kills))
    assert deaths.count == kills
    runs = list_runs(root)
    assert len(runs) >= 3
    assert {run.state() for run in runs} == {State.FINISHED}
    assert_one_at_a_time(tmp_path / "witness")
    queue = read_queue(root)
    assert (queue.waiting, queue.started) == ((), ())
    train(whole)
    for run in runs:
        assert_same_results(run, whole)
    # What the dead left beside the queue goes when it is next written.
    monkeypatch.setattr(files, "_YOUNG_SECONDS", -1.0)
    set_trainings_at_once(root, 2)
    assert not [path for path in unfinished(root) if path.parent == root]
    report_kills(
        f"trainers, trainers that start the next one, and whoever looks: a queue of {len(runs)}",
        deaths,
        "each run trained once, one at a time, the same bits",
    )


def test_an_evaluation_that_is_killed_leaves_whole_scores_and_no_lock(
    tmp_path: Path, tiny_run: Run, kills: int, report_kills: ReportKills
) -> None:
    deaths = Deaths.read(run_program(PROGRAM, "evaluation", tiny_run.path, 5, kills))
    assert deaths.count == kills
    report_kills("evaluations, and whoever starts them", deaths, "whole, the same scores")
