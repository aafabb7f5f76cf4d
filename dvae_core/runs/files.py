"""The files of a run in one table: content, largest size, and whether they are copied."""

from dataclasses import dataclass
from enum import Enum, auto
from fnmatch import fnmatchcase
from pathlib import Path

from dvae_core.runs.row_log import MAX_BYTES as _MAX_LOG_BYTES
from dvae_core.runs.snapshot import MAX_BYTES as _MAX_SNAPSHOT_BYTES
from dvae_core.runs.storage import MAX_JSON_BYTES as _MAX_JSON_BYTES


class Kind(Enum):
    """The purpose of a file of a run."""

    RECORD = auto()  # config, progress and scores: everything except the model
    SNAPSHOT = auto()  # what the model showed during the training
    MODEL = auto()
    TRAINER = auto()  # needed only to resume the training
    LOCAL = auto()  # only used on this machine, never copied


@dataclass(frozen=True)
class RunFile:
    """One row of `RUN_FILES`.

    Attributes:
        pattern: path in the folder of the run, with shell wildcards.
        kind: purpose.
        holds: content.
        max_bytes: largest size accepted from an import; 0 for a local file.
        by_training: whether only the training process writes it after the run was created.
        by_people: whether only people write it, on the machine that lists the run.
    """

    pattern: str
    kind: Kind
    holds: str
    max_bytes: int = 0
    by_training: bool = False
    by_people: bool = False


STATUS = "status.json"
WEIGHTS = "model.safetensors"
TRAINER_STATE = "trainer.safetensors"
NAMES = "names.json"
MAX_NAMES_BYTES = 4 * 2**20
SNAPSHOTS = f"snapshots/{'[0-9]' * 8}.safetensors"
_MB, _GB = 2**20, 2**30

RUN_FILES = (
    RunFile("config.json", Kind.RECORD, "RunRecord: how to build the model", _MAX_JSON_BYTES, True),
    RunFile(STATUS, Kind.RECORD, "Status: progress of the training", _MAX_JSON_BYTES, True),
    RunFile(
        "notes.json", Kind.RECORD, "Notes: a name and remarks", _MAX_JSON_BYTES, by_people=True
    ),
    RunFile(NAMES, Kind.RECORD, "LatentNames: names of latents", MAX_NAMES_BYTES, by_people=True),
    RunFile("evaluation.json", Kind.RECORD, "scores of the model", _MAX_JSON_BYTES),
    RunFile("metrics.jsonl", Kind.RECORD, "RowLog of loss terms and speed", _MAX_LOG_BYTES, True),
    RunFile("scores.jsonl", Kind.RECORD, "RowLog of scores during training", _MAX_LOG_BYTES, True),
    RunFile(SNAPSHOTS, Kind.SNAPSHOT, "Snapshot of that step", _MAX_SNAPSHOT_BYTES, True),
    RunFile(WEIGHTS, Kind.MODEL, "weights and category values", _GB, True),
    RunFile("discriminator.safetensors", Kind.MODEL, "for the factor objective", _GB, True),
    RunFile("encoder.onnx", Kind.MODEL, "of an imported model, instead of weights", 256 * _MB),
    RunFile("decoder.onnx", Kind.MODEL, "of an imported model, instead of weights", 256 * _MB),
    RunFile(TRAINER_STATE, Kind.TRAINER, "the state that resuming needs", _GB, True),
    RunFile("tensorboard/*", Kind.LOCAL, "TensorBoard events made from the two logs"),
    RunFile("jobs/*", Kind.LOCAL, "the latest job of each command, see `dvae_core.jobs.job`"),
    RunFile("stop", Kind.LOCAL, "present while the training is asked to stop"),
    RunFile(".*", Kind.LOCAL, "locks, incomplete files, reserved disk space"),
)
"""No file is ever unpickled, and every file is checked before use."""


def find_file(path: str) -> RunFile | None:
    """The row for a path in the folder of a run, or None if runs have no such file."""
    return next((file for file in RUN_FILES if fnmatchcase(path, file.pattern)), None)


def travels(path: str) -> bool:
    """Whether a file of this path is copied when a run is copied to another machine."""
    file = find_file(path)
    return file is not None and file.kind is not Kind.LOCAL


def travelling_files(folder: Path) -> dict[str, RunFile]:
    """The files in the folder of a run that are copied with it: path -> row of the table."""
    return {
        path.relative_to(folder).as_posix(): file
        for file in RUN_FILES
        if file.kind is not Kind.LOCAL
        for path in sorted(folder.glob(file.pattern))
        if path.is_file()
    }


def reading_order(path: str) -> int:
    """Place of a file among those of a run that are read while it trains: the status first, then
    the saved state, so that the logs are at least as new and none of their rows is missing."""
    return {STATUS: 0, TRAINER_STATE: 1}.get(path, 2)
