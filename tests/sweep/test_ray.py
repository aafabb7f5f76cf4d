"""On a real Ray cluster of two nodes on this machine."""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from dvae_core.__main__ import main
from dvae_core.errors import ConfigError
from dvae_core.runs.catalog import list_runs
from dvae_core.runs.run import Run, State
from dvae_core.sweep import ray as ray_engine
from dvae_core.sweep.plan import Sweep
from dvae_core.sweep.ray import connected
from dvae_core.sweep.ray_worker import pack_files
from dvae_core.sweep.survey import survey
from dvae_core.training.trainer import train

ray: Any = pytest.importorskip("ray", reason="Ray is not installed")

MakeSweep = Callable[..., Sweep]
ROOT = Path(ray_engine.__file__).parents[2]
NODE = {"num_cpus": 1, "object_store_memory": 100 * 2**20}
# Ray's own threads and sockets are left to the garbage collector when a node is killed.
pytestmark = pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """The head of a cluster, with one core; tests add nodes."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # nobody is told of these tests
    # Else whatever else the machine does comes first.
    os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112, Ray spells it so
    from ray.cluster_utils import Cluster

    head = {**NODE, "include_dashboard": False, "env_vars": {"PYTHONPATH": str(ROOT)}}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    yield cluster
    cluster.shutdown()


@contextlib.contextmanager
def another_node(cluster: Any, **options: Any) -> Iterator[Any]:
    node = cluster.add_node(**NODE, **options)
    try:
        yield node
    finally:
        if node in cluster.list_all_nodes():
            cluster.remove_node(node, allow_graceful=False)


def sweep_on(cluster: Any, file: Path, output: Path, *flags: str) -> int:
    where = ["--output", str(output), "--engine", "ray", "--address", cluster.address]
    return main(["sweep", str(file), *where, "--json", *flags])


@pytest.mark.slow
def test_the_runs_of_a_node_that_is_killed_are_done_by_another_from_their_last_state(
    cluster: Any,
    tiny_sweep: MakeSweep,
    sweep_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    begun: list[tuple[str, bool]] = []

    def noted(run: Run) -> dict[str, bytes]:
        begun.append((run.id, run.has_trainer_state))
        return pack_files(run)

    monkeypatch.setattr("dvae_core.sweep.ray.PIECE_SECONDS", 0.2)
    monkeypatch.setattr("dvae_core.sweep.ray.pack_files", noted)
    options = {"seeds": 3, "latents": "gaussian", "steps": 400, "checkpoint_seconds": 0.2}
    output = tmp_path / "runs"

    def kill_when_both_nodes_have_saved_something(node: Any) -> None:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            working = [run for run in list_runs(output) if run.state() is State.RUNNING]
            if len(working) == 2 and all(run.has_trainer_state for run in working):
                cluster.remove_node(node, allow_graceful=False)
                return
            time.sleep(0.02)

    with another_node(cluster) as node:
        killer = threading.Thread(target=kill_when_both_nodes_have_saved_something, args=(node,))
        killer.start()
        settings = ["--set", *(f"{key}={value}" for key, value in options.items())]
        assert sweep_on(cluster, sweep_file, output, *settings) == 0
        killer.join()
        assert node not in cluster.list_all_nodes()

    done = json.loads(capsys.readouterr().out.splitlines()[-1])
    tasks = survey(tiny_sweep(**options), tmp_path / "here").tasks
    assert (done["complete"], done["failed"]) == (3, {})
    assert sorted(done["done_now"]) == sorted(task.run.id for task in tasks)
    lost = [run_id for run_id, has_state in begun if has_state]
    assert len(begun) == 4  # three runs, and the lost one again
    assert len(lost) == 1
    for task in tasks:
        arrived = Run(output / task.run.id)
        assert [row["step"] for row in arrived.metrics.read()] == list(range(4, 401, 4))
        train(task.open())
        expected = task.run.load_model().state_dict()
        for key, tensor in arrived.load_model().state_dict().items():
            assert torch.equal(tensor, expected[key]), (task.run.id, key)

    assert sweep_on(cluster, sweep_file, output, *settings) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["done_now"] == []
    assert len(begun) == 4


def test_a_run_that_fails_on_a_node_is_listed_and_the_rest_goes_on(
    cluster: Any, sweep_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = sweep_file.read_text().replace("seeds = 2", "").replace("steps = 12", "steps = 4000")
    text += "\n[[cases]]\nlearning_rate = 1.0\nnum_latents = 64\n[[cases]]\nsteps = 12\n"
    sweep_file.write_text(text.replace("steps = 4000\n", "").replace("64\n", "64\nsteps = 4000\n"))
    flags = ["--set", "latents=gaussian"]
    assert sweep_on(cluster, sweep_file, tmp_path / "runs", *flags) == 1
    done = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert done["done_now"] == ["steps-12"]
    (reason,) = done["failed"].values()
    assert "diverged" in reason


def complaint(capsys: pytest.CaptureFixture[str]) -> str:
    said = capsys.readouterr().err
    assert said.count("error: ") == 1
    return said


def refused_from_elsewhere(cluster: Any, file: Path, folder: Path) -> str:
    """What a sweep says that is started in a folder from where nodes cannot see the package."""
    command = [sys.executable, "-m", "dvae_core", "sweep", str(file), "--engine", "ray"]
    done = subprocess.run(
        [*command, "--address", cluster.address, "--output", str(folder / "runs")],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=250,
    )
    assert done.returncode == 2, done.stderr
    assert not (folder / "runs").exists()
    return done.stderr


def test_a_node_with_another_version_is_named_and_nothing_started(
    cluster: Any, sweep_file: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    shutil.copytree(ROOT / "dvae_core", other / "dvae_core")
    with (other / "dvae_core" / "errors.py").open("a") as file:
        file.write("# changed\n")
    with another_node(cluster, env_vars={"PYTHONPATH": str(other)}):
        said = refused_from_elsewhere(cluster, sweep_file, tmp_path)
    assert f"has another version of dvae_core in {other}" in said


@pytest.mark.slow  # the same question to a node as that for its version
def test_a_node_without_the_package_is_named_and_nothing_started(
    cluster: Any, sweep_file: Path, tmp_path: Path
) -> None:
    # It hides the package that this environment may have installed.
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "dvae_core.py").write_text("raise ModuleNotFoundError('dvae_core')")
    with another_node(cluster, env_vars={"PYTHONPATH": str(hidden)}):
        said = refused_from_elsewhere(cluster, sweep_file, tmp_path)
    assert "has no package dvae_core: install this version there" in said


@pytest.mark.slow  # again the same question, after all that starts a sweep
def test_a_node_without_the_data_set_is_named_and_nothing_started(
    cluster: Any,
    sweep_file: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    flags = ["--set", "dataset=dsprites"]
    assert sweep_on(cluster, sweep_file, tmp_path / "runs", *flags) == 2
    assert "lacks data sets: dsprites" in complaint(capsys)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("threads=64", "a run needs 64 threads, but the largest node of the cluster has 1 cores"),
        ("device=cuda", "no node of the cluster has a GPU"),
    ],
)
def test_what_no_node_has_room_for_is_refused(
    cluster: Any,
    sweep_file: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    setting: str,
    message: str,
) -> None:
    assert sweep_on(cluster, sweep_file, tmp_path / "runs", "--set", setting) == 2
    assert message in complaint(capsys)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("address", ["127.0.0.1:1", "nowhere.invalid:6379"])
def test_a_cluster_that_is_not_there_is_said(address: str) -> None:
    with pytest.raises(ConfigError, match=f"no Ray cluster is at {address}"), connected(address):
        pass


@pytest.mark.parametrize("address", ["here", "host:port", ":1", "ray://here:10001"])
def test_what_is_no_address_is_said(address: str) -> None:
    with pytest.raises(ConfigError, match="host:port or auto is expected"), connected(address):
        pass


def test_what_listens_and_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_engine, "CONNECT_SECONDS", 3.0)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = "{}:{}".format(*server.getsockname())
        with pytest.raises(ConfigError, match="has not answered"), connected(address):
            pass
