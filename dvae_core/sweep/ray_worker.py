"""The worker of a sweep on several machines, which trains a run in a temporary folder.

The files of a run are exchanged as bytes, independently of the transport.
"""

import hashlib
import shutil
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from dvae_core.data import load_dataset
from dvae_core.errors import RunError
from dvae_core.evaluation.protocol import evaluate
from dvae_core.evaluation.results import read_evaluation
from dvae_core.runs.files import (
    STATUS,
    TRAINER_STATE,
    reading_order,
    travelling_files,
    travels,
)
from dvae_core.runs.run import Run, State, Status
from dvae_core.sweep.survey import EvaluationRequest
from dvae_core.system.files import write_atomically
from dvae_core.system.memory import keep_freed_memory
from dvae_core.system.processes import ProcessIdentity
from dvae_core.system.shipped import INSTALLED_APP
from dvae_core.training.trainer import train


@dataclass(frozen=True)
class Piece:
    """The changes of a run since the last piece.

    Attributes:
        files: contents of new and changed files by their path in the run folder.
        paths: of all existing files.
        status: of the training.
        ended: whether the work has ended.
        reason: why it ended early, or "".
    """

    files: dict[str, bytes]
    paths: frozenset[str]
    status: Status
    ended: bool
    reason: str


def files_to_send(run: Run) -> list[str]:
    """Paths of the files of a run to send in the order to read them, except status.json. What
    people write stays where they write it."""
    files = travelling_files(run.path)
    paths = [path for path, file in files.items() if path != STATUS and not file.by_people]
    return sorted(paths, key=reading_order)


def pack_files(run: Run) -> dict[str, bytes]:
    """All files that a worker needs to resume a run."""
    return {path: (run.path / path).read_bytes() for path in [STATUS, *files_to_send(run)]}


def receive(run: Run, piece: Piece) -> None:
    """Write a piece to a run folder, in an order that leaves a resumable run after an interruption.

    Raises:
        RunError: a path is not that of a file of a run; nothing is written then.
    """
    for path in piece.files:
        if not travels(path) or path == STATUS:  # it comes apart, to be written last
            raise RunError(f"{run.path}: a worker sent {path[:80]!r}, which is not a file of a run")
    for path in sorted(piece.files, key=lambda path: path == TRAINER_STATE):
        target = run.path / path
        target.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(target, piece.files[path])
    for path in set(files_to_send(run)) - piece.paths:
        (run.path / path).unlink()
    status = piece.status
    if status.state is State.RUNNING:  # for whoever looks at this folder, here is who does it
        status = status.model_copy(update={"process": ProcessIdentity.current()})
    run.write_status(status)


class RunWorker:
    """Trains and evaluates one run in the background, and returns its files as they change."""

    def __init__(
        self,
        run_id: str,
        files: Mapping[str, bytes],
        trains: bool,
        evaluations: tuple[EvaluationRequest, ...],
        piece_seconds: float,
        expected_code: str,
    ) -> None:
        """Start the work.

        Args:
            run_id: name of the folder.
            files: of the run, including status.json.
            trains: whether to train before the evaluations.
            evaluations: to make.
            piece_seconds: longest wait of `next_piece`.
            expected_code: `code_hash` of the machine that runs the sweep.

        Raises:
            RunError: this machine has another version of the code.
        """
        if code_hash() != expected_code:
            raise RunError("a machine that joined the cluster has another version of dvae_core")
        self.folder = Path(tempfile.mkdtemp(prefix="dvae-sweep-"))
        self._run = Run(self.folder / run_id)
        for path, content in files.items():
            target = self._run.path / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        self._trains, self._evaluations = trains, evaluations
        self._piece_seconds = piece_seconds
        self._reason = ""
        self._stopping = threading.Event()
        self._sent = {path: self._stamp(path) for path in files_to_send(self._run)}
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def next_piece(self) -> Piece:
        """The changes after `piece_seconds`, or at the end of the work; the last piece has `ended`
        set, and the folder is then removed."""
        self._thread.join(self._piece_seconds)
        ended = not self._thread.is_alive()
        status = self._run.status()  # before the files, which are then at least as new
        files = {}
        paths = files_to_send(self._run)
        for path in paths:
            try:
                modified_at = self._stamp(path)
                if self._sent.get(path) != modified_at:
                    files[path] = (self._run.path / path).read_bytes()
                    self._sent[path] = modified_at
            except FileNotFoundError:  # replaced by a later one in the meantime
                continue
        if ended:
            shutil.rmtree(self.folder)
        return Piece(files, frozenset(paths), status, ended, self._reason)

    def stop(self) -> None:
        """Ask the work to save its state and end."""
        self._stopping.set()

    def _work(self) -> None:
        try:
            keep_freed_memory()
            if self._trains and train(self._run, should_stop=self._stopping.is_set).state is (
                State.STOPPED
            ):
                self._reason = "stopped"
                return
            for request in self._evaluations:
                self._evaluate(request)
        except Exception as error:  # reported to the driver, whatever it is
            self._reason = str(error) or type(error).__name__

    def _evaluate(self, request: EvaluationRequest) -> None:
        config = self._run.record
        evaluate(
            self._run,
            load_dataset(config.dataset, config.image_size),
            request.protocol,
            request.metrics,
            request.settings,
            existing=read_evaluation(self._run),
            on_result=lambda result: self._run.write_evaluation(result.model_dump(mode="json")),
            should_stop=self._stopping.is_set,
            num_workers=config.threads,
        )
        if self._stopping.is_set():
            self._reason = "stopped"

    def _stamp(self, path: str) -> tuple[int, int]:
        stat = (self._run.path / path).stat()
        return stat.st_mtime_ns, stat.st_size


@cache
def code_hash() -> str:
    """SHA-256 of the library's sources, to compare the versions of two machines."""
    root = Path(__file__).resolve().parent.parent
    digest = hashlib.sha256()
    for path in sorted(set(root.rglob("*.py")) - set(INSTALLED_APP.rglob("*.py"))):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0")
        digest.update(path.read_bytes())
    return digest.hexdigest()
