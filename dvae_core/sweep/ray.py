"""Sweeps on a Ray cluster. Only this process writes the folder of runs.

A run is an actor on a node; it trains in a temporary folder and returns new files piece by piece.
If the node is lost, another actor continues from the last piece that arrived. Results of the lost
actor are ignored, so that each run arrives once.
"""

import contextlib
import logging
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

import ray
import torch

from dvae_core.errors import ConfigError, CoreError
from dvae_core.runs.run import State
from dvae_core.sweep.engine import Outcome
from dvae_core.sweep.ray_worker import Piece, RunWorker, code_hash, pack_files, receive
from dvae_core.sweep.survey import Task
from dvae_core.system.environment import safe_environment

PIECE_SECONDS = 10.0
STOP_SECONDS = 60.0
MAX_LOSSES = 3


class RayEngine:
    """Starts as many runs as the cluster has cores and GPUs for, also when its size changes. Needs
    an open connection."""

    def __init__(self, workers: int | None, runs_per_gpu: int) -> None:
        """Limit the work to `workers` runs at a time, None for no limit, and `runs_per_gpu`."""
        self._workers = workers
        self._gpu_share = 1 / runs_per_gpu
        self._working: set[RemoteWork] = set()
        self._resources: dict[str, float] = {}
        self._asked_at = float("-inf")

    def start(self, task: Task) -> "RemoteWork | None":
        """Start a task; None while the cluster is full."""
        if self._working and not self._has_room_for(task):
            return None
        work = RemoteWork(task, self)
        self._working.add(work)
        return work

    def forget(self, work: "RemoteWork") -> None:
        """Free the room of work that has ended."""
        self._working.discard(work)

    def gpu_share(self, task: Task) -> float:
        """The share of a GPU that a run needs."""
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
    """A run on a node of the cluster."""

    def __init__(self, task: Task, engine: RayEngine) -> None:
        self.task = task
        self._engine = engine
        self._run = task.open()
        self._losses = 0
        self._actor: Any
        self._placed: Any  # is ready when the actor has a node
        self._next_piece: Any
        with contextlib.ExitStack() as held:
            held.enter_context(self._run.reserved_for("training", "evaluation"))
            self._begin()
            self._held = held.pop_all()

    def poll(self) -> Outcome | None:
        """The outcome, or None while it runs. Writes the files that have arrived."""
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
        """Let the node save its state and return it."""
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
            pack_files(self._run),
            trains,
            self.task.evaluations,
            PIECE_SECONDS,
            code_hash(),
        )
        self._placed = self._actor.__ray_ready__.remote()
        self._next_piece = self._actor.next_piece.remote()

    def _begin_again(self, error: Exception) -> Outcome | None:
        self._losses += 1
        ray.kill(self._actor)  # in case it is still alive
        if self._losses == MAX_LOSSES:
            return self._end(f"its node was lost {MAX_LOSSES} times in a row: {last_line(error)}")
        self._begin()
        return None

    def _end(self, reason: str) -> Outcome:
        ray.kill(self._actor)
        status = self._run.status()
        if status.state is State.RUNNING:  # its process died
            state = State.STOPPED if reason == "stopped" else State.FAILED
            ended = {"state": state, "message": reason, "process": None}
            self._run.write_status(status.model_copy(update=ended))
        self._held.close()
        self._engine.forget(self)
        return Outcome(self._run.id, reason)


CONNECT_SECONDS = 60.0
CHECK_SECONDS = 120.0
_KNOCK_SECONDS = 5.0
_PROBE = """
import sys, ray
ray.init(address=sys.argv[1], log_to_driver=False, logging_level="ERROR")
"""


@contextlib.contextmanager
def connected(address: str) -> Iterator[None]:
    """Connect to a running cluster at host:port, or `auto` for one on this machine.

    Raises:
        ConfigError: no cluster answers within a minute.
    """
    _knock(address)
    _probe(address)
    ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    try:
        yield
    finally:
        ray.shutdown()


def check_nodes(tasks: Sequence[Task]) -> None:
    """Check that every node has the same code and the data sets, and that each task fits a node.

    Raises:
        ConfigError: a check failed; the message names the node.
    """
    datasets = sorted({task.config.dataset for task in tasks})
    asked = {node_id: _ask(node_id, datasets) for node_id in _living_nodes()}
    for node_id, reference in asked.items():
        try:
            answer = ray.get(reference, timeout=CHECK_SECONDS)
        except ray.exceptions.RayError as error:
            answer = f"does not answer: {last_line(error)}"
        # A node that has just died cannot answer.
        if answer and (node := _living_nodes().get(node_id)):
            raise ConfigError(f"node {node['NodeManagerAddress']} {answer}")
    _check_room(tasks, [node["Resources"] for node in _living_nodes().values()])


def _living_nodes() -> dict[str, Any]:
    """Living nodes with cores, by id."""
    nodes = (node for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU"))
    return {node["NodeID"]: node for node in nodes}


def last_line(error: Exception) -> str:
    """The last line of an error of Ray, which says what happened."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1][:300] if lines else type(error).__name__


def _knock(address: str) -> None:
    """Fail within seconds if nothing listens at the address; Ray itself takes a minute."""
    host, _, port = address.rpartition(":")
    if address == "auto":
        return
    if not host or "/" in host or not port.isdigit():
        raise ConfigError(f"--address is {address[:80]!r}, but host:port or auto is expected")
    try:
        socket.create_connection((host, int(port)), _KNOCK_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise ConfigError(
            f"no Ray cluster is at {address}: {error}; start one with: ray start --head"
        ) from None


def _probe(address: str) -> None:
    """Try to connect in a process that can be killed, because Ray's attempt may never end."""
    try:
        done = subprocess.run(
            [sys.executable, "-c", _PROBE, address],
            env=safe_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=CONNECT_SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise ConfigError(
            f"the server at {address} has not answered as a Ray cluster in {CONNECT_SECONDS:.0f} s"
        ) from None
    if done.returncode:
        reason = last_line(Exception(done.stderr))
        raise ConfigError(f"no Ray cluster can be reached at {address}: {reason}")


def _check_room(tasks: Sequence[Task], nodes: Sequence[dict[str, float]]) -> None:
    most_cores = max((node["CPU"] for node in nodes), default=0)
    most_threads = max(task.config.threads for task in tasks)
    if most_threads > most_cores:
        raise ConfigError(
            f"a run needs {most_threads} threads, but the largest node of the cluster has "
            f"{most_cores:g} cores: set threads to a smaller number"
        )
    wants_gpu = any(task.config.device == "cuda" for task in tasks)
    if wants_gpu and not any(node.get("GPU") for node in nodes):
        raise ConfigError("device is cuda, but no node of the cluster has a GPU")


def _ask(node_id: str, datasets: list[str]) -> Any:
    """Ask a node what it lacks; the answer is "" if nothing is missing."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    expected_code, expected_torch = code_hash(), torch.__version__

    def lacking() -> str:  # sent by value, so that it works without the package
        try:
            import dvae_core
        except ImportError:
            return "has no package dvae_core: install this version there"
        try:
            import torch

            from dvae_core.data.listing import dataset_info
            from dvae_core.sweep.ray_worker import code_hash

            code, version = code_hash(), torch.__version__
            states = [dataset_info(name) for name in datasets]
        except Exception as error:
            return f"has another version of dvae_core, which fails with: {error}"
        if code != expected_code:
            return f"has another version of dvae_core in {dvae_core.__path__[0]}: make them equal"
        if version != expected_torch:
            return f"has torch {version} and this machine {expected_torch}: make them equal"
        missing = [f"{info.name} ({info.detail})" for info in states if info.state != "ready"]
        return f"lacks data sets: {', '.join(missing)}" if missing else ""

    strategy = NodeAffinitySchedulingStrategy(node_id, soft=False)
    task = ray.remote(lacking).options(num_cpus=0, max_retries=0, scheduling_strategy=strategy)
    return task.remote()
