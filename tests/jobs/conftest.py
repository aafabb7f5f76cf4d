"""Own runs, and processes that end in any case."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dvae_core.config import RunConfig
from dvae_core.jobs import find_job, stop_job, stop_training
from dvae_core.runs.catalog import list_runs
from dvae_core.runs.run import Run, State

MakeRun = Callable[..., Run]


def wait_until(condition: Callable[[], bool], seconds: float = 200.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.05)


def pid_of(run: Run) -> int:
    process = run.status().process
    assert process is not None
    return process.pid


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of a person's own runs, empty; what works on them is stopped in the end."""
    folder = tmp_path / "runs"
    folder.mkdir()
    monkeypatch.setenv("DVAE_RUNS", str(folder))
    yield folder
    runs = list_runs(folder)
    for run in runs:  # first those that wait, or they would start
        if run.state() is State.QUEUED:
            stop_training(run)
    for run in runs:
        if run.state() is State.RUNNING:
            stop_training(run, grace_seconds=2.0)
        job = find_job(run, "evaluate")
        if job is not None and job.state == "running":
            stop_job(run, "evaluate")


@pytest.fixture
def make_run(root: Path, tiny_config: RunConfig) -> MakeRun:
    """Makes a new run of `root`; its training takes a moment, or with endless=True for ever."""

    def make(name: str, endless: bool = False, **settings: object) -> Run:
        if endless:
            settings |= {"steps": 10_000_000, "log_every": 250, "checkpoint_seconds": 1.0}
        config = RunConfig(**(tiny_config.model_dump() | settings))
        return Run.create(root / name, config, (1, 32, 32))

    return make
