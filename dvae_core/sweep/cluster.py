"""Reaching a Ray cluster, and making sure before anything starts that its nodes can do the work."""

import contextlib
import logging
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import torch

from dvae_core.errors import ConfigError
from dvae_core.sweep.survey import Task
from dvae_core.sweep.worker import code_hash

CONNECT_SECONDS = 60.0
CHECK_SECONDS = 120.0
_KNOCK_SECONDS = 5.0
_PROBE = """
import sys, ray
ray.init(address=sys.argv[1], log_to_driver=False, logging_level="ERROR")
"""


@contextlib.contextmanager
def connected(address: str) -> Iterator[None]:
    """Hold a connection to a running cluster.

    Args:
        address: host:port of its head, or `auto` for the one that runs on this machine.

    Raises:
        ConfigError: Ray is not installed, or no cluster answers in a minute.
    """
    try:
        import ray
    except ImportError:
        raise ConfigError(
            "--engine ray needs Ray, and it is not installed: pip install ray, or use this machine "
            "with --engine local"
        ) from None
    _knock(address)
    _probe(address)
    ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    try:
        yield
    finally:
        ray.shutdown()


def check_nodes(tasks: Sequence[Task]) -> None:
    """Make sure that every node has this code and the data sets, and that some node has room for
    each task.

    Raises:
        ConfigError: one has not; the message names the node.
    """
    import ray

    datasets = sorted({task.config.dataset for task in tasks})
    asked = {node_id: _ask(node_id, datasets) for node_id in _living_nodes()}
    for node_id, reference in asked.items():
        try:
            answer = ray.get(reference, timeout=CHECK_SECONDS)
        except ray.exceptions.RayError as error:
            answer = f"does not answer: {last_line(error)}"
        # One that died a moment ago was listed and cannot answer.
        if answer and (node := _living_nodes().get(node_id)):
            raise ConfigError(f"node {node['NodeManagerAddress']} {answer}")
    _check_room(tasks, [node["Resources"] for node in _living_nodes().values()])


def _living_nodes() -> dict[str, Any]:
    """Nodes that have cores, by their id."""
    import ray

    nodes = (node for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU"))
    return {node["NodeID"]: node for node in nodes}


def last_line(error: Exception) -> str:
    """The line of an error of Ray that says what happened."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1][:300] if lines else type(error).__name__


def _knock(address: str) -> None:
    """Find out in seconds when nothing at all listens there, which Ray takes a minute for."""
    host, _, port = address.rpartition(":")
    if address == "auto":
        return
    if not host or "/" in host or not port.isdigit():
        raise ConfigError(f"--address is {address[:80]!r}, but host:port or auto is expected there")
    try:
        socket.create_connection((host, int(port)), _KNOCK_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise ConfigError(
            f"no Ray cluster is at {address}: {error}; start one with: ray start --head"
        ) from None


def _probe(address: str) -> None:
    """Connect from a process that can be given up, because Ray's own attempt may never end."""
    try:
        done = subprocess.run(
            [sys.executable, "-c", _PROBE, address],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=CONNECT_SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise ConfigError(
            f"what listens at {address} has not answered as a Ray cluster in "
            f"{CONNECT_SECONDS:.0f} s"
        ) from None
    if done.returncode:
        reason = last_line(Exception(done.stderr))
        raise ConfigError(f"no Ray cluster can be reached at {address}: {reason}")


def _check_room(tasks: Sequence[Task], nodes: Sequence[dict[str, float]]) -> None:
    most_cores = max((node["CPU"] for node in nodes), default=0)
    most_threads = max(task.config.threads for task in tasks)
    if most_threads > most_cores:
        raise ConfigError(
            f"a run takes {most_threads} threads, and the largest node of the cluster has "
            f"{most_cores:g} cores: set threads to a smaller number"
        )
    wants_gpu = any(task.config.device == "cuda" for task in tasks)
    if wants_gpu and not any(node.get("GPU") for node in nodes):
        raise ConfigError("device is cuda, and no node of the cluster has a GPU")


def _ask(node_id: str, datasets: list[str]) -> Any:
    """Have a node say what it lacks, "" where nothing."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    expected_code, expected_torch = code_hash(), torch.__version__

    def lacking() -> str:  # travels by value, so it works where the package is not
        try:
            import dvae_core
        except ImportError:
            return "has no package dvae_core: install this version there"
        try:
            import torch

            from dvae_core.data.listing import dataset_info
            from dvae_core.sweep.worker import code_hash

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
