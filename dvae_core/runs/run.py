"""The run folder: how a model was made, what it is, how its training went, how good it is.

`dvae_core.runs.files` lists the files of a run; `Run` reads, checks and writes them.
"""

import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import torch
from filelock import FileLock, Timeout
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_core import PydanticCustomError
from torch import Tensor, nn

from dvae_core.config import OBJECTIVES, ObjectiveConfig, RunConfig, TrainingConfig, explain
from dvae_core.errors import ConfigError, RunError
from dvae_core.models.vae import VAE, build_model
from dvae_core.objectives import Objective, build_objective
from dvae_core.onnx.description import ImportedModel
from dvae_core.runs.files import RUN_FILES, SNAPSHOTS, TRAINER_STATE
from dvae_core.runs.row_log import RowLog
from dvae_core.runs.snapshot import Snapshot, read_snapshot, write_snapshot
from dvae_core.runs.storage import (
    load_weights,
    read_object,
    read_optional_record,
    read_record,
    read_tensors,
    write_record,
    write_tensors,
)
from dvae_core.system.files import new_folder, remove_leftovers, write_atomically
from dvae_core.system.processes import ProcessIdentity

RUN_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
RESERVED_BYTES = 64 * 2**10


class State(StrEnum):
    """What a run is doing. `LOST` and `DAMAGED` are never written, only derived by a reader."""

    QUEUED = "queued"  # waits in the queue of its folder
    RUNNING = "running"
    FINISHED = "finished"
    STOPPED = "stopped"  # neither at its end nor at work; a new run is stopped at step 0
    FAILED = "failed"
    LOST = "lost"  # the status says running, and no such process lives
    DAMAGED = "damaged"  # a file is missing or wrong


class RunRecord(RunConfig):
    """config.json: a run's config, and what it needs to be rebuilt without its data set.

    That of an imported model leaves the settings of objective and training out; they then read as
    their defaults, which say nothing of it.
    """

    # Imported models have sizes that the networks here do not; their images are scaled to it.
    image_size: int = Field(64, ge=32, le=128)  # type: ignore[assignment]
    format_version: Literal[1] = 1
    image_shape: tuple[int, int, int] = Field(description="(C, H, W)")
    imported: ImportedModel | None = Field(None, description="None for a model that trained here")
    created_at: datetime = Field(default_factory=lambda: datetime.now(UTC).replace(microsecond=0))
    torch_version: str = torch.__version__

    @property
    def has_encoder(self) -> bool:
        """Whether the model can say what it makes of an image."""
        return self.imported is None or self.imported.encoder is not None

    @property
    def origin(self) -> str:
        """How the model came about, in a few words."""
        if self.imported is not None:
            files = [file.name for file in (self.imported.encoder, self.imported.decoder) if file]
            return f"imported from {' and '.join(files)}"
        objective: str = self.objective
        for name in OBJECTIVES[self.objective].settings[:1]:
            objective += f" ({name.replace('_', ' ')} {getattr(self, name):g})"
        return f"objective {objective} · {self.steps:,} steps · seed {self.seed}"


class Status(BaseModel):
    """status.json: how far a training has come, and which process does it."""

    # Fields of another version are passed over: none of them may hide how far a run is.
    model_config = ConfigDict(extra="ignore", frozen=True)

    state: State
    step: int = Field(0, ge=0)
    steps: int = Field(ge=0, description="0 for an imported model")
    seconds: float = Field(0.0, ge=0, description="spent in training, over all its sessions")
    device: str = ""
    message: str = Field("", description="why it failed")
    diverged: bool = Field(False, description="whether it failed because of its numbers")
    process: ProcessIdentity | None = Field(None, description="that trains it")


class Notes(BaseModel):
    """notes.json: what people call a run, and what they wrote down about it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field("", max_length=80)
    notes: str = Field("", max_length=10_000)

    @field_validator("name", "notes")
    @classmethod
    def _is_plain(cls, text: str, info: ValidationInfo) -> str:
        """Control characters could do something to whoever prints them."""
        allowed = "\n\t" if info.field_name == "notes" else ""
        for character in text:
            if unicodedata.category(character) == "Cc" and character not in allowed:
                raise PydanticCustomError("text", "Control characters are no text")
        return text


class Run:
    """One run folder. Making the object reads nothing; each accessor reads and checks its file.

    Attributes:
        path: the folder.
        id: its name.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.id = self.path.resolve().name

    @classmethod
    def create(
        cls, path: Path | str, config: RunConfig, image_shape: tuple[int, int, int]
    ) -> "Run":
        """Make the folder of a new run at step 0, all at once.

        Raises:
            RunError: the folder exists, or its name cannot be a run's.
        """
        record = RunRecord(**config.model_dump(), image_shape=image_shape)
        with _new_run(Path(path)) as draft:
            write_record(draft.path / "config.json", record)
            draft.write_status(Status(state=State.STOPPED, steps=config.steps))
        return cls(path)

    @classmethod
    def create_imported(
        cls, path: Path | str, record: RunRecord, encoder: bytes | None, decoder: bytes
    ) -> "Run":
        """Make the folder of a finished run from checked ONNX files, all at once.

        Raises:
            RunError: the folder exists, or its name cannot be a run's.
        """
        with _new_run(Path(path)) as draft:
            write_record(
                draft.path / "config.json",
                record,
                exclude={*ObjectiveConfig.model_fields, *TrainingConfig.model_fields},
            )
            if encoder is not None:
                write_atomically(draft.path / "encoder.onnx", encoder)
            write_atomically(draft.path / "decoder.onnx", decoder)
            draft.write_status(Status(state=State.FINISHED, steps=0))
        return cls(path)

    @cached_property
    def record(self) -> RunRecord:
        """config.json, checked.

        Raises:
            RunError: it is missing, unreadable, or not a config of this version.
        """
        return read_record(self.path / "config.json", RunRecord)

    def replace_record(self, record: RunRecord) -> None:
        """Replace config.json. Other objects of the same run keep what they have read."""
        write_record(self.path / "config.json", record)
        self.__dict__.pop("record", None)

    def status(self) -> Status:
        """status.json as it was last written, believed or not.

        Raises:
            RunError: it is missing or unreadable.
        """
        return read_record(self.path / "status.json", Status)

    def write_status(self, status: Status) -> None:
        """Replace status.json."""
        write_record(self.path / "status.json", status)

    def state(self) -> State:
        """What the run is really doing."""
        if self.problem():
            return State.DAMAGED
        status = self.status()
        return self.state_of(status)

    @staticmethod
    def state_of(status: Status) -> State:
        """What a status means now: one that says running is believed of a living process only."""
        if status.state is not State.RUNNING or (status.process and status.process.is_alive()):
            return status.state
        return State.LOST

    def problem(self) -> str | None:
        """What is wrong with the folder, in one line, or None. Does not open the weights."""
        try:
            self._check_status(self.status())
            self.metrics.check_ends()
            self.scores.check_ends()
            self.read_notes()
        except (RunError, OSError) as error:
            return str(error)
        return None

    def model_files(self) -> list[Path]:
        """The files that the model is in, whether they are there or not.

        Raises:
            RunError: config.json is missing or wrong.
        """
        imported = self.record.imported
        if imported is None:
            return [self.path / "model.safetensors"]
        names = ["decoder.onnx"] if imported.encoder is None else ["encoder.onnx", "decoder.onnx"]
        return [self.path / name for name in names]

    @property
    def has_model(self) -> bool:
        """Whether there is a model to load."""
        try:
            return all(path.is_file() for path in self.model_files())
        except RunError:
            return False

    def check_trainable(self) -> None:
        """Raise `RunError` for an imported model, which nothing here can train."""
        if self.record.imported is not None:
            raise RunError(
                f"{self.path} is an imported model: it can be traversed and evaluated, but not "
                "trained further; train a run of your own instead"
            )

    def check_not_trained_elsewhere(self) -> None:
        """Raise `RunError` if another process than this one trains the run."""
        process = self.status().process
        if self.state() is State.RUNNING and process and process != ProcessIdentity.current():
            raise RunError(
                f"{self.path} is being trained by process {process.pid}: wait for it, or stop it"
            )

    def load_model(self, device: torch.device | str = "cpu") -> VAE:
        """The model in eval mode, its weights checked against what the config builds.

        Raises:
            RunError: files are missing, truncated, foreign, or hold numbers that are not finite.
            ModelError: the files of an imported model are not what they were.
        """
        record = self.record
        if record.imported is not None:
            from dvae_core.onnx.network import open_model  # onnxruntime takes a while to start

            return open_model(self.path, record, record.image_shape, record.imported).to(device)
        model = build_model(record, record.image_shape)
        load_weights(self.path / "model.safetensors", model)
        model.requires_grad_(False)
        return model.eval().to(device)

    def save_model(self, model: nn.Module) -> None:
        """Replace model.safetensors."""
        write_tensors(self.path / "model.safetensors", model.state_dict())

    def load_objective(self, device: torch.device | str = "cpu") -> Objective:
        """The objective with the weights of its discriminator, in eval mode.

        Raises:
            RunError: it has a discriminator, and its file is missing or wrong.
        """
        objective = build_objective(self.record)
        if objective.state_dict():
            load_weights(self.path / "discriminator.safetensors", objective)
        objective.requires_grad_(False)
        return objective.eval().to(device)

    def save_objective(self, objective: nn.Module) -> None:
        """Replace discriminator.safetensors, where the objective has weights."""
        if weights := objective.state_dict():
            write_tensors(self.path / "discriminator.safetensors", weights)

    @property
    def has_trainer_state(self) -> bool:
        """Whether a training can be continued from a saved state."""
        return (self.path / TRAINER_STATE).is_file()

    def load_trainer_state(self, expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Tensors of trainer.safetensors, with the keys, shapes and dtypes of `expected`.

        Raises:
            RunError: the file is missing, truncated or foreign.
        """
        return read_tensors(self.path / TRAINER_STATE, expected)

    def save_trainer_state(self, state: Mapping[str, Tensor]) -> None:
        """Replace trainer.safetensors."""
        write_tensors(self.path / TRAINER_STATE, state)

    @property
    def metrics(self) -> RowLog:
        """metrics.jsonl: loss terms and speed, a row every `log_every` steps."""
        return RowLog(self.path / "metrics.jsonl")

    @property
    def scores(self) -> RowLog:
        """scores.jsonl: scores measured in the course of training, a row for each snapshot taken,
        of which there are more than were kept."""
        return RowLog(self.path / "scores.jsonl")

    @property
    def events_folder(self) -> Path:
        """tensorboard: event files."""
        return self.path / "tensorboard"

    def snapshot_steps(self) -> list[int]:
        """Steps of the snapshots that there are, ascending."""
        return sorted(int(path.stem) for path in self.path.glob(SNAPSHOTS))

    def read_snapshot(self, step: int) -> Snapshot:
        """The snapshot of a step, checked.

        Raises:
            RunError: it is missing, damaged, or of another run.
        """
        record = self.record
        return read_snapshot(
            self._snapshot_path(step), step, record.num_latents, record.image_shape
        )

    def write_snapshot(self, snapshot: Snapshot) -> None:
        """Add or replace a snapshot."""
        (self.path / "snapshots").mkdir(exist_ok=True)
        write_snapshot(self._snapshot_path(snapshot.step), snapshot)

    def remove_snapshots(self, steps: Iterable[int]) -> None:
        """Remove the snapshots of some steps."""
        for step in steps:
            self._snapshot_path(step).unlink(missing_ok=True)

    def clear_leftovers(self) -> None:
        """Remove the half-written files of a training that was killed. The caller holds
        `reserved_for("training")`."""
        for file in RUN_FILES:
            if file.by_training:
                remove_leftovers(self.path / file.pattern)

    @contextmanager
    def space_for_last_words(self) -> Iterator[None]:
        """Hold some disk space, and give it back however the work ends, so that status.json can
        still say that the disk is full."""
        path = self.path / ".reserve"
        try:
            path.write_bytes(b"\0" * RESERVED_BYTES)
            yield
        finally:
            path.unlink(missing_ok=True)

    def read_evaluation(self) -> dict[str, Any]:
        """evaluation.json, or {} where nothing was evaluated yet."""
        if not (self.path / "evaluation.json").is_file():
            return {}
        return read_object(self.path / "evaluation.json")

    def write_evaluation(self, evaluation: Mapping[str, Any]) -> None:
        """Replace evaluation.json."""
        write_atomically(self.path / "evaluation.json", json.dumps(evaluation, indent=1) + "\n")

    @contextmanager
    def reserved_for(self, *works: str) -> Iterator[None]:
        """Hold the run for `training`, `evaluation` or both against other processes.

        Raises:
            RunError: another process holds it.
        """
        with ExitStack() as locks:
            for work in works:
                try:
                    locks.enter_context(FileLock(self.path / f".{work}.lock", timeout=0))
                except Timeout:
                    raise RunError(
                        f"{self.path} is held by another process for {work}: wait for it, or "
                        f"stop it"
                    ) from None
            yield

    def read_notes(self) -> Notes:
        """notes.json; empty notes where there are none.

        Raises:
            RunError: the file is damaged.
        """
        return read_optional_record(self.path / "notes.json", Notes) or Notes()

    def write_notes(self, name: str, notes: str) -> None:
        """Replace notes.json.

        Raises:
            ConfigError: a text is too long, or has control characters.
        """
        try:
            record = Notes(name=name.strip(), notes=notes.strip())
        except ValidationError as error:
            raise ConfigError(explain(error)) from None
        write_record(self.path / "notes.json", record)

    @property
    def stop_requested(self) -> bool:
        """Whether someone asked the training to stop."""
        return (self.path / "stop").exists()

    def request_stop(self) -> None:
        """Ask the training to save its state and end."""
        (self.path / "stop").touch()

    def clear_stop_request(self) -> None:
        """Take the request back."""
        (self.path / "stop").unlink(missing_ok=True)

    def _check_status(self, status: Status) -> None:
        record, path = self.record, self.path / "status.json"
        steps = 0 if record.imported else record.steps
        if status.step > steps:
            raise RunError(
                f"{path} says step {status.step:,}, but by config.json the run has {steps:,} "
                f"steps: one of the two was edited"
            )
        if status.state is not State.FINISHED:
            return
        if status.step < steps:
            raise RunError(
                f"{path} says finished at step {status.step:,}, but by config.json the run has "
                f"{steps:,} steps: one of the two was edited"
            )
        for file in self.model_files():
            if not file.is_file():
                raise RunError(f"{self.path}: {file.name} is missing; the run says it is finished")

    def _snapshot_path(self, step: int) -> Path:
        return self.path / "snapshots" / f"{step:08d}.safetensors"


def check_run_id(run_id: str) -> None:
    """Raise `RunError` unless a name can be a run's: it becomes part of paths and links."""
    if not RUN_ID.fullmatch(run_id):
        raise RunError(
            f"{run_id[:80]!r} cannot name a run: take 1 to 64 of a-z, 0-9, _ and -, "
            f"beginning with a letter or digit"
        )


@contextmanager
def _new_run(path: Path) -> Iterator[Run]:
    check_run_id(path.resolve().name)
    try:
        with new_folder(path) as draft:
            yield Run(draft)
    except FileExistsError:
        raise RunError(
            f"{path} exists already: choose another folder, or continue it with resume"
        ) from None
