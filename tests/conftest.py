"""Fixtures that tests of several packages share."""

import os
from pathlib import Path

import pytest

from dvae_core.config import RunConfig
from dvae_core.run import Run
from dvae_core.training.trainer import train


@pytest.fixture(scope="session")
def reference_folder() -> Path:
    """The folder of published frames and reference metric values, where this machine has it."""
    folder = os.environ.get("DVAE_REFERENCE")
    if not folder:
        pytest.skip("DVAE_REFERENCE names no folder of reference data")
    return Path(folder)


@pytest.fixture
def tiny_config() -> RunConfig:
    """A config that trains in a second: every part is there, nothing is learnt."""
    return RunConfig(
        dataset="circles",
        image_size=32,
        num_latents=2,
        num_categories=5,
        steps=12,
        batch_size=8,
        learning_rate=1e-3,
        threads=1,
        device="cpu",
        log_every=4,
    )


@pytest.fixture
def tiny_run(tmp_path: Path, tiny_config: RunConfig) -> Run:
    """A run of `tiny_config`, trained to its end."""
    run = Run.create(tmp_path / "tiny", tiny_config, (1, 32, 32))
    train(run)
    return run
