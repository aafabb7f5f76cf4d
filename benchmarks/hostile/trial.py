"""One trial in a process of its own: a hostile file is made, taken in, and shown on every page."""

import os
import random
import shutil
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Literal
from unittest import mock

import torch
from streamlit.logger import set_log_level
from streamlit.testing.v1 import AppTest

import ui.cached
import ui.encoding
from benchmarks.hostile.kinds import KINDS
from dvae_core.errors import CoreError
from dvae_core.evaluation.results import EvaluationSettings
from dvae_core.runs import catalog
from ui.routing import PAGES

COMPUTING_SECONDS = 300  # after which a trial is ended
WAITING_SECONDS = 3_600.0  # the same on a machine that is busy with other work
EXTRA_BYTES = 4 * 2**30  # of address space beside the libraries
MAIN = PAGES.parent / "ui" / "main.py"
PAGE_NAMES = tuple(sorted(path.stem for path in PAGES.glob("*.py")))

Outcome = Literal["accepted", "refused", "crashed"]


@dataclass(frozen=True)
class Result:
    """What came of a trial.

    Attributes:
        number: of the trial, which with the seed decides its file.
        kind: a key of `KINDS`.
        outcome: a refusal is a `CoreError` of one line; everything else that goes wrong, in a page
            too, is a crash.
        reason: of the refusal or the crash.
        megabytes: most memory beside that of the libraries.
        seconds: of computing that takes the file in, also in child processes; without pages.
    """

    number: int
    kind: str
    outcome: Outcome
    reason: str = ""
    megabytes: float = 0.0
    seconds: float = 0.0


def try_number(number: int, seed: int, originals: Path, folder: Path) -> Result:
    """Make the trial of a number in a child process.

    Args:
        number: of the trial.
        seed: of all trials.
        originals: folder of `make_runs`.
        folder: to work in; the file is left there.
    """
    kind = list(KINDS)[number % len(KINDS)]
    context = get_context("forkserver")
    context.set_forkserver_preload([__name__, "benchmarks.hostile.preload"])
    receiver, sender = context.Pipe(duplex=False)
    arguments = (sender, number, seed, kind, originals, folder)
    child = context.Process(target=_work, args=arguments, daemon=False)
    child.start()
    sender.close()
    started_at = time.monotonic()
    try:
        if receiver.poll(WAITING_SECONDS):
            return Result(**receiver.recv())
        reason = f"no end after {WAITING_SECONDS:.0f} s"
    except EOFError:
        child.join(10)
        reason = f"its process died with {child.exitcode}"
    finally:
        child.kill()
        child.join()
    return Result(number, kind, "crashed", reason, seconds=time.monotonic() - started_at)


def _work(sender: Any, number: int, seed: int, kind: str, originals: Path, folder: Path) -> None:
    torch.set_num_threads(1)
    set_log_level("ERROR")  # no browser is there, says Streamlit
    _limit()
    source = random.Random(f"{seed}-{number}")
    with own_folders(folder):
        sender.send(asdict(judge(number, kind, source, originals, folder)))
    sender.close()
    os._exit(0)  # whatever a page left running


@contextmanager
def own_folders(folder: Path) -> Iterator[None]:
    """Runs and data in this folder only, and pages that encode few images."""
    few = EvaluationSettings(points=200, test_points=100)
    with (
        mock.patch.dict(os.environ, DVAE_DATA=str(folder / "data"), DVAE_RUNS=str(folder / "runs")),
        mock.patch.object(catalog, "SHIPPED_ROOT", folder / "checkpoints"),
        mock.patch.object(catalog, "STUDIES_ROOT", folder / "studies"),
        mock.patch.object(ui.cached, "EvaluationSettings", return_value=few),
        mock.patch.object(ui.cached, "ROTATION_IMAGES", 6),
        mock.patch.object(ui.cached, "AGGREGATE_IMAGES", 64),
        mock.patch.object(ui.encoding, "PATIENCE_SECONDS", 60.0),
    ):
        yield


def judge(
    number: int,
    kind: str,
    source: random.Random,
    originals: Path,
    folder: Path,
    pages: Sequence[str] = PAGE_NAMES,
) -> Result:
    """Make the file of a trial, take it in, and open pages on it; in `own_folders`."""
    (folder / "runs").mkdir(parents=True)
    path = KINDS[kind].make(source, originals, folder)
    if KINDS[kind].opens_pages:
        shutil.copytree(originals / "gaussian", folder / "runs" / "good")
    before, computed_before = _memory("VmRSS"), sum(os.times()[:4])
    outcome: Outcome = "accepted"
    reason = ""
    try:
        KINDS[kind].take(path)
    except CoreError as error:
        outcome, reason = "refused", str(error)
        if "\n" in reason or len(reason) > 1_000:
            outcome = "crashed"
    except Exception:
        outcome, reason = "crashed", _last_lines()
    seconds = sum(os.times()[:4]) - computed_before
    if KINDS[kind].opens_pages and (folder / "runs" / "bad").is_dir():
        shown = pages if outcome == "accepted" else set(pages) & {"explore", "select", "train"}
        try:
            for page in shown:
                open_page(page)
        except Exception:
            outcome, reason = "crashed", _last_lines()
    return Result(number, kind, outcome, reason, _memory("VmHWM") - before, seconds)


def open_page(page: str, address: str = "runs/bad") -> None:
    """Open a page on a run, as a browser does.

    Raises:
        RuntimeError: it shows an error that nobody expected.
    """
    app = AppTest.from_file(str(MAIN), default_timeout=WAITING_SECONDS)
    app.query_params["run"] = address
    app.switch_page(f"../pages/{page}.py")
    app.run()
    if app.exception:
        found = app.exception[0]
        raise RuntimeError(f"{page}: {found.message} {' '.join(found.stack_trace[-2:])}")


def _limit() -> None:
    try:
        import resource

        most = int(_memory("VmSize") * 2**20) + EXTRA_BYTES
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
        resource.setrlimit(resource.RLIMIT_CPU, (COMPUTING_SECONDS, COMPUTING_SECONDS))
    except (ImportError, OSError):
        pass  # only Linux says the size


def _memory(field: str) -> float:
    """A field of /proc/self/status in MB; 0 on other systems."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{field}:"))


def _last_lines() -> str:
    return " ".join(traceback.format_exc().split())[-600:]
