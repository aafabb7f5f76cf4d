import subprocess
import sys
from pathlib import Path

import pytest
import torch

from dvae_core.config import RunConfig
from dvae_core.data.procedural.circles import Circles
from dvae_core.errors import ConfigError, DataError, RunError, TrainingError
from dvae_core.runs.run import Run, State, Status
from dvae_core.training.trainer import (
    Training,
    TrainingProgress,
    choose_device,
    save_state,
    train,
)
from tests.stopping import stop_after

CPU = torch.device("cpu")


def new_run(folder: Path, config: RunConfig) -> Run:
    return Run.create(folder, config, (1, 32, 32))


def weights(run: Run) -> dict[str, torch.Tensor]:
    return run.load_model().state_dict() | run.load_objective().state_dict()


def assert_equal(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> None:
    assert first.keys() == second.keys()
    for key, tensor in first.items():
        assert torch.equal(tensor, second[key]), key


def test_one_seed_decides_all(tmp_path: Path, tiny_config: RunConfig) -> None:
    runs = [new_run(tmp_path / name, tiny_config) for name in ("one", "two")]
    torch.manual_seed(1)
    train(runs[0])
    torch.manual_seed(2)
    train(runs[1])
    assert_equal(weights(runs[0]), weights(runs[1]))
    other = new_run(tmp_path / "other", tiny_config.model_copy(update={"seed": 1}))
    train(other)
    assert not torch.equal(
        weights(other)["encoder.head.weight"], weights(runs[0])["encoder.head.weight"]
    )


@pytest.mark.parametrize("objective", ["elbo", "factor", "annealed", "tc"])
def test_a_stopped_run_resumes_to_the_same_bits(
    tmp_path: Path, tiny_config: RunConfig, objective: str
) -> None:
    settings = {"objective": objective, "capacity_max": 2.0, "capacity_steps": 10}
    config = tiny_config.model_copy(update=settings)
    whole = new_run(tmp_path / "whole", config)
    train(whole)
    names = ("step", "loss", "reconstruction", "noise_scale", *whole.load_objective().term_names)
    for stop_at in (1, 6, 11):
        parts = new_run(tmp_path / f"parts-{stop_at}", config)
        status = train(parts, should_stop=stop_after(stop_at))
        assert (status.state, status.step) == (State.STOPPED, stop_at)
        assert train(Run(parts.path)).state is State.FINISHED
        assert_equal(weights(whole), weights(parts))
        for row, expected in zip(parts.metrics.read(), whole.metrics.read(), strict=True):
            assert [row[name] for name in names] == [expected[name] for name in names]


def test_a_run_that_died_after_logging_does_not_log_twice(
    tmp_path: Path, tiny_config: RunConfig
) -> None:
    run = new_run(tmp_path / "run", tiny_config)
    train(run, should_stop=stop_after(6))
    run.metrics.append({"step": 8})  # logged, but the process died before it saved
    train(run)
    assert [row["step"] for row in run.metrics.read()] == [4, 8, 12]


def test_a_stop_file_ends_a_training_which_can_go_on(
    tmp_path: Path, tiny_config: RunConfig
) -> None:
    run = new_run(tmp_path / "run", tiny_config)

    def ask_at_three(progress: TrainingProgress) -> None:
        if progress.step == 3:
            run.request_stop()

    assert train(run, on_progress=ask_at_three).step == 4
    assert run.state() is State.STOPPED
    assert train(run).state is State.FINISHED


def test_a_training_at_128_pixels_sees_128_pixels(tmp_path: Path, tiny_config: RunConfig) -> None:
    config = tiny_config.model_copy(update={"image_size": 128, "steps": 2})
    run = Run.create(tmp_path / "large", config, (1, 128, 128))
    assert train(run).state is State.FINISHED
    assert run.load_model().decode_images(torch.zeros(1, 2)).shape == (1, 1, 128, 128)


def test_a_training_that_would_enlarge_its_images_is_refused(
    tmp_path: Path, tiny_config: RunConfig
) -> None:
    config = tiny_config.model_copy(update={"dataset": "rooms", "image_size": 128})
    run = Run.create(tmp_path / "enlarged", config, (3, 128, 128))
    with pytest.raises(DataError, match="rooms has images of 64 x 64 pixels"):
        train(run)
    assert run.state() is State.FAILED


def test_a_loss_that_is_not_finite_fails_with_step_and_term(
    tmp_path: Path, tiny_config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = new_run(tmp_path / "run", tiny_config.model_copy(update={"checkpoint_seconds": 0.0}))
    sound, calls = Circles._draw, iter(range(100))

    def poisoned(
        self: Circles, factors: torch.Tensor, generator: torch.Generator | None
    ) -> torch.Tensor:
        images = sound(self, factors, generator)
        return images * float("nan") if next(calls) == 4 else images

    monkeypatch.setattr(Circles, "_draw", poisoned)
    with pytest.raises(TrainingError, match="reconstruction is nan at step 5"):
        train(run)
    status = run.status()
    assert status.state is State.FAILED
    assert "reconstruction is nan at step 5" in status.message
    assert all(tensor.isfinite().all() for tensor in weights(run).values())


def test_weights_that_are_not_finite_replace_no_good_state(
    tmp_path: Path, tiny_config: RunConfig
) -> None:
    run = new_run(tmp_path / "run", tiny_config)
    training = Training(tiny_config, Circles(32), CPU)
    save_state(run, training)
    with torch.no_grad():
        training.model.get_parameter("decoder.hidden.weight")[0, 0] = float("inf")
    with pytest.raises(TrainingError, match=r"decoder\.hidden\.weight is not finite"):
        save_state(run, training)
    assert all(tensor.isfinite().all() for tensor in weights(run).values())


def test_two_processes_do_not_train_one_run(tmp_path: Path, tiny_config: RunConfig) -> None:
    run = new_run(tmp_path / "run", tiny_config)
    with (
        run.reserved_for("training"),
        pytest.raises(RunError, match="held by another process for training"),
    ):
        train(Run(run.path))


def test_a_compiled_step_is_refused_without_cuda() -> None:
    with pytest.raises(ConfigError, match="compiled is set, but the device is cpu"):
        choose_device("cpu", compiled=True)


def test_a_run_that_goes_on_does_not_fall_back_to_step_zero(
    tmp_path: Path, tiny_config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = new_run(tmp_path / "run", tiny_config)
    seconds = train(run, should_stop=stop_after(6)).seconds
    written: list[Status] = []
    write = Run.write_status

    def watch(run: Run, status: Status) -> None:
        written.append(status)
        write(run, status)

    monkeypatch.setattr(Run, "write_status", watch)
    train(run)
    assert {status.state for status in written[:-1]} == {State.RUNNING}
    assert min(status.step for status in written) == 6
    assert min(status.seconds for status in written) == pytest.approx(seconds)


def test_state_survives_saving_whole(tiny_config: RunConfig) -> None:
    config = tiny_config.model_copy(update={"objective": "factor"})
    first, second = (Training(config, Circles(32), CPU) for _ in range(2))
    for _ in range(3):
        first.advance()
    second.load_state({key: tensor.clone() for key, tensor in first.state().items()})
    assert_equal(first.state(), second.state())


def test_the_noise_scale_rises_by_a_half_cosine() -> None:
    config = RunConfig(steps=100)
    scales = [config.noise_scale_at(step) for step in (0, 25, 50, 100, 200)]
    quarter = 1.25 - 0.75 * 2**-0.5
    assert scales == pytest.approx([0.5, quarter, 1.25, 2.0, 2.0])


def test_both_gradients_are_taken_before_either_update(tiny_config: RunConfig) -> None:
    config = tiny_config.model_copy(update={"objective": "factor"})
    training = Training(config, Circles(32), CPU)
    frozen = Training(config, Circles(32), CPU)
    for group in frozen.optimizers["model"].param_groups:
        group["lr"] = 0.0
    training.advance()
    frozen.advance()
    # Were the discriminator's gradient taken after the model's update, the two would differ.
    assert_equal(training.objective.state_dict(), frozen.objective.state_dict())


def test_threads_are_set_for_the_training_alone(tiny_config: RunConfig, tmp_path: Path) -> None:
    before = torch.get_num_threads()
    seen: list[int] = []
    config = tiny_config.model_copy(update={"threads": before + 1})
    train(new_run(tmp_path / "run", config), lambda _: seen.append(torch.get_num_threads()))
    assert set(seen) == {before + 1}
    assert torch.get_num_threads() == before


def test_denormals_are_zero_in_training_alone(tmp_path: Path, tiny_config: RunConfig) -> None:
    seen: list[float] = []
    small = torch.tensor(1e-40)
    train(new_run(tmp_path / "run", tiny_config), lambda _: seen.append((small * 1).item()))
    assert set(seen) == {0.0}
    assert (small * 1).item() > 0


def test_all_threads_of_a_training_flush_denormals() -> None:
    program = """
import torch
from dvae_core.training.trainer import flushed_denormals, thread_count
with thread_count(2), flushed_denormals():
    print((torch.full((1_000_000,), 1e-40) * 1).count_nonzero().item())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "0", done.stderr


def test_a_device_that_is_not_there_is_refused() -> None:
    missing = "cuda" if not torch.cuda.is_available() else "mps"
    with pytest.raises(ConfigError, match=f"device {missing} is asked for, but this machine"):
        choose_device(missing)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_compiled_step_gives_the_plain_steps_losses(tiny_config: RunConfig) -> None:
    device = torch.device("cuda")
    means = []
    for compiled in (False, True):
        update = {"device": "cuda", "compiled": compiled}
        training = Training(tiny_config.model_copy(update=update), Circles(32, device), device)
        for _ in range(10):
            training.advance()
        means.append(training.take_means())
    assert means[0] == pytest.approx(means[1], rel=1e-3)
