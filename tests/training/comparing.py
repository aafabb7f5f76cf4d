"""Whether two trainings had the same end."""

import torch

from dvae_core.data.procedural.circles import Circles
from dvae_core.runs.run import Run
from dvae_core.training.trainer import Training

# What is the same in each writing of a row; the others tell of time and memory.
CLOCKED = {"seconds", "images_per_second", "memory_mb"}


def assert_same_results(run: Run, whole: Run) -> None:
    """Weights, the state to go on from, metrics, scores and snapshots are equal to the bit."""
    expected = Training(whole.record, Circles(32), torch.device("cpu")).state()
    states = [one.load_trainer_state(expected) for one in (run, whole)]
    for key in expected.keys() - {"seconds"}:
        assert torch.equal(states[0][key], states[1][key]), key
    for name in ("model.safetensors", "discriminator.safetensors"):
        files = [one.path / name for one in (run, whole)]
        assert files[0].is_file() == files[1].is_file()
        assert not files[0].is_file() or files[0].read_bytes() == files[1].read_bytes(), name
    rows = [
        [{name: row[name] for name in row.keys() - CLOCKED} for row in one.metrics.read()]
        for one in (run, whole)
    ]
    assert rows[0] == rows[1]
    assert run.scores.read() == whole.scores.read()
    assert run.snapshot_steps() == whole.snapshot_steps()
    for step in run.snapshot_steps():
        name = f"snapshots/{step:08d}.safetensors"
        assert (run.path / name).read_bytes() == (whole.path / name).read_bytes()


def assert_same_end(run: Run, whole: Run) -> None:
    """The same results, and files of the same names: nothing is left of killed processes."""
    assert_same_results(run, whole)
    assert sorted(path.name for path in run.path.rglob("*")) == sorted(
        path.name for path in whole.path.rglob("*")
    )
