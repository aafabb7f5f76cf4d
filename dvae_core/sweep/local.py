"""Sweeps on this machine, where each run is a background job."""

import os
from collections import deque
from collections.abc import Sequence

import torch

from dvae_core.config import available_cores
from dvae_core.errors import ConfigError
from dvae_core.jobs import find_job, start_job, stop_job
from dvae_core.runs.run import State
from dvae_core.sweep.engine import Outcome
from dvae_core.sweep.survey import Task

STOP_SECONDS = 60.0


class LocalEngine:
    """Starts runs while cores and GPUs are free. Waits for runs that other processes train."""

    def __init__(
        self, workers: int | None = None, gpus: int | None = None, runs_per_gpu: int = 1
    ) -> None:
        """Limit the work.

        Args:
            workers: runs at a time; None for as many as the cores allow.
            gpus: number of GPUs to use; None for all.
            runs_per_gpu: runs that share a GPU.

        Raises:
            ConfigError: there are fewer GPUs.
        """
        names = _gpu_names()
        if gpus is not None and gpus > len(names):
            raise ConfigError(f"--gpus is {gpus}, but this machine offers {len(names)}")
        self._workers = workers
        self._gpus = names[:gpus] * runs_per_gpu  # each GPU once before any twice
        self._has_gpus = bool(self._gpus)
        self._working: set[LocalWork] = set()

    def start(self, task: Task) -> "LocalWork | None":
        """Start a task; None while there is no room for it."""
        wants_gpu = self._has_gpus and task.config.device != "cpu"
        if (self._working and not self._has_core_for(task)) or (wants_gpu and not self._gpus):
            return None
        gpu = self._gpus.pop(0) if wants_gpu else ""
        try:
            work = LocalWork(task, gpu, self)
        except BaseException:
            self._give_back(gpu)
            raise
        self._working.add(work)
        return work

    def forget(self, work: "LocalWork") -> None:
        """Free the cores and the GPU of work that has ended."""
        if work in self._working:
            self._working.remove(work)
            self._give_back(work.gpu)

    def check_devices(self, tasks: Sequence[Task]) -> None:
        """Raise `ConfigError` if a training needs a GPU and there is none."""
        needs_gpu = any(task.trains and task.config.device == "cuda" for task in tasks)
        if needs_gpu and not self._has_gpus:
            raise ConfigError("device is cuda, but there is no GPU to use on this machine")

    def _has_core_for(self, task: Task) -> bool:
        if self._workers is not None:
            return len(self._working) < self._workers
        threads = sum(work.task.config.threads for work in self._working)
        return threads + task.config.threads <= available_cores()

    def _give_back(self, gpu: str) -> None:
        if gpu:
            self._gpus.append(gpu)


class LocalWork:
    """The jobs of a run: its training, then an evaluation for each protocol."""

    def __init__(self, task: Task, gpu: str, engine: LocalEngine) -> None:
        self.task = task
        self.gpu = gpu
        self._engine = engine
        self._run = task.open()
        threads = str(task.config.threads)
        self._environment = {"OMP_NUM_THREADS": threads, "CUDA_VISIBLE_DEVICES": gpu}
        self._commands: deque[tuple[str, list[str]]] = deque()
        if task.trains:
            self._commands.append(("resume", []))
        for request in task.evaluations:
            # The sweep file says from how many points.
            arguments = [*request.arguments, "--workers", threads, "--replace"]
            self._commands.append(("evaluate", arguments))
        self._begin_next()

    def poll(self) -> Outcome | None:
        """The outcome, or None while it runs."""
        command, _ = self._commands[0]
        reason = self._training_end() if command == "resume" else self._evaluation_end()
        if reason is None:
            return None
        self._commands.popleft()
        if reason or not self._commands:
            return self._end(reason)
        self._begin_next()
        return None

    def stop(self) -> None:
        """Let the job save its state, and wait until it has ended."""
        command, _ = self._commands[0]
        stop_job(self._run, command, STOP_SECONDS)
        self._end("stopped")

    def _begin_next(self) -> None:
        command, arguments = self._commands[0]
        if command == "resume" and self._run.state() in (State.RUNNING, State.FINISHED):
            return
        job = find_job(self._run, command)
        if job is None or job.state != "running":
            start_job(self._run, command, arguments, self._environment)

    def _training_end(self) -> str | None:
        """Why the training ended early; "" if it is finished, None while it runs."""
        job = find_job(self._run, "resume")
        if job is not None and job.state == "running":
            return None
        match self._run.state():
            case State.RUNNING | State.QUEUED:
                return None
            case State.FINISHED:
                return ""
            case State.FAILED:
                return self._run.status().message
            case State.STOPPED:
                step = self._run.status().step
                message = job.message if job is not None else ""
                return message or f"it was stopped at step {step:,}"
            case _:
                message = job.message if job is not None else ""
                return message or "its process died"

    def _evaluation_end(self) -> str | None:
        job = find_job(self._run, "evaluate")
        if job is None or job.state == "lost":
            return f"evaluation: {job.message if job else 'its process died'}"
        match job.state:
            case "running":
                return None
            case "finished":
                return ""
            case _:
                return f"evaluation: {job.message or job.state}"

    def _end(self, reason: str) -> Outcome:
        self._engine.forget(self)
        return Outcome(self._run.id, reason)


def _gpu_names() -> list[str]:
    """The GPUs that this process may use, named as in CUDA_VISIBLE_DEVICES."""
    count = torch.cuda.device_count()
    allowed = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    named = [name.strip() for name in allowed.split(",") if name.strip()]
    return named[:count] or [str(index) for index in range(count)]
