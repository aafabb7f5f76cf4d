import sys
from pathlib import Path

import pytest

from dvae_core.__main__ import main
from dvae_core.config import RunConfig
from dvae_core.runs.run import Run
from dvae_core.training.extension import extend_run

TINY = [
    *("--preset", "quick", "--threads", "1", "--device", "cpu", "--snapshot-every", "0"),
    *("--steps", "12", "--batch-size", "8", "--log-every", "4"),
]

Points = dict[str, list[tuple[int, float]]]


def points_of(run: Run) -> Points:
    """What TensorBoard shows of a run, read by its own reader."""
    accumulators = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    events = accumulators.EventAccumulator(str(run.path / "tensorboard"))
    events.Reload()
    return {
        tag: [(event.step, event.value) for event in events.Scalars(tag)]
        for tag in events.Tags()["scalars"]
    }


def expected_of(run: Run) -> Points:
    points: Points = {}
    for group, log in (("training", run.metrics), ("scores", run.scores)):
        for row in log.read():
            for name in row.keys() - {"step"}:
                points.setdefault(f"{group}/{name}", []).append((int(row["step"]), row[name]))
    return points


def assert_shown(run: Run) -> None:
    shown, expected = points_of(run), expected_of(run)
    assert shown.keys() == expected.keys()
    for tag, points in expected.items():
        assert [step for step, _ in shown[tag]] == [step for step, _ in points]
        values = [value for _, value in points]
        assert [value for _, value in shown[tag]] == pytest.approx(values, rel=1e-6)


def test_a_training_is_shown_as_it_goes(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    run = Run(tmp_path / "run")
    assert main(["train", "--run-dir", str(run.path), *TINY, "--tensorboard"]) == 0
    assert len(points_of(run)["training/loss"]) == 3
    assert_shown(run)


def test_a_resumed_training_shows_each_point_once(tmp_path: Path, tiny_config: RunConfig) -> None:
    pytest.importorskip("tensorboard")
    run = Run(tmp_path / "run")
    # Rows that were logged and shown, but whose state was never saved, are written again.
    assert main(["train", "--run-dir", str(run.path), *TINY, "--tensorboard"]) == 0
    extend_run(run, 8)
    run.metrics.append({"step": 16, "loss": 9.0})
    assert main(["tensorboard", str(run.path)]) == 0
    assert points_of(run)["training/loss"][-1] == (16, 9.0)
    assert main(["resume", str(run.path), "--tensorboard"]) == 0
    assert [step for step, _ in points_of(run)["training/loss"]] == [4, 8, 12, 16, 20]
    assert_shown(run)


def test_a_run_that_was_trained_without_is_shown_later(
    tiny_run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("tensorboard")
    tiny_run.scores.append({"step": 12, "mig": 0.5})
    for _ in range(2):
        assert main(["tensorboard", str(tiny_run.path)]) == 0
    assert f"tensorboard --logdir {tiny_run.path / 'tensorboard'}" in capsys.readouterr().out
    assert points_of(tiny_run)["scores/mig"] == [(12, 0.5)]
    assert_shown(tiny_run)


@pytest.mark.parametrize("command", ["train", "resume", "tensorboard"])
def test_without_the_package_one_line_says_so_and_nothing_is_written(
    tmp_path: Path,
    tiny_config: RunConfig,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: str,
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    old = Run.create(tmp_path / "old", tiny_config, (1, 32, 32))
    arguments = {
        "train": ["train", "--run-dir", str(tmp_path / "new"), *TINY, "--tensorboard"],
        "resume": ["resume", str(old.path), "--tensorboard"],
        "tensorboard": ["tensorboard", str(old.path)],
    }
    assert main(arguments[command]) == 2
    complaint = capsys.readouterr().err
    assert "TensorBoard is not installed: pip install tensorboard" in complaint
    assert complaint.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["old"]
    assert sorted(path.name for path in old.path.iterdir()) == ["config.json", "status.json"]


def test_a_folder_that_is_no_run_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["tensorboard", str(tmp_path / "none")]) == 2
    assert "not a run folder" in capsys.readouterr().err
