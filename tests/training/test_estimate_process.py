import pytest
import tyro

from dvae_core.config import RunConfig
from dvae_core.errors import TrainingError
from dvae_core.training.estimate_process import EstimateProcess, to_flags


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
