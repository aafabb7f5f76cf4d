"""A sweep that trains in seconds."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dvae_core.sweep.plan import Sweep, read_sweep

TINY_SWEEP = """
preset = "quick"
seeds = 2

[fixed]
device = "cpu"
steps = 12
batch_size = 8
log_every = 4

[grid]
latents = ["gaussian", "categorical"]

[evaluation]
protocols = ["paper"]
metrics = ["mig", "kl"]
points = 200
"""


@pytest.fixture
def sweep_file(tmp_path: Path) -> Path:
    """A file that asks for two seeds of both families."""
    path = tmp_path / "tiny.toml"
    path.write_text(TINY_SWEEP)
    return path


@pytest.fixture
def tiny_sweep(sweep_file: Path) -> Callable[..., Sweep]:
    """What the file asks for, with settings laid over it."""

    def read(**overrides: Any) -> Sweep:
        return read_sweep(sweep_file, overrides)

    return read
