"""Sweeps on a Ray cluster. Nothing but this process writes the folder of runs.

A run is an actor on some node, which trains in a folder of its own and hands out its files piece by
piece. When the node is lost, another actor goes on from the last piece that arrived; what the lost
one may still do is never asked for, so that each run arrives once.
"""

import contextlib
import time
from typing import Any

import ray

from dvae_core.errors import CoreError
from dvae_core.run import State
from dvae_core.sweep.cluster import last_line
from dvae_core.sweep.engine import Outcome
from dvae_core.sweep.survey import Task
from dvae_core.sweep.worker import Piece, RunWorker, code_hash, packed, receive

PIECE_SECONDS = 10.0
STOP_SECONDS = 60.0
MAX_LOSSES = 3


class RayEngine:
    """Starts as many runs as the cluster has cores and GPUs for, and asks now and then whether it
    has become another size. The connection must be there."""

    def __init__(self, workers: int | None, runs_per_gpu: int) -> None:
        """Take what bounds the work.

        Args:
            workers: runs at a time at most, or None for as many as there is room for.
            runs_per_gpu: runs that share a GPU.
        """
        self._workers = workers
        self._gpu_share = 1 / runs_per_gpu
        self._working: set[RemoteWork] = set()
        self._resources: dict[str, float] = {}
        self._asked_at = float("-inf")

    def start(self, task: Task) -> "RemoteWork | None":
        """Begin a task, or None while the cluster is full."""
        if self._working and not self._has_room_for(task):
            return None
        work = RemoteWork(task, self)
        self._working.add(work)
        return work

    def forget(self, work: "RemoteWork") -> None:
        """Give its room back."""
        self._working.discard(work)

    def gpu_share(self, task: Task) -> float:
        """What a run takes of a GPU."""
        wants_gpu = task.config.device != "cpu" and self._cluster_resources().get("GPU", 0) > 0
        return self._gpu_share if wants_gpu else 0.0

    def _has_room_for(self, task: Task) -> bool:
        if self._workers is not None and len(self._working) >= self._workers:
            return False
        tasks = [task, *(work.task for work in self._working)]
        resources = self._cluster_resources()
        cores = sum(task.config.threads for task in tasks)
        gpus = sum(map(self.gpu_share, tasks))
        return cores <= resources.get("CPU", 0) and gpus <= resources.get("GPU", 0)

    def _cluster_resources(self) -> dict[str, float]:
        if time.monotonic() - self._asked_at > 5.0:
            self._resources = ray.cluster_resources()
            self._asked_at = time.monotonic()
        return self._resources


class RemoteWork:
    """A run on some node."""

    def __init__(self, task: Task, engine: RayEngine) -> None:
        self.task = task
        self._engine = engine
        self._run = task.open()
        self._losses = 0
        self._actor: Any
        self._placed: Any  # is there when the actor has a node
        self._next_piece: Any
        with contextlib.ExitStack() as held:
            for work in ("training", "evaluation"):
                held.enter_context(self._run.reserved_for(work))
            self._begin()
            self._held = held.pop_all()

    def poll(self) -> Outcome | None:
        """How it ended, or None while it goes on. Writes what has arrived."""
        ready, _ = ray.wait([self._next_piece], timeout=0)
        if not ready:
            return None
        try:
            piece: Piece = ray.get(self._next_piece)
            receive(self._run, piece)
        except (CoreError, OSError, ray.exceptions.RayTaskError) as error:
            return self._end(last_line(error))
        except ray.exceptions.RayError as error:
            return self._begin_again(error)
        self._losses = 0
        if piece.ended:
            return self._end(piece.reason)
        self._next_piece = self._actor.next_piece.remote()
        return None

    def stop(self) -> None:
        """Have the node save and hand over its state."""
        is_placed, _ = ray.wait([self._placed], timeout=0)
        deadline = time.monotonic() + STOP_SECONDS
        if is_placed:
            self._actor.stop.remote()
            while time.monotonic() < deadline and not self._losses:
                ray.wait([self._next_piece], timeout=1)
                if self.poll():
                    return
        self._end("stopped")

    def _begin(self) -> None:
        trains = self.task.trains and self._run.status().state is not State.FINISHED
        options = {
            "num_cpus": self.task.config.threads,
            "num_gpus": self._engine.gpu_share(self.task),
            "max_concurrency": 2,  # so that `stop` does not wait for `next_piece`
        }
        actor_class: Any = ray.remote(RunWorker)
        self._actor = actor_class.options(**options).remote(
            self._run.id,
            packed(self._run),
            trains,
            self.task.evaluations,
            PIECE_SECONDS,
            code_hash(),
        )
        self._placed = self._actor.__ray_ready__.remote()
        self._next_piece = self._actor.next_piece.remote()

    def _begin_again(self, error: Exception) -> Outcome | None:
        self._losses += 1
        ray.kill(self._actor)  # what only seemed lost must not go on
        if self._losses == MAX_LOSSES:
            return self._end(f"its node was lost {MAX_LOSSES} times in a row: {last_line(error)}")
        self._begin()
        return None

    def _end(self, reason: str) -> Outcome:
        ray.kill(self._actor)
        status = self._run.status()
        if status.state is State.RUNNING:  # whoever did it is gone
            state = State.STOPPED if reason == "stopped" else State.FAILED
            ended = {"state": state, "message": reason, "process": None}
            self._run.write_status(status.model_copy(update=ended))
        self._held.close()
        self._engine.forget(self)
        return Outcome(self._run.id, reason)
