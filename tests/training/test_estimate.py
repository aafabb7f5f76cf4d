import json
from pathlib import Path

import pytest
import torch
import tyro

from dvae_core.__main__ import main
from dvae_core.config import RunConfig
from dvae_core.errors import ConfigError, DataError, TrainingError
from dvae_core.training import estimate
from dvae_core.training.estimate import Estimate, EstimateProcess, estimate_seconds, to_flags
from dvae_core.training.trainer import Training


class Clock:
    """A clock on which a step takes what it is told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(estimate, "time", clock)
    return clock


def let_steps_take(
    monkeypatch: pytest.MonkeyPatch, clock: Clock, *seconds: float, snapshot: float = 0.0
) -> None:
    steps = iter(seconds)
    monkeypatch.setattr(
        Training, "advance", lambda self: setattr(clock, "now", clock.now + next(steps))
    )
    monkeypatch.setattr(Training, "take_means", lambda self: {})
    monkeypatch.setattr(
        estimate, "take_snapshot", lambda *_: setattr(clock, "now", clock.now + snapshot)
    )


def test_steps_are_timed_after_a_warm_up_and_reckoned_up(
    tiny_config: RunConfig, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    let_steps_take(monkeypatch, clock, 9, 9, *[0.5] * 4)
    found = estimate_seconds(tiny_config.model_copy(update={"steps": 1_000}))
    assert found == Estimate(500.0, 500.0, 500.0, 16.0, 4)


def test_few_slow_steps_are_enough(
    tiny_config: RunConfig, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    let_steps_take(monkeypatch, clock, 9, 9, 10, 20, 30)
    found = estimate_seconds(tiny_config.model_copy(update={"steps": 10}))
    assert found.steps_timed == 3
    assert found.seconds == pytest.approx(200)
    assert found.low == pytest.approx(120)  # between the quickest, 10, and the next, 20
    assert found.high == pytest.approx(280)


def test_snapshots_are_reckoned_with(
    tiny_config: RunConfig, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    let_steps_take(monkeypatch, clock, 9, 9, *[1.0] * 3, snapshot=7.0)
    config = tiny_config.model_copy(update={"steps": 1_000, "snapshot_every": 100})
    assert estimate_seconds(config).seconds == pytest.approx(1_000 + 11 * 7)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        ((0.2, 0.1, 0.3), "about 1 second (1 second to 1 second), if this machine"),
        ((90, 60, 119), "about 90 seconds (60 seconds to 119 seconds)"),
        ((200, 120, 290), "about 3 minutes (2 minutes to 5 minutes)"),
        ((7_200, 7_000, 36_000), "about 2 hours (117 minutes to 10 hours)"),
    ],
)
def test_an_estimate_says_how_sure_it_is(seconds: tuple[float, float, float], words: str) -> None:
    assert Estimate(*seconds, images_per_second=1, steps_timed=3).in_words().startswith(words)


def test_a_real_estimate_writes_nothing_and_leaves_the_threads(
    tiny_config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    threads = torch.get_num_threads()
    found = estimate_seconds(tiny_config, budget_seconds=0)
    assert 0 < found.low <= found.seconds <= found.high
    assert found.steps_timed == 3
    assert list(tmp_path.iterdir()) == []
    assert torch.get_num_threads() == threads


def test_what_cannot_be_trained_is_refused_as_in_training(tiny_config: RunConfig) -> None:
    with pytest.raises(DataError, match="no data set is called 'squares'"):
        estimate_seconds(tiny_config.model_copy(update={"dataset": "squares"}))
    missing = "cuda" if not torch.cuda.is_available() else "mps"
    with pytest.raises(ConfigError, match=f"device {missing} is asked for"):
        estimate_seconds(tiny_config.model_copy(update={"device": missing}))


def test_the_command_says_it_to_people_and_programs(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        estimate, "estimate_seconds", lambda config: Estimate(config.steps / 10, 300, 500, 640, 20)
    )
    assert main(["estimate", "--preset", "quick", "--json"]) == 0
    words, line = capsys.readouterr().out.splitlines()
    assert words == (
        "4,000 steps: about 7 minutes (5 minutes to 8 minutes), if this machine stays as busy as "
        "it is"
    )
    printed = json.loads(line)
    assert (printed["seconds"], printed["low"], printed["high"]) == (400, 300, 500)
    assert printed["words"] in words


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"compiled": True, "device": "cuda"},
        {"cardinalities": (3, 40), "noise_steps": 100, "sampling": "straight_through"},
        {"latents": "gaussian", "learning_rate": 1e-7},
    ],
)
def test_flags_say_what_the_config_says(settings: dict[str, object]) -> None:
    config = RunConfig(**settings)
    assert tyro.cli(RunConfig, args=to_flags(config)) == config


def test_a_process_tells_how_long_a_config_takes(tiny_config: RunConfig) -> None:
    process = EstimateProcess(tiny_config)
    estimate = process.result()
    assert not process.is_running
    assert 0 < estimate.low <= estimate.seconds
    assert estimate.steps_timed >= 3


def test_a_process_that_can_time_nothing_says_why(tiny_config: RunConfig) -> None:
    process = EstimateProcess(tiny_config.model_copy(update={"dataset": "vanished"}))
    with pytest.raises(TrainingError, match="no data set is called 'vanished'"):
        process.result()
