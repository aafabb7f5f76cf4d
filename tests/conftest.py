"""Fixtures that tests of several packages share."""

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from dvae_core.config import RunConfig
from dvae_core.runs.run import Run
from dvae_core.training.trainer import train


@pytest.fixture(scope="session", autouse=True)
def _no_job_is_left_behind() -> Iterator[None]:
    """Background jobs outlive whoever started them; those of the tests may not outlive these."""
    os.environ["DVAE_TESTED_BY"] = mark = f"{os.getpid()}-{time.time_ns()}"
    yield
    jobs = {}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            is_job = process.cmdline()[1:3] == ["-m", "dvae_core"]
            if is_job and process.environ().get("DVAE_TESTED_BY") == mark:
                jobs[process] = " ".join(process.cmdline())
    # One that has said its last word may still be about to end.
    _, left = psutil.wait_procs(list(jobs), timeout=60)
    for process in left:
        process.kill()
    assert not [jobs[process] for process in left]


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
        snapshot_every=0,
    )


@pytest.fixture
def tiny_run(tmp_path: Path, tiny_config: RunConfig) -> Run:
    """A run of `tiny_config`, trained to its end."""
    run = Run.create(tmp_path / "tiny", tiny_config, (1, 32, 32))
    train(run)
    return run
