"""The run folder: the config, model, training history and scores of one run.

`dvae_core.runs.files` lists the files of a run; `Run` reads, checks and writes them.
"""

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from filelock import FileLock, Timeout
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from torch import Tensor, nn

from dvae_core.config import (
    OBJECTIVES,
    DataConfig,
    ModelConfig,
    OneLine,
    RunConfig,
    explain,
    settings_of,
)
from dvae_core.errors import ConfigError, RunError
from dvae_core.models.vae import VAE, build_model
from dvae_core.objectives import Objective, build_objective
from dvae_core.onnx.description import ImportedModel
from dvae_core.runs.files import RUN_FILES, SNAPSHOTS, TRAINER_STATE, WEIGHTS
from dvae_core.runs.model_trial import try_model
from dvae_core.runs.row_log import RowLog
from dvae_core.runs.snapshot import Snapshot, read_snapshot, write_snapshot
from dvae_core.runs.storage import (
    check_tensors,
    load_weights,
    read_metadata,
    read_object,
    read_optional_record,
    read_record,
    read_scalars,
    read_tensors,
    write_record,
    write_tensors,
)
from dvae_core.runs.texts import Time, checked_text
from dvae_core.runs.trainer_state import GENERATORS, expected_state
from dvae_core.system.files import new_folder, remove_leftovers, write_atomically
from dvae_core.system.processes import ProcessIdentity

RUN_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
RESERVED_BYTES = 64 * 2**10


class State(StrEnum):
    """The state of a run. Readers derive `LOST` and `DAMAGED`; no file stores them."""

    QUEUED = "queued"  # in the queue of its folder
    RUNNING = "running"
    FINISHED = "finished"
    STOPPED = "stopped"  # not finished and not running; a new run is stopped at step 0
    FAILED = "failed"
    LOST = "lost"  # the status says running, but the process is dead
    DAMAGED = "damaged"  # a file is missing or invalid


_MAX_STEPS = 10_000_000
_MAX_SECONDS = 1e10
_MAX_TEXT = 10_000
Side = Annotated[int, Field(ge=32, le=256)]  # pixels


class RunRecord(RunConfig):
    """config.json: the config of a run, and what is needed to build its model without the data set.

    For an imported model, the file omits the settings of objective and training; they then have
    their default values, which mean nothing.
    """

    # Imported models may be larger; the images of the data set are scaled to their size.
    image_size: Side | tuple[Side, Side] = 64  # type: ignore[assignment]
    num_latents: int = Field(10, ge=1, le=512)
    format_version: Literal[1] = 1
    image_shape: tuple[Literal[1, 3], Side, Side] = Field(description="(C, H, W)")
    imported: ImportedModel | None = Field(None, description="None for a model trained here")
    created_at: Time = Field(default_factory=lambda: datetime.now(UTC).replace(microsecond=0))
    torch_version: OneLine = Field(torch.__version__, max_length=200)

    @model_validator(mode="before")
    @classmethod
    def _limits_are_those_of_its_kind(cls, settings: Any) -> Any:
        """The fields allow what imported models may have; a model trained here may have less."""
        if isinstance(settings, dict) and settings.get("imported") is None:
            for part, name in ((DataConfig, "image_size"), (ModelConfig, "num_latents")):
                part.model_validate({name: settings[name]} if name in settings else {})
        return settings

    @model_validator(mode="after")
    def _images_have_the_size(self) -> "RunRecord":
        size, (_, *sides) = self.image_size, self.image_shape
        if sides != ([size, size] if isinstance(size, int) else list(size)):
            raise ConfigError(
                f"image_shape is {self.image_shape}, but image_size is {size}: both say the height "
                f"and the width"
            )
        return self

    @model_validator(mode="after")
    def _values_are_of_the_latents(self) -> "RunRecord":
        values = self.imported.category_values if self.imported is not None else ()
        if values and tuple(map(len, values)) != self.category_counts:
            raise ConfigError(
                f"category_values are given for {len(values)} latents, but not as many for each as "
                f"the config says"
            )
        if not all(b > a for row in values for a, b in pairwise(row)):
            raise ConfigError("category_values of a latent do not ascend")
        return self

    @model_validator(mode="after")
    def _log_is_short(self) -> "RunRecord":
        return self  # it may have been written before there was a limit

    @property
    def has_encoder(self) -> bool:
        """Whether the model can encode images."""
        return self.imported is None or self.imported.encoder is not None

    @property
    def used_settings(self) -> dict[str, Any]:
        """The settings that the run uses, by name; those of data and model of an imported model."""
        names: Iterable[str] = settings_of(self.objective, self.latents)
        if self.imported is not None:
            kept = {*DataConfig.model_fields, *ModelConfig.model_fields}
            names = kept.intersection(names)
        return {name: getattr(self, name) for name in names}

    @property
    def origin(self) -> str:
        """The objective, steps and seed, or the imported files, in a few words."""
        if self.imported is not None:
            files = [file.name for file in (self.imported.encoder, self.imported.decoder) if file]
            return f"imported from {' and '.join(files)}"
        objective: str = self.objective
        for name in OBJECTIVES[self.objective].settings[:1]:
            objective += f" ({name.replace('_', ' ')} {getattr(self, name):g})"
        return f"objective {objective} · {self.steps:,} steps · seed {self.seed}"


class Status(BaseModel):
    """status.json: the progress of a training, and its process."""

    # Fields of other versions are ignored, so that the progress stays readable.
    model_config = ConfigDict(extra="ignore", frozen=True)

    state: State
    step: int = Field(0, ge=0, le=_MAX_STEPS)
    steps: int = Field(ge=0, le=_MAX_STEPS, description="0 for an imported model")
    seconds: float = Field(
        0.0, ge=0, le=_MAX_SECONDS, description="training time over all sessions"
    )
    device: OneLine = Field("", max_length=_MAX_TEXT)
    message: OneLine = Field("", max_length=_MAX_TEXT, description="why it failed")
    diverged: bool = Field(False, description="whether the training diverged")
    weights_kept: bool = Field(True, description="False for a record: scores without weights")
    process: ProcessIdentity | None = Field(None, description="the training process")


class Notes(BaseModel):
    """notes.json: a name and notes that the user gave a run."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field("", max_length=80)
    notes: str = Field("", max_length=10_000)

    @field_validator("name", "notes")
    @classmethod
    def _is_plain(cls, text: str, info: ValidationInfo) -> str:
        return checked_text(text, "\n\t" if info.field_name == "notes" else "")


class Run:
    """A run folder. The constructor reads nothing; each accessor reads and checks its own file.

    Attributes:
        path: the folder.
        id: the name of the folder.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.id = Path(os.path.abspath(path)).name

    @classmethod
    def create(
        cls, path: Path | str, config: RunConfig, image_shape: tuple[int, int, int]
    ) -> "Run":
        """Create the folder of a new run at step 0 atomically; images are (C, H, W).

        Raises:
            RunError: the folder exists, or its name is not allowed.
        """
        record = RunRecord(**config.model_dump(), image_shape=image_shape)
        with _new_run(Path(path)) as draft:
            write_record(draft.path / "config.json", record)
            draft.write_status(Status(state=State.STOPPED, steps=config.steps))
        return cls(path)

    @classmethod
    @contextmanager
    def create_imported(
        cls, path: Path | str, record: RunRecord, encoder: bytes | None, decoder: bytes
    ) -> Iterator["Run"]:
        """Create the folder of a finished run from checked ONNX files atomically.

        Yields:
            A draft of the run, to which files may be added; it gets its path at the end.

        Raises:
            RunError: the folder exists, or its name is not allowed.
        """
        with _new_run(Path(path)) as draft:
            of_model = {*DataConfig.model_fields, *ModelConfig.model_fields}
            of_training = {*RunConfig.model_fields} - of_model
            write_record(draft.path / "config.json", record, exclude=of_training)
            if encoder is not None:
                write_atomically(draft.path / "encoder.onnx", encoder)
            write_atomically(draft.path / "decoder.onnx", decoder)
            draft.write_status(Status(state=State.FINISHED, steps=0))
            yield draft

    @cached_property
    def record(self) -> RunRecord:
        """config.json, checked.

        Raises:
            RunError: the file is missing, unreadable, or of another version.
        """
        return read_record(self.path / "config.json", RunRecord)

    def replace_record(self, record: RunRecord) -> None:
        """Replace config.json. Other `Run` objects of this folder keep the old record."""
        write_record(self.path / "config.json", record)
        self.__dict__.pop("record", None)

    def status(self) -> Status:
        """status.json as last written; `state` also checks the process.

        Raises:
            RunError: the file is missing or unreadable.
        """
        return read_record(self.path / "status.json", Status)

    def write_status(self, status: Status) -> None:
        """Replace status.json; a very long message is cut off."""
        short = status.model_copy(update={"message": status.message[:_MAX_TEXT]})
        write_record(self.path / "status.json", short)

    def state(self) -> State:
        """The state of the run, after a check of its files and its process."""
        return State.DAMAGED if self.problem() else self.state_of(self.status())

    @staticmethod
    def state_of(status: Status) -> State:
        """The state of a status; a running one is `LOST` unless its process is alive."""
        if status.state is not State.RUNNING or (status.process and status.process.is_alive()):
            return status.state
        return State.LOST

    def problem(self) -> str | None:
        """The first problem of the folder in one line, or None. Does not open the weights."""
        try:
            self._check_status(self.status())
            self.metrics.check_ends(self.record.steps)
            self.scores.check_ends(self.record.steps)
            self.read_notes()
        except (RunError, OSError) as error:
            return str(error)
        return None

    def model_files(self) -> list[Path]:
        """Paths of the files of the model; they may be missing.

        Raises:
            RunError: config.json is missing or invalid.
        """
        imported = self.record.imported
        if imported is None:
            return [self.path / WEIGHTS]
        names = ["decoder.onnx"] if imported.encoder is None else ["encoder.onnx", "decoder.onnx"]
        return [self.path / name for name in names]

    @property
    def has_model(self) -> bool:
        """Whether all files of the model exist."""
        try:
            return all(map(os.path.isfile, self.model_files()))
        except RunError:
            return False

    def check_trainable(self) -> None:
        """Raise `RunError` for an imported model, which cannot be trained."""
        if self.record.imported is not None:
            raise RunError(
                f"{self.path} is an imported model, which can be explored and evaluated but not "
                f"trained: train a new run instead"
            )

    def check_not_trained_elsewhere(self) -> None:
        """Raise `RunError` if another process trains the run."""
        process = self.status().process
        if self.state() is State.RUNNING and process and process != ProcessIdentity.current():
            raise RunError(
                f"{self.path} is being trained by process {process.pid}: wait for it, or stop it"
            )

    def load_model(self, device: torch.device | str = "cpu") -> VAE:
        """The model in eval mode, with weights that match the config.

        Raises:
            RunError: files are missing, truncated or of another config, or hold numbers that are
                not finite or far too large.
            ModelError: the files of an imported model have changed.
        """
        record = self.record
        if not self.has_model and not self.status().weights_kept:
            raise RunError(
                f"{self.path} is a record, which has scores and no weights: train it again from "
                f"its config.json"
            )
        if record.imported is not None:
            from dvae_core.onnx.network import open_model  # onnxruntime is slow to import

            return open_model(self.path, record, record.image_shape, record.imported).to(device)
        model = build_model(record, record.image_shape)
        load_weights(self.path / WEIGHTS, model)
        model.requires_grad_(False)
        try_model(self.path / WEIGHTS, model.eval())
        return model.to(device)

    def weights_step(self) -> int:
        """Training step of the weights in model.safetensors, which are older than the status
        between two saves; that of the status if there are none, or if they do not say.

        Raises:
            RunError: a file is damaged.
        """
        path = self.path / WEIGHTS
        step = read_metadata(path).get("step", "") if path.is_file() else ""
        return int(step) if re.fullmatch(r"[0-9]{1,9}", step) else self.status().step

    def load_model_and_step(self, device: torch.device | str = "cpu") -> tuple[VAE, int]:
        """`load_model` and `weights_step` of the same weights, also while a training saves others.

        Raises:
            RunError: as `load_model`.
            ModelError: as `load_model`.
        """
        step = self.weights_step()
        while True:
            model, before = self.load_model(device), step
            step = self.weights_step()
            if step == before:
                return model, step

    def save_model(self, model: nn.Module, step: int) -> None:
        """Replace model.safetensors by the weights after a training step."""
        write_tensors(self.path / WEIGHTS, model.state_dict(), {"step": str(step)})

    def load_objective(self, device: torch.device | str = "cpu") -> Objective:
        """The objective in eval mode, with the weights of its discriminator.

        Raises:
            RunError: the file of its discriminator is missing or invalid.
        """
        objective = build_objective(self.record)
        if objective.state_dict():
            load_weights(self.path / "discriminator.safetensors", objective)
        objective.requires_grad_(False)
        return objective.eval().to(device)

    def save_objective(self, objective: nn.Module) -> None:
        """Replace discriminator.safetensors if the objective has weights."""
        if weights := objective.state_dict():
            write_tensors(self.path / "discriminator.safetensors", weights)

    @property
    def has_trainer_state(self) -> bool:
        """Whether a saved training state exists."""
        return (self.path / TRAINER_STATE).is_file()

    def load_trainer_state(self, expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Tensors of trainer.safetensors, with the keys, shapes and dtypes of `expected`.

        Raises:
            RunError: the file is missing, truncated, or holds other tensors.
        """
        return read_tensors(self.path / TRAINER_STATE, expected)

    def check_trainer_state(self) -> None:
        """Check trainer.safetensors against config.json, without holding it in memory.

        Raises:
            RunError: the file is missing, truncated, of another config, or holds numbers that are
                not finite.
        """
        path, record = self.path / TRAINER_STATE, self.record
        check_tensors(path, expected_state(record, record.image_shape), GENERATORS)
        for name, value in read_scalars(path, ("step", "seconds", "summed_steps")).items():
            if not 0 <= value <= (_MAX_SECONDS if name == "seconds" else record.steps):
                raise RunError(
                    f"{path}: {name} is {value:g}, but config.json says {record.steps:,} steps"
                )

    def save_trainer_state(self, state: Mapping[str, Tensor]) -> None:
        """Replace trainer.safetensors."""
        write_tensors(self.path / TRAINER_STATE, state)

    @property
    def metrics(self) -> RowLog:
        """metrics.jsonl: loss terms and speed, one row every `log_every` steps."""
        return RowLog(self.path / "metrics.jsonl")

    @property
    def scores(self) -> RowLog:
        """scores.jsonl: scores during training, one row per snapshot, even if it was removed."""
        return RowLog(self.path / "scores.jsonl")

    def snapshot_steps(self) -> list[int]:
        """Steps of the existing snapshots, ascending."""
        return sorted(int(path.stem) for path in self.path.glob(SNAPSHOTS))

    def read_snapshot(self, step: int) -> Snapshot:
        """Read and check the snapshot of a step.

        Raises:
            RunError: the file is missing or damaged, or belongs to another run.
        """
        record = self.record
        if not 0 <= step <= record.steps:
            raise RunError(
                f"{self._snapshot_path(step)} is of step {step:,}, but config.json says "
                f"{record.steps:,} steps"
            )
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
        """Remove the incomplete files of a killed training. The caller holds
        `reserved_for("training")`."""
        for file in RUN_FILES:
            if file.by_training:
                remove_leftovers(self.path / file.pattern)

    @contextmanager
    def space_for_last_words(self) -> Iterator[None]:
        """Reserve disk space and free it at the end, so that status.json can still report a full
        disk."""
        path = self.path / ".reserve"
        try:
            path.write_bytes(b"\0" * RESERVED_BYTES)
            yield
        finally:
            path.unlink(missing_ok=True)

    def read_evaluation(self) -> dict[str, Any]:
        """evaluation.json, or {} if the run was not evaluated yet."""
        if not (self.path / "evaluation.json").is_file():
            return {}
        return read_object(self.path / "evaluation.json")

    def write_evaluation(self, evaluation: Mapping[str, Any]) -> None:
        """Replace evaluation.json."""
        write_atomically(self.path / "evaluation.json", json.dumps(evaluation, indent=1) + "\n")

    @contextmanager
    def reserved_for(self, *works: str) -> Iterator[None]:
        """Lock the run for `training`, `evaluation` or both against other processes.

        Raises:
            RunError: another process has locked it.
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
        """notes.json; empty notes if there is no file.

        Raises:
            RunError: the file is damaged.
        """
        return read_optional_record(self.path / "notes.json", Notes) or Notes()

    def write_notes(self, name: str, notes: str) -> None:
        """Replace notes.json.

        Raises:
            ConfigError: a text is too long or has control characters.
        """
        try:
            record = Notes(name=name.strip(), notes=notes.strip())
        except ValidationError as error:
            raise ConfigError(explain(error)) from None
        write_record(self.path / "notes.json", record)

    @property
    def stop_requested(self) -> bool:
        """Whether the training was asked to stop."""
        return (self.path / "stop").exists()

    def request_stop(self) -> None:
        """Ask the training to save its state and end."""
        (self.path / "stop").touch()

    def clear_stop_request(self) -> None:
        """Withdraw the request to stop."""
        (self.path / "stop").unlink(missing_ok=True)

    def _check_status(self, status: Status) -> None:
        record, path = self.record, self.path / "status.json"
        steps = 0 if record.imported else record.steps
        if status.step > steps:
            raise RunError(
                f"{path} says step {status.step:,}, but config.json says {steps:,} steps: restore "
                f"the file that was edited"
            )
        if status.state is not State.FINISHED:
            return
        if status.step < steps:
            raise RunError(
                f"{path} says finished at step {status.step:,}, but config.json says {steps:,} "
                f"steps: restore the file that was edited"
            )
        if not status.weights_kept:
            return
        for file in self.model_files():
            if not file.is_file():
                raise RunError(f"{file} is missing, but the run is finished: restore the file")

    def _snapshot_path(self, step: int) -> Path:
        return self.path / "snapshots" / f"{step:08d}.safetensors"


def check_run_id(run_id: str) -> None:
    """Raise `RunError` unless `run_id` is allowed as a name; it is used in paths and links."""
    if not RUN_ID.fullmatch(run_id):
        raise RunError(
            f"{run_id[:80]!r} cannot name a run: use 1 to 64 of a-z, 0-9, _ and -, starting with "
            f"a letter or digit"
        )


def check_outside_runs(path: Path) -> None:
    """Raise `RunError` if a folder would be within a run: no list would show it, and it would be
    deleted and exported, or not, with that run."""
    for parent in path.resolve().parents:
        if all((parent / name).is_file() for name in ("config.json", "status.json")):
            raise RunError(f"{path} is within the run {parent}: choose a folder outside of it")


@contextmanager
def _new_run(path: Path) -> Iterator[Run]:
    check_run_id(path.resolve().name)
    check_outside_runs(path)
    try:
        with new_folder(path) as draft:
            yield Run(draft)
    except FileExistsError:
        raise RunError(
            f"{path} already exists: choose another folder, or resume that run"
        ) from None
