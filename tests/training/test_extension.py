from pathlib import Path

import pytest
import torch

from dvae_core.config import RunConfig
from dvae_core.data.procedural.circles import Circles
from dvae_core.errors import ConfigError, DataError, RunError
from dvae_core.runs.run import Run, State
from dvae_core.system.processes import ProcessIdentity
from dvae_core.training.extension import extend_run
from dvae_core.training.trainer import Training, train
from tests.stopping import stop_after


def new_run(folder: Path, config: RunConfig, **changes: object) -> Run:
    return Run.create(folder, RunConfig(**(config.model_dump() | changes)), (1, 32, 32))


def state(run: Run) -> dict[str, torch.Tensor]:
    expected = Training(run.record, Circles(32), torch.device("cpu")).state()
    tensors = run.load_trainer_state(expected)
    return {key: tensor for key, tensor in tensors.items() if key != "seconds"}


@pytest.mark.parametrize(
    ("latents", "objective"), [("categorical", "elbo"), ("categorical", "factor"), ("fsq", "elbo")]
)
def test_an_extended_training_ends_as_one_that_was_longer_from_the_start(
    tmp_path: Path, tiny_config: RunConfig, latents: str, objective: str
) -> None:
    kind = {"latents": latents, "objective": objective}
    extended = new_run(tmp_path / "extended", tiny_config, steps=20, **kind)
    train(extended)
    record = extend_run(extended, 20)
    assert (record.steps, record.noise_steps) == (40, 20)
    assert train(Run(extended.path)).step == 40
    changes = {"steps": 40, "noise_steps": 20, "encoder_delay": 10}
    at_once = new_run(tmp_path / "at-once", tiny_config, **changes, **kind)
    train(at_once)
    expected = state(at_once)
    for key, tensor in state(extended).items():
        assert torch.equal(tensor, expected[key]), key
    rows = [
        [(row["step"], row["loss"], row["noise_scale"]) for row in run.metrics.read()]
        for run in (extended, at_once)
    ]
    assert rows[0] == rows[1]
    model = (at_once.path / "model.safetensors").read_bytes()
    assert (extended.path / "model.safetensors").read_bytes() == model


def test_the_noise_scale_stays_at_its_end(tiny_config: RunConfig) -> None:
    config = tiny_config.model_copy(update={"steps": 40, "noise_steps": 20})
    planned = tiny_config.model_copy(update={"steps": 20})
    for step in (0, 7, 19):
        assert config.noise_scale_at(step) == planned.noise_scale_at(step)
    assert {config.noise_scale_at(step) for step in (20, 21, 39)} == {2.0}


def test_a_chain_of_extensions_keeps_the_first_schedule(
    tmp_path: Path, tiny_config: RunConfig
) -> None:
    run = new_run(tmp_path / "run", tiny_config)
    train(run)
    for more, steps in ((3, 15), (5, 20)):
        extend_run(run, more)
        assert (Run(run.path).record.steps, Run(run.path).record.noise_steps) == (steps, 12)
        assert run.state() is State.STOPPED
        assert train(run).step == steps
    assert run.state() is State.FINISHED
    assert run.metrics.read()[-1]["noise_scale"] == 2.0


def test_a_stopped_run_is_extended_before_its_end(tmp_path: Path, tiny_config: RunConfig) -> None:
    run = new_run(tmp_path / "run", tiny_config)
    train(run, should_stop=stop_after(6))
    extend_run(run, 8)
    status = run.status()
    assert (status.state, status.step, status.steps) == (State.STOPPED, 6, 20)
    at_once = new_run(tmp_path / "at-once", tiny_config, steps=20, noise_steps=12)
    train(run)
    train(at_once)
    expected = state(at_once)
    for key, tensor in state(run).items():
        assert torch.equal(tensor, expected[key]), key


def test_a_run_in_training_is_not_extended(tmp_path: Path, tiny_config: RunConfig) -> None:
    run = new_run(tmp_path / "run", tiny_config)
    refused: list[str] = []

    def extend(progress: object) -> None:
        with pytest.raises(RunError, match="held by another process for training") as caught:
            extend_run(Run(run.path), 10)
        refused.append(str(caught.value))

    train(run, on_progress=extend)
    assert len(refused) == 12
    assert Run(run.path).record == run.record


def test_a_run_that_was_started_and_does_not_train_yet_is_not_extended(
    tmp_path: Path, tiny_config: RunConfig
) -> None:
    run = new_run(tmp_path / "run", tiny_config)
    running = {"state": State.RUNNING, "process": ProcessIdentity.current()}
    run.write_status(run.status().model_copy(update=running))
    with pytest.raises(RunError, match="is being trained: stop it"):
        extend_run(run, 10)


@pytest.mark.parametrize(
    ("more_steps", "message"),
    [(0, "more_steps is 0"), (-5, "more_steps is -5"), (10_000_000, "steps is 10000012")],
)
def test_a_number_of_steps_that_makes_no_sense_is_refused(
    tmp_path: Path, tiny_config: RunConfig, more_steps: int, message: str
) -> None:
    run = new_run(tmp_path / "run", tiny_config)
    before = {path.name: path.read_bytes() for path in run.path.glob("*.json")}
    with pytest.raises(ConfigError, match=message):
        extend_run(run, more_steps)
    assert {path.name: path.read_bytes() for path in run.path.glob("*.json")} == before


def test_a_finished_run_without_a_state_cannot_go_on(tiny_run: Run) -> None:
    (tiny_run.path / "trainer.safetensors").unlink()
    with pytest.raises(RunError, match=r"has no trainer\.safetensors"):
        extend_run(tiny_run, 10)
    assert tiny_run.state() is State.FINISHED


@pytest.mark.parametrize("missing", ["state", "data set"])
def test_a_finished_run_that_cannot_go_on_stays_finished(tiny_run: Run, missing: str) -> None:
    error: type[Exception] = RunError
    if missing == "state":
        state = tiny_run.path / "trainer.safetensors"
        state.write_bytes(state.read_bytes()[:-100])
    else:
        tiny_run.replace_record(tiny_run.record.model_copy(update={"dataset": "elsewhere"}))
        error = DataError
    before = {path.name: path.read_bytes() for path in tiny_run.path.glob("*.json")}
    with pytest.raises(error):
        extend_run(tiny_run, 10)
    assert {path.name: path.read_bytes() for path in tiny_run.path.glob("*.json")} == before
    assert tiny_run.state() is State.FINISHED


def test_a_damaged_run_is_not_extended(tiny_run: Run) -> None:
    (tiny_run.path / "model.safetensors").unlink()
    with pytest.raises(RunError, match=r"model\.safetensors is missing"):
        extend_run(tiny_run, 10)


def test_whoever_dies_while_extending_leaves_a_run_that_goes_on(
    tiny_run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(self: Run, record: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Run, "replace_record", die)
        with pytest.raises(KeyboardInterrupt):
            extend_run(tiny_run, 10)
    run = Run(tiny_run.path)
    assert run.state() is State.STOPPED
    assert train(run).step == 12
    assert run.state() is State.FINISHED
