"""Which parameters decay, and that a step does what AdamW does."""

from pathlib import Path

import torch

from dvae_core.config import RunConfig
from dvae_core.data.procedural.circles import Circles
from dvae_core.runs.run import Run
from dvae_core.training.trainer import Training, train
from tests.stopping import stop_after

CPU = torch.device("cpu")


def quantized(config: RunConfig, **settings: object) -> RunConfig:
    return config.model_copy(update={"latents": "quantized", "hessian_weight": 1.0, **settings})


def after_a_step(config: RunConfig) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    training = Training(config, Circles(32), CPU)
    before = {name: tensor.clone() for name, tensor in training.model.named_parameters()}
    training.advance()
    return before, dict(training.model.named_parameters())


def test_weights_shrink_by_decay_times_step_size_and_nothing_else_does(
    tiny_config: RunConfig,
) -> None:
    before, plain = after_a_step(quantized(tiny_config))
    _, decayed = after_a_step(quantized(tiny_config, weight_decay=10.0))
    shrinkage = 10.0 * tiny_config.learning_rate
    for name, start in before.items():
        is_weight = name.endswith("weight")
        expected = plain[name] - (shrinkage * start if is_weight else 0.0)
        torch.testing.assert_close(decayed[name], expected, atol=1e-6, rtol=1e-5)
    assert "latents.codebook" in before  # which does not decay


def test_a_stopped_run_with_every_regularizer_resumes_to_the_same_bits(
    tmp_path: Path, tiny_config: RunConfig
) -> None:
    config = quantized(tiny_config, weight_decay=0.1, multiinformation_weight=1.0)
    runs = [Run.create(tmp_path / name, config, (1, 32, 32)) for name in ("whole", "parts")]
    train(runs[0])
    train(runs[1], should_stop=stop_after(6))
    train(Run(runs[1].path))
    whole, parts = (run.load_model().state_dict() for run in runs)
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
    names = ("loss", "codebook", "commitment", "multiinformation", "hessian")
    rows = [[[row[name] for name in names] for row in run.metrics.read()] for run in runs]
    assert rows[0] == rows[1]
