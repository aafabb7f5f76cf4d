"""The far end of a sweep on several machines: a run in a folder of the worker's own.

Between the machines travel the files of a run, as bytes. Nothing here knows what carries them.
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
from dvae_core.runs.files import TRAINER_STATE, travelling_files, travels
from dvae_core.runs.run import Run, State, Status
from dvae_core.sweep.survey import EvaluationRequest
from dvae_core.system.files import write_atomically
from dvae_core.system.memory import keep_freed_memory
from dvae_core.system.processes import ProcessIdentity
from dvae_core.system.shipped import INSTALLED_APP
from dvae_core.training.trainer import train

# It goes apart from the other files, after those that it speaks of.
_STATUS = "status.json"


@dataclass(frozen=True)
class Piece:
    """What has become of a run since the last piece.

    Attributes:
        files: contents of new and changed files by their path in the run folder.
        paths: of all files that are there.
        status: of the training.
        ended: whether the work is over.
        reason: why it is over too early, or "".
    """

    files: dict[str, bytes]
    paths: frozenset[str]
    status: Status
    ended: bool
    reason: str


def files_to_send(run: Run) -> list[str]:
    """Paths of the files of a run that travel, status.json aside. The saved state comes first, so
    that all that is read after it is at least as new."""
    paths = [path for path in travelling_files(run.path) if path != _STATUS]
    return sorted(paths, key=lambda path: path != TRAINER_STATE)


def pack_files(run: Run) -> dict[str, bytes]:
    """All files that a worker needs to continue a run."""
    return {path: (run.path / path).read_bytes() for path in [_STATUS, *files_to_send(run)]}


def receive(run: Run, piece: Piece) -> None:
    """Write a piece into a run folder, in an order that can break off anywhere: what is left then
    can be resumed, and says no more than is there.

    Raises:
        RunError: a file has a path that no run's has; nothing is written then.
    """
    for path in piece.files:
        if not travels(path) or path == _STATUS:
            raise RunError(f"{run.path}: a worker sent a file called {path[:80]!r}, as no run has")
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
    """Trains and measures one run in the background, and hands its files out as they change."""

    def __init__(
        self,
        run_id: str,
        files: Mapping[str, bytes],
        trains: bool,
        evaluations: tuple[EvaluationRequest, ...],
        piece_seconds: float,
        expected_code: str,
    ) -> None:
        """Begin.

        Args:
            run_id: names the folder.
            files: of the run, from wherever it was before; status.json too.
            trains: whether the training continues.
            evaluations: what to measure after it.
            piece_seconds: how long `next_piece` waits while the work continues.
            expected_code: the `code_hash` of who asks for the work.

        Raises:
            RunError: this machine has other code.
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
        """What is new after at most `piece_seconds`, or sooner when the work ends. The piece that
        says so is the last one: the folder is gone then."""
        self._thread.join(self._piece_seconds)
        ended = not self._thread.is_alive()
        status = self._run.status()  # before the files, which then are at least as far
        files = {}
        paths = files_to_send(self._run)
        for path in paths:
            try:
                modified_at = self._stamp(path)
                if self._sent.get(path) != modified_at:
                    files[path] = (self._run.path / path).read_bytes()
                    self._sent[path] = modified_at
            except FileNotFoundError:  # replaced by a later one of its kind in the meantime
                continue
        if ended:
            shutil.rmtree(self.folder)
        return Piece(files, frozenset(paths), status, ended, self._reason)

    def stop(self) -> None:
        """Ask the work to save its state and end; the last piece says that it has."""
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
        except Exception as error:  # whatever it is, the driver has to hear of it
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
    """SHA-256 of the library's sources, by which two machines know that they run the same."""
    root = Path(__file__).resolve().parent.parent
    digest = hashlib.sha256()
    for path in sorted(set(root.rglob("*.py")) - set(INSTALLED_APP.rglob("*.py"))):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0")
        digest.update(path.read_bytes())
    return digest.hexdigest()
