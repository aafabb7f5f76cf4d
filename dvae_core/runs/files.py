"""The files of a run, in one table: what each holds, how large it may be, and where it may go."""

from dataclasses import dataclass
from enum import Enum, auto
from fnmatch import fnmatchcase
from pathlib import Path

from dvae_core.runs.snapshot import MAX_BYTES as _MAX_SNAPSHOT_BYTES
from dvae_core.runs.storage import MAX_JSON_BYTES as _MAX_JSON_BYTES


class Kind(Enum):
    """What a file of a run is for."""

    RECORD = auto()  # what the run is, how it went and how good it is: all but the model
    SNAPSHOT = auto()  # what the model showed while it trained
    MODEL = auto()
    TRAINER = auto()  # needed only to continue the training
    LOCAL = auto()  # belongs to this machine, never copied to another one


@dataclass(frozen=True)
class RunFile:
    """One row of `RUN_FILES`.

    Attributes:
        pattern: its path in the folder of the run; `*` and `[0-9]` as in the shell.
        kind: what it is for.
        holds: what is in it.
        max_bytes: the largest size accepted from elsewhere; 0 for a local file.
        by_training: whether only the process that trains the run writes it, once the run is there.
    """

    pattern: str
    kind: Kind
    holds: str
    max_bytes: int = 0
    by_training: bool = False


TRAINER_STATE = "trainer.safetensors"
SNAPSHOTS = f"snapshots/{'[0-9]' * 8}.safetensors"
_MB, _GB = 2**20, 2**30

RUN_FILES = (
    RunFile("config.json", Kind.RECORD, "RunRecord: how to build the model", _MAX_JSON_BYTES, True),
    RunFile("status.json", Kind.RECORD, "Status: how far the training is", _MAX_JSON_BYTES, True),
    RunFile("notes.json", Kind.RECORD, "Notes: a name and remarks", _MAX_JSON_BYTES),
    RunFile("evaluation.json", Kind.RECORD, "scores of the model", _MAX_JSON_BYTES),
    RunFile("metrics.jsonl", Kind.RECORD, "RowLog of loss terms and speed", 512 * _MB, True),
    RunFile("scores.jsonl", Kind.RECORD, "RowLog of scores during training", 128 * _MB, True),
    RunFile(SNAPSHOTS, Kind.SNAPSHOT, "Snapshot of that step", _MAX_SNAPSHOT_BYTES, True),
    RunFile("model.safetensors", Kind.MODEL, "weights and category values", _GB, True),
    RunFile("discriminator.safetensors", Kind.MODEL, "for the factor objective", _GB, True),
    RunFile("encoder.onnx", Kind.MODEL, "of an imported model, in place of weights", 256 * _MB),
    RunFile("decoder.onnx", Kind.MODEL, "of an imported model, in place of weights", 256 * _MB),
    RunFile(TRAINER_STATE, Kind.TRAINER, "all that resuming needs", _GB, True),
    RunFile("tensorboard/*", Kind.LOCAL, "event files made from the two logs"),
    RunFile("jobs/*", Kind.LOCAL, "the latest job of each command, see `dvae_core.jobs.job`"),
    RunFile("stop", Kind.LOCAL, "there while the training is asked to stop"),
    RunFile(".*", Kind.LOCAL, "locks, half-written files, disk space held in reserve"),
)
"""Nothing is ever unpickled, and nothing in a folder is believed before it was checked."""


def find_file(path: str) -> RunFile | None:
    """The row for a path in the folder of a run, or None where no run has such a file."""
    return next((file for file in RUN_FILES if fnmatchcase(path, file.pattern)), None)


def travels(path: str) -> bool:
    """Whether a file of that path goes along when a run is copied to another machine."""
    file = find_file(path)
    return file is not None and file.kind is not Kind.LOCAL


def travelling_files(folder: Path) -> dict[str, RunFile]:
    """Paths of the files in the folder of a run that go along with it, each with its row."""
    return {
        path.relative_to(folder).as_posix(): file
        for file in RUN_FILES
        if file.kind is not Kind.LOCAL
        for path in sorted(folder.glob(file.pattern))
        if path.is_file()
    }
