from collections.abc import Callable
from pathlib import Path

import pytest

from dvae_core.data import load_dataset
from dvae_core.errors import DataError, RunError
from dvae_core.evaluation import catalog
from dvae_core.evaluation.protocol import evaluate
from dvae_core.evaluation.results import read_evaluation
from dvae_core.runs.run import Run, State
from dvae_core.sweep.plan import Sweep
from dvae_core.sweep.survey import Task, survey
from dvae_core.training.trainer import train

MakeSweep = Callable[..., Sweep]


def do(task: Task) -> Run:
    train(task.open())
    return evaluated(task)


def evaluated(task: Task) -> Run:
    run = task.open()
    for request in task.evaluations:
        result = evaluate(
            run,
            load_dataset("circles", 32),
            request.protocol,
            request.metrics,
            request.settings,
            existing=read_evaluation(run),
        )
        run.write_evaluation(result.model_dump(mode="json"))
    return run


def test_everything_is_missing_at_first_and_nothing_is_written(
    tiny_sweep: MakeSweep, tmp_path: Path
) -> None:
    found = survey(tiny_sweep(), tmp_path / "runs")
    assert [task.run.id for task in found.tasks] == [
        "gaussian_seed-0",
        "categorical_seed-0",
        "gaussian_seed-1",
        "categorical_seed-1",
    ]
    assert all(task.trains and task.evaluations for task in found.tasks)
    assert not (tmp_path / "runs").exists()


def test_what_is_done_is_complete(tiny_sweep: MakeSweep, tmp_path: Path) -> None:
    do(survey(tiny_sweep(), tmp_path).tasks[0])
    found = survey(tiny_sweep(), tmp_path)
    assert found.complete == ("gaussian_seed-0",)
    assert len(found.tasks) == 3


def test_only_the_metrics_that_were_not_measured_are_missing(
    tiny_sweep: MakeSweep, sweep_file: Path, tmp_path: Path
) -> None:
    do(survey(tiny_sweep(), tmp_path).tasks[0])
    text = sweep_file.read_text().replace('["mig", "kl"]', '["mig", "kl", "reconstruction"]')
    sweep_file.write_text(text.replace('["paper"]', '["paper", "native"]'))
    task = survey(tiny_sweep(), tmp_path).tasks[0]
    assert not task.trains
    assert [(request.protocol, request.metrics) for request in task.evaluations] == [
        ("paper", ("reconstruction",)),
        ("native", ("mig", "kl", "reconstruction")),
    ]


def test_a_set_of_metrics_leaves_out_what_takes_too_long(
    tiny_sweep: MakeSweep, sweep_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = sweep_file.read_text()
    sweep_file.write_text(text.replace('["mig", "kl"]', '"all"'))
    (everything,) = survey(tiny_sweep(), tmp_path).tasks[0].evaluations
    assert "dci" in everything.metrics
    monkeypatch.setattr(catalog, "LONG_SECONDS", 10)
    (quick,) = survey(tiny_sweep(), tmp_path).tasks[0].evaluations
    assert "dci" not in quick.metrics
    sweep_file.write_text(text.replace('["mig", "kl"]', '["dci"]'))
    (named,) = survey(tiny_sweep(), tmp_path).tasks[0].evaluations
    assert named.metrics == ("dci",)


def test_other_points_are_another_measurement(
    tiny_sweep: MakeSweep, sweep_file: Path, tmp_path: Path
) -> None:
    do(survey(tiny_sweep(), tmp_path).tasks[0])
    sweep_file.write_text(sweep_file.read_text().replace("points = 200", "points = 300"))
    (request,) = survey(tiny_sweep(), tmp_path).tasks[0].evaluations
    assert request.metrics == ("mig", "kl")
    assert request.arguments[request.arguments.index("--points") + 1] == "300"


def test_a_run_that_was_stopped_goes_on(tiny_sweep: MakeSweep, tmp_path: Path) -> None:
    task = survey(tiny_sweep(), tmp_path).tasks[0]
    train(task.open(), should_stop=lambda: True)
    assert survey(tiny_sweep(), tmp_path).tasks[0].trains


def test_a_run_that_diverged_is_tried_again_only_when_asked(
    tiny_sweep: MakeSweep, tmp_path: Path
) -> None:
    task = survey(tiny_sweep(), tmp_path).tasks[0]
    run = task.open()
    failed = {"state": State.FAILED, "message": "loss is nan", "diverged": True}
    run.write_status(run.status().model_copy(update=failed))
    found = survey(tiny_sweep(), tmp_path)
    assert found.failed == {run.id: "loss is nan"}
    assert len(found.tasks) == 3
    assert len(survey(tiny_sweep(), tmp_path, retry_failed=True).tasks) == 4


def test_a_run_that_failed_for_another_reason_goes_on(
    tiny_sweep: MakeSweep, tmp_path: Path
) -> None:
    run = survey(tiny_sweep(), tmp_path).tasks[0].open()
    failed = {"state": State.FAILED, "message": "the disk is full"}
    run.write_status(run.status().model_copy(update=failed))
    assert len(survey(tiny_sweep(), tmp_path).tasks) == 4


def test_a_run_of_that_name_with_another_config_is_refused(
    tiny_sweep: MakeSweep, tmp_path: Path
) -> None:
    survey(tiny_sweep(), tmp_path).tasks[0].open()
    with pytest.raises(RunError, match=r"its steps is 12, and .*tiny\.toml asks for 13"):
        survey(tiny_sweep(steps=13), tmp_path)


def test_a_damaged_run_is_refused(tiny_sweep: MakeSweep, tmp_path: Path) -> None:
    run = survey(tiny_sweep(), tmp_path).tasks[0].open()
    (run.path / "config.json").write_text("{")
    with pytest.raises(RunError, match=r"move .* away"):
        survey(tiny_sweep(), tmp_path)


def test_an_unknown_data_set_is_refused(tiny_sweep: MakeSweep, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no data set is called 'squares'"):
        survey(tiny_sweep(dataset="squares"), tmp_path)


def test_metrics_that_compare_runs_wait_for_the_other_seeds(
    tiny_sweep: MakeSweep, sweep_file: Path, tmp_path: Path
) -> None:
    text = sweep_file.read_text().replace('["mig", "kl"]', '["kl", "udr"]')
    sweep_file.write_text(text.replace('["gaussian", "categorical"]', '["gaussian"]'))
    first, second = survey(tiny_sweep(), tmp_path).tasks
    assert [request.metrics for request in first.evaluations] == [("kl",)]

    do(first)
    found = survey(tiny_sweep(), tmp_path)
    assert [task.run.id for task in found.tasks] == ["gaussian_seed-1"]
    (comparison,) = found.comparisons
    assert comparison.run.id == "gaussian_seed-0"
    assert found.missing == ("gaussian_seed-1", "gaussian_seed-0")
    assert found.complete == ()

    evaluated(comparison)  # alone, so undefined
    assert survey(tiny_sweep(), tmp_path).complete == ("gaussian_seed-0",)

    do(second)
    found = survey(tiny_sweep(), tmp_path)
    assert [task.run.id for task in found.comparisons] == ["gaussian_seed-0", "gaussian_seed-1"]
    assert not any(task.trains for task in found.comparisons)
    assert found.in_words() == "2 runs, 0 of them complete; 0 to train and 2 only to evaluate"
    for task in found.comparisons:
        scores = {score.name: score for score in read_evaluation(evaluated(task)).scores}
        assert scores["udr"].value is not None
    assert survey(tiny_sweep(), tmp_path).complete == ("gaussian_seed-0", "gaussian_seed-1")
