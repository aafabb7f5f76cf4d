"""Fixtures that tests of several packages share."""

import argparse
import contextlib
import os

# Before torch reads it: tests that run side by side, each with a thread for every core, would wait
# for one another. What they start inherits it.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Background trainings, for which tests wait, would hardly run beside other tests.
os.environ.setdefault("DVAE_NICENESS", "1")

import shutil
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

import psutil
import pytest
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

from dvae_core.config import RunConfig
from dvae_core.runs.run import Run
from dvae_core.training.trainer import train
from tests.killing import Deaths, ReportKills

# The same examples in every run, however slow the machine is.
settings.register_profile("deterministic", derandomize=True, deadline=None, database=None)
settings.load_profile("deterministic")

# Files whose tests share what takes seconds to make.
SHARES_FIXTURES = ("test_ray.py", "test_protocol.py", "test_installed.py", "test_literal_texts.py")


class GroupScheduling(LoadScopeScheduling):
    """Runs tests that share a server, a browser or a cluster on one worker, the largest group
    first, and all others wherever there is time.

    Takes the place of `--dist=loadgroup`, which forgets its groups with pytest 9.2 (xdist 3.8).
    """

    def _split_scope(self, nodeid: str) -> str:
        path = PurePosixPath(nodeid.partition("::")[0])
        if path.parent.name == "browser":
            return "browser"
        return path.name if path.name in SHARES_FIXTURES else nodeid


def pytest_addoption(parser: pytest.Parser) -> None:
    """How long the proofs are that kill processes; see docs/reliability.md."""
    parser.addoption(
        "--kills",
        type=_count,
        default=20,
        metavar="N",
        help="kills in each of the slow proofs that kill processes (default: 20)",
    )


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number of at least 1")
    return int(text)


def pytest_terminal_summary(terminalreporter: "pytest.TerminalReporter") -> None:
    """Print the table of `report_kills`."""
    rows = [
        row
        for report in terminalreporter.getreports("passed")
        for name, row in report.user_properties
        if name == "kills"
    ]
    if rows:
        terminalreporter.section("kills")
        header = ["killed", "kills", "during a write", "result"]
        for row in (header, ["---"] * len(header), *rows):
            terminalreporter.line(f"| {' | '.join(map(str, row))} |")


@pytest.fixture
def kills(request: pytest.FixtureRequest) -> int:
    """How often a slow proof kills."""
    count: int = request.config.getoption("--kills")
    return count


@pytest.fixture
def report_kills(record_property: Callable[[str, object], None]) -> ReportKills:
    """Adds a row to the table of kills at the end of the tests."""

    def report(what: str, deaths: Deaths, result: str) -> None:
        record_property("kills", [what, deaths.count, deaths.during_a_write, result])

    return report


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> GroupScheduling:
    """How xdist gives tests to its workers."""
    return GroupScheduling(config, log)


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


@pytest.fixture
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Empty folders of runs and data sets, and none that the app ships."""
    monkeypatch.setenv("DVAE_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("DVAE_RUNS", str(tmp_path / "runs"))
    monkeypatch.setattr("dvae_core.runs.catalog.SHIPPED_ROOT", tmp_path / "checkpoints")
    monkeypatch.setattr("dvae_core.runs.catalog.STUDIES_ROOT", tmp_path / "studies")
    return tmp_path


@pytest.fixture(scope="session")
def reference_folder() -> Path:
    """The folder of published frames and reference metric values, where this machine has it."""
    folder = os.environ.get("DVAE_REFERENCE")
    if not folder:
        pytest.skip("DVAE_REFERENCE names no folder of reference data")
    return Path(folder)


TINY = RunConfig(
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
def tiny_config() -> RunConfig:
    """A config that trains in a second: every part is there, nothing is learnt."""
    return TINY


@pytest.fixture(scope="session")
def trained_once(tmp_path_factory: pytest.TempPathFactory) -> Callable[[RunConfig], Path]:
    """The folder of a run of a config on grey 32x32 images, trained once for all tests; copy it."""
    folder = tmp_path_factory.mktemp("trained")

    @cache
    def trained(config: RunConfig) -> Path:
        run = Run.create(folder / f"run-{len(list(folder.iterdir()))}", config, (1, 32, 32))
        train(run)
        return run.path

    return trained


@pytest.fixture
def tiny_run(tmp_path: Path, trained_once: Callable[[RunConfig], Path]) -> Run:
    """A run of `tiny_config`, trained to its end."""
    return Run(shutil.copytree(trained_once(TINY), tmp_path / "tiny"))
