"""That the encoder of FSQ waits, and that its images keep codes of their own."""

from pathlib import Path

import pytest
import torch

from dvae_core.config import RunConfig
from dvae_core.data.procedural.circles import Circles
from dvae_core.runs.run import Run
from dvae_core.training.trainer import Training, train
from tests.stopping import stop_after

CPU = torch.device("cpu")


def fsq(config: RunConfig, delay: int, **settings: object) -> RunConfig:
    return config.model_copy(update={"latents": "fsq", "encoder_delay": delay, **settings})


def is_changed(before: dict[str, torch.Tensor], training: Training, part: str) -> list[bool]:
    return [
        not torch.equal(before[name], parameter)
        for name, parameter in training.model.named_parameters()
        if name.startswith(part) and name.endswith("weight")
    ]


def test_the_encoder_keeps_its_weights_while_it_waits_and_learns_then(
    tiny_config: RunConfig,
) -> None:
    training = Training(fsq(tiny_config, delay=3, weight_decay=0.1), Circles(32), CPU)
    before = {name: tensor.clone() for name, tensor in training.model.named_parameters()}
    for _ in range(3):
        training.advance()
    assert not any(is_changed(before, training, "encoder"))
    assert all(is_changed(before, training, "decoder"))
    training.advance()
    assert all(is_changed(before, training, "encoder"))


def test_families_that_do_not_use_the_delay_ignore_it(tiny_config: RunConfig) -> None:
    training = Training(fsq(tiny_config, delay=3, latents="quantized"), Circles(32), CPU)
    before = {name: tensor.clone() for name, tensor in training.model.named_parameters()}
    training.advance()
    assert all(is_changed(before, training, "encoder"))


@pytest.mark.parametrize("stop", [3, 6])
def test_a_run_that_is_stopped_before_or_after_the_delay_resumes_to_the_same_bits(
    tmp_path: Path, tiny_config: RunConfig, stop: int
) -> None:
    config = fsq(tiny_config, delay=4)
    runs = [Run.create(tmp_path / name, config, (1, 32, 32)) for name in ("whole", "parts")]
    train(runs[0])
    train(runs[1], should_stop=stop_after(stop))
    train(Run(runs[1].path))
    whole, parts = (run.load_model().state_dict() for run in runs)
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


def _without_shared_gradient(_: torch.nn.Module, codes: tuple[torch.Tensor]) -> None:
    codes[0].register_hook(lambda gradient: gradient - gradient.mean(0))


def codes_in_use(delay: int, has_shared_gradient: bool = True) -> int:
    """Codes of all images after 150 steps with two latents, as the preset `quick` has them, with or
    without the part of the codes' gradients that all images of a batch share."""
    config = RunConfig.from_preset(
        "quick", latents="fsq", encoder_delay=delay, steps=1_000, threads=1, device="cpu"
    )
    circles = Circles(32)
    training = Training(config, circles, CPU)
    decoder = training.model.decoder
    assert decoder is not None
    if not has_shared_gradient:
        decoder.register_forward_pre_hook(_without_shared_gradient)
    for _ in range(150):
        training.advance()
    with torch.no_grad():
        posterior = training.model.encode(circles.images_at(torch.arange(circles.num_images)))
    return len(posterior.mode_code().unique(dim=0))


def test_without_the_delay_all_images_get_one_code_and_with_it_they_do_not() -> None:
    assert codes_in_use(delay=0) == 1
    assert codes_in_use(delay=50) > 20


def test_what_drives_the_codes_together_is_the_gradient_that_all_images_share() -> None:
    assert codes_in_use(delay=0, has_shared_gradient=False) > 5


def test_the_delay_is_at_most_half_of_the_run() -> None:
    assert RunConfig(latents="fsq", steps=1_000).steps_without_encoder == 200
    assert RunConfig(latents="fsq", steps=300).steps_without_encoder == 150
    assert RunConfig(latents="fsq", steps=1).steps_without_encoder == 0
    assert RunConfig(latents="quantized", steps=1_000).steps_without_encoder == 0
