"""The run folder: how a model was made, what it is, how its training went, how good it is.

This is the one place that knows the files of a run:

    config.json                RunRecord: the config, plus what is needed to rebuild the model
    model.safetensors          weights, fixed category values included
    discriminator.safetensors  of the factor objective (not in shipped runs)
    trainer.safetensors        everything that resuming needs (not in shipped runs)
    status.json                Status, replaced atomically
    metrics.jsonl              one JSON object a line, in the course of training
    evaluation.json            scores
    job.json, progress.json    the latest background job: who was started, how far it is
    log.txt                    what it printed
    stop                       present when someone asked the training to stop

Nothing is ever unpickled, and nothing of a folder is believed before it was checked.
"""

import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, TypeVar

import psutil
import torch
from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as serialize_tensors
from torch import Tensor, nn

from dvae_core.config import RunConfig, explain
from dvae_core.errors import ConfigError, RunError
from dvae_core.files import write_atomically
from dvae_core.models.vae import VAE, build_model
from dvae_core.objectives import Objective, build_objective

RUN_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
MAX_JSON_BYTES = 16 * 2**20
Schema = TypeVar("Schema", bound=BaseModel)
SHIPPED_ROOT = Path(__file__).resolve().parent.parent / "checkpoints"


class State(StrEnum):
    """What a run is doing. `LOST` and `DAMAGED` are never written, only derived by a reader."""

    QUEUED = "queued"
    RUNNING = "running"
    FINISHED = "finished"
    STOPPED = "stopped"
    FAILED = "failed"
    LOST = "lost"  # the status says running, and no such process lives
    DAMAGED = "damaged"  # a file is missing or wrong


class RunRecord(RunConfig):
    """config.json: a run's config, and what it needs to be rebuilt without its data set."""

    format_version: Literal[1] = 1
    image_shape: tuple[int, int, int] = Field(description="(C, H, W)")
    created_at: datetime = Field(default_factory=lambda: datetime.now(UTC).replace(microsecond=0))
    torch_version: str = torch.__version__


class Status(BaseModel):
    """status.json: how far a training has come, and which process does it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    state: State
    step: int = Field(0, ge=0)
    steps: int = Field(ge=1)
    seconds: float = Field(0.0, ge=0, description="spent in training, over all its sessions")
    device: str = ""
    message: str = Field("", description="why it failed")
    pid: int | None = None
    process_started_at: float | None = None


class JobRecord(BaseModel):
    """job.json: the process that was started for a run."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    command: str
    arguments: list[str]
    pid: int
    process_started_at: float


class JobProgress(BaseModel):
    """progress.json: how far a job says it is."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    pid: int
    state: Literal["running", "finished", "stopped", "failed"]
    stage: str = ""
    fraction: float = 0.0
    message: str = ""


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
        """Make the folder of a new, queued run, all at once.

        Raises:
            RunError: the folder exists, or its name cannot be a run's.
        """
        path = Path(path)
        check_run_id(path.resolve().name)
        record = RunRecord(**config.model_dump(), image_shape=image_shape)
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(dir=path.parent, prefix=".new-"))
        try:
            draft.chmod(0o755)
            Run(draft)._write_json("config.json", record)
            Run(draft).write_status(Status(state=State.QUEUED, steps=config.steps))
            if path.exists():
                raise RunError(
                    f"{path} exists already: choose another folder, or continue it with resume"
                )
            draft.rename(path)
        except BaseException:
            shutil.rmtree(draft, ignore_errors=True)
            raise
        return cls(path)

    @cached_property
    def record(self) -> RunRecord:
        """config.json, checked.

        Raises:
            RunError: it is missing, unreadable, or not a config of this version.
        """
        return self._read_model("config.json", RunRecord)

    def status(self) -> Status:
        """status.json as it was last written, believed or not.

        Raises:
            RunError: it is missing or unreadable.
        """
        return self._read_model("status.json", Status)

    def write_status(self, status: Status) -> None:
        """Replace status.json."""
        self._write_json("status.json", status)

    def state(self) -> State:
        """What the run is really doing."""
        if self.problem():
            return State.DAMAGED
        status = self.status()
        if status.state is State.RUNNING and not is_alive(status.pid, status.process_started_at):
            return State.LOST
        return status.state

    def problem(self) -> str | None:
        """What is wrong with the folder, in one line, or None. Does not open the weights."""
        try:
            _ = self.record
            status = self.status()
        except RunError as error:
            return str(error)
        if status.state is State.FINISHED and not (self.path / "model.safetensors").is_file():
            return f"{self.path}: model.safetensors is missing; the run says it is finished"
        return None

    @property
    def has_model(self) -> bool:
        """Whether there are weights to load."""
        return (self.path / "model.safetensors").is_file()

    def load_model(self, device: torch.device | str = "cpu") -> VAE:
        """The model in eval mode, its weights checked against what the config builds.

        Raises:
            RunError: files are missing, truncated, foreign, or hold numbers that are not finite.
        """
        model = build_model(self.record, self.record.image_shape)
        self._load_weights("model.safetensors", model)
        model.requires_grad_(False)
        return model.eval().to(device)

    def save_model(self, model: nn.Module) -> None:
        """Replace model.safetensors."""
        self._write_tensors("model.safetensors", model.state_dict())

    def load_objective(self, device: torch.device | str = "cpu") -> Objective:
        """The objective with the weights of its discriminator, in eval mode.

        Raises:
            RunError: it has a discriminator, and its file is missing or wrong.
        """
        objective = build_objective(self.record, self.record.num_latents)
        if objective.state_dict():
            self._load_weights("discriminator.safetensors", objective)
        objective.requires_grad_(False)
        return objective.eval().to(device)

    def save_objective(self, objective: nn.Module) -> None:
        """Replace discriminator.safetensors, where the objective has weights."""
        if weights := objective.state_dict():
            self._write_tensors("discriminator.safetensors", weights)

    @property
    def has_trainer_state(self) -> bool:
        """Whether a training can be continued from a saved state."""
        return (self.path / "trainer.safetensors").is_file()

    def load_trainer_state(self, expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Tensors of trainer.safetensors, with the keys, shapes and dtypes of `expected`.

        Raises:
            RunError: the file is missing, truncated or foreign.
        """
        return self._read_tensors("trainer.safetensors", expected)

    def save_trainer_state(self, state: Mapping[str, Tensor]) -> None:
        """Replace trainer.safetensors."""
        self._write_tensors("trainer.safetensors", state)

    def append_metrics(self, row: Mapping[str, float]) -> None:
        """Add a line to metrics.jsonl."""
        with open(self.path / "metrics.jsonl", "a") as file:
            file.write(json.dumps(row) + "\n")

    def read_metrics(self, offset: int = 0) -> tuple[list[dict[str, float]], int]:
        """Lines of metrics.jsonl from a byte offset on.

        Returns:
            The rows, and the offset to go on from. A line still being written is left for then.

        Raises:
            RunError: a finished line is no JSON object.
        """
        path = self.path / "metrics.jsonl"
        if not path.is_file():
            return [], 0
        with open(path, "rb") as file:
            file.seek(offset)
            content = file.read()
        complete = content[: content.rfind(b"\n") + 1]
        try:
            rows = [json.loads(line) for line in complete.splitlines()]
        except ValueError:
            raise RunError(f"{path} holds a line that is no JSON: the file was damaged") from None
        return rows, offset + len(complete)

    def truncate_metrics(self, last_step: int) -> None:
        """Drop the lines past a step, which a training that continues from there writes again."""
        rows, _ = self.read_metrics()
        kept = [json.dumps(row) + "\n" for row in rows if row["step"] <= last_step]
        if rows:
            write_atomically(self.path / "metrics.jsonl", "".join(kept))

    def read_evaluation(self) -> dict[str, Any]:
        """evaluation.json, or {} where nothing was evaluated yet."""
        if not (self.path / "evaluation.json").is_file():
            return {}
        return self._read_json("evaluation.json")

    def write_evaluation(self, evaluation: Mapping[str, Any]) -> None:
        """Replace evaluation.json."""
        write_atomically(self.path / "evaluation.json", json.dumps(evaluation, indent=1) + "\n")

    @contextmanager
    def reserved_for(self, work: str) -> Iterator[None]:
        """Hold the run for one kind of work, such as `training`, against other processes.

        Raises:
            RunError: another process is at it.
        """
        lock = FileLock(self.path / f".{work}.lock", timeout=0)
        try:
            lock.acquire()
        except Timeout:
            raise RunError(
                f"{self.path} is held by another process for {work}: wait for it, or stop it"
            ) from None
        try:
            yield
        finally:
            lock.release()

    def read_job(self) -> JobRecord | None:
        """job.json, or None where no job was ever started."""
        return self._read_optional("job.json", JobRecord)

    def write_job(self, record: JobRecord) -> None:
        """Replace job.json."""
        self._write_json("job.json", record)

    def read_job_progress(self) -> JobProgress | None:
        """progress.json, or None where no job has said anything."""
        return self._read_optional("progress.json", JobProgress)

    def write_job_progress(self, progress: JobProgress) -> None:
        """Replace progress.json."""
        self._write_json("progress.json", progress)

    def clear_job_progress(self) -> None:
        """Forget what the job before said."""
        (self.path / "progress.json").unlink(missing_ok=True)

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

    def _read_json(self, name: str) -> dict[str, Any]:
        path = self.path / name
        if not self.path.is_dir():
            raise RunError(f"{self.path} is no run folder: there is no such folder")
        if not path.is_file():
            raise RunError(f"{path} is missing: the folder is no run, or was half deleted")
        if path.stat().st_size > MAX_JSON_BYTES:
            raise RunError(f"{path} has more than {MAX_JSON_BYTES // 2**20} MB: it is no run's")
        try:
            content = json.loads(path.read_bytes())
        except (ValueError, RecursionError):
            raise RunError(f"{path} is no JSON: the file was damaged or truncated") from None
        if not isinstance(content, dict):
            raise RunError(f"{path} holds no JSON object, which is expected there")
        return content

    def _read_model(self, name: str, schema: type[Schema]) -> Schema:
        try:
            return schema.model_validate(self._read_json(name))
        except ValidationError as error:
            raise RunError(f"{self.path / name}: {explain(error)}") from None
        except ConfigError as error:
            raise RunError(f"{self.path / name}: {error}") from None

    def _read_optional(self, name: str, schema: type[Schema]) -> Schema | None:
        return self._read_model(name, schema) if (self.path / name).is_file() else None

    def _write_json(self, name: str, model: BaseModel) -> None:
        write_atomically(self.path / name, model.model_dump_json(indent=1) + "\n")

    def _load_weights(self, name: str, module: nn.Module) -> None:
        expected = module.state_dict()
        tensors = self._read_tensors(name, expected)
        for key, tensor in tensors.items():
            if not tensor.isfinite().all():
                raise RunError(f"{self.path / name}: {key} holds numbers that are not finite")
        module.load_state_dict(tensors)

    def _read_tensors(self, name: str, expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
        path = self.path / name
        if not path.is_file():
            raise RunError(f"{path} is missing: the run has saved no such state yet, or lost it")
        try:
            with safe_open(path, framework="pt") as file:
                found = set(file.keys())
                if found != expected.keys():
                    odd = sorted(found ^ expected.keys())[0]
                    verb = "is missing" if odd in expected else "is not expected"
                    raise RunError(
                        f"{path}: tensor {odd[:80]} {verb}; the weights belong to another config"
                    )
                for key, wanted in expected.items():
                    header = file.get_slice(key)
                    _check_header(path, key, header.get_shape(), header.get_dtype(), wanted)
                return {key: file.get_tensor(key).to(expected[key].dtype) for key in expected}
        except (SafetensorError, OSError, ValueError) as error:
            reason = str(error).splitlines()[0][:120]
            raise RunError(f"{path} is truncated or no safetensors file ({reason})") from None

    def _write_tensors(self, name: str, tensors: Mapping[str, Tensor]) -> None:
        plain = {key: value.detach().cpu().contiguous() for key, value in tensors.items()}
        write_atomically(self.path / name, serialize_tensors(plain))


def check_run_id(run_id: str) -> None:
    """Raise `RunError` unless a name can be a run's: it becomes part of paths and links."""
    if not RUN_ID.fullmatch(run_id):
        raise RunError(
            f"{run_id[:80]!r} cannot name a run: take 1 to 64 of a-z, 0-9, _ and -, "
            f"beginning with a letter or digit"
        )


def run_roots() -> dict[str, Path]:
    """The folders that hold runs, by the name that addresses use: the shipped ones, those of
    this user (`DVAE_RUNS`, or `runs` here), and each folder of runs among them."""
    own = Path(os.environ.get("DVAE_RUNS") or "runs")
    roots = {"checkpoints": SHIPPED_ROOT, "runs": own}
    if own.is_dir():
        for folder in sorted(own.iterdir()):
            if RUN_ID.fullmatch(folder.name) and folder.is_dir() and not _looks_like_run(folder):
                roots[f"runs/{folder.name}"] = folder
    return roots


def list_runs(root: Path) -> list[Run]:
    """The runs right below a folder, damaged ones included, sorted by name."""
    if not root.is_dir():
        return []
    return [
        Run(folder)
        for folder in sorted(root.iterdir())
        if RUN_ID.fullmatch(folder.name) and folder.is_dir() and _looks_like_run(folder)
    ]


def all_runs() -> Iterator[tuple[str, Run]]:
    """Every run of every root with its address `<root>/<id>`."""
    for name, root in run_roots().items():
        for run in list_runs(root):
            yield f"{name}/{run.id}", run


def find_run(address: str) -> Run:
    """The run at an address, looked up among those that exist; no path is made from it.

    Raises:
        RunError: there is none.
    """
    for known, run in all_runs():
        if known == address:
            return run
    raise RunError(f"there is no run {address[:80]!r}: choose one of the list")


def is_alive(pid: int | None, started_at: float | None) -> bool:
    """Whether the process that began then still lives; ids alone are used again."""
    if pid is None or started_at is None:
        return False
    try:
        process = psutil.Process(pid)
        # Clocks are read in ticks of 10 ms.
        same = abs(process.create_time() - started_at) < 1.0
        return same and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def this_process() -> tuple[int, float]:
    """Process id and start time, as `Status` records them."""
    return os.getpid(), psutil.Process().create_time()


def _looks_like_run(folder: Path) -> bool:
    names = ("config.json", "status.json", "model.safetensors")
    return any((folder / name).is_file() for name in names)


_DTYPES = {torch.float32: {"F32", "F16"}, torch.int64: {"I64"}, torch.uint8: {"U8"}}


def _check_header(path: Path, key: str, shape: list[int], dtype: str, wanted: Tensor) -> None:
    if tuple(shape) != tuple(wanted.shape):
        raise RunError(
            f"{path}: tensor {key} has shape {tuple(shape)}, but the config needs "
            f"{tuple(wanted.shape)}"
        )
    if dtype not in _DTYPES[wanted.dtype]:
        raise RunError(
            f"{path}: tensor {key} is of type {dtype}, but the config needs "
            f"{' or '.join(sorted(_DTYPES[wanted.dtype]))}"
        )
