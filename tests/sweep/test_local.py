"""What the local engine starts at a time, and with which GPU; the jobs themselves are left out."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest
import torch

from dvae_core.config import available_cores
from dvae_core.errors import ConfigError
from dvae_core.runs.run import Run
from dvae_core.sweep import local
from dvae_core.sweep.local import LocalEngine, LocalWork
from dvae_core.sweep.plan import Sweep
from dvae_core.sweep.survey import survey

MakeSweep = Callable[..., Sweep]
MakeTasks = Callable[..., list]


@pytest.fixture
def tasks_of(
    tiny_sweep: MakeSweep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., list]:
    """Tasks whose jobs are not started but noted, on a machine of three GPUs."""

    def noted(
        run: Run, command: str, arguments: Sequence[str], environment: Mapping[str, str]
    ) -> None:
        (run.path / "environment").write_text(" ".join(environment.values()))

    monkeypatch.setattr(local, "start_job", noted)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)

    def tasks(**settings: object) -> list:
        folder = Path(tempfile.mkdtemp(dir=tmp_path))
        return list(survey(tiny_sweep(**settings), folder).tasks)

    return tasks


def started(engine: LocalEngine, tasks: list) -> list[LocalWork]:
    return [work for task in tasks if (work := engine.start(task))]


def test_cores_bound_what_runs_at_a_time(tasks_of: MakeTasks) -> None:
    cores = available_cores()
    assert len(started(LocalEngine(), tasks_of(seeds=cores, device="cpu"))) == cores
    assert len(started(LocalEngine(), tasks_of(seeds=2, threads=cores, device="cpu"))) == 1


def test_a_run_of_more_threads_than_cores_runs_alone(tasks_of: MakeTasks) -> None:
    tasks = tasks_of(threads=available_cores() + 1)
    assert len(started(LocalEngine(), tasks)) == 1


def test_workers_bound_it_instead(tasks_of: MakeTasks) -> None:
    assert len(started(LocalEngine(workers=3), tasks_of(seeds=5))) == 3


def test_gpus_are_taken_in_turn_and_each_is_shared_by_so_many(tasks_of: MakeTasks) -> None:
    engine = LocalEngine(workers=99, gpus=2, runs_per_gpu=2)
    tasks = tasks_of(seeds=5, device="auto")
    work = started(engine, tasks)
    assert [one.gpu for one in work] == ["0", "1", "0", "1"]
    assert [(one.task.run.path / "environment").read_text() for one in work] == [
        "1 0",
        "1 1",
        "1 0",
        "1 1",
    ]
    engine.forget(work[1])
    last = engine.start(tasks[4])
    assert last is not None
    assert last.gpu == "1"


def test_a_run_on_the_processor_takes_no_gpu(tasks_of: MakeTasks) -> None:
    engine = LocalEngine(workers=99, gpus=1)
    on_gpu, on_cpu = tasks_of(seeds=1, device="cuda")[0], tasks_of(seeds=2, device="cpu")[-1]
    assert [work.gpu for work in started(engine, [on_gpu, on_cpu])] == ["0", ""]


def test_a_run_that_cannot_begin_gives_its_gpu_back(
    tasks_of: MakeTasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = LocalEngine(workers=99, gpus=1)
    tasks = tasks_of(seeds=2, device="cuda")
    with monkeypatch.context() as broken:
        broken.setattr(local, "start_job", lambda *_: (_ for _ in ()).throw(OSError("full")))
        with pytest.raises(OSError, match="full"):
            engine.start(tasks[0])
    assert engine.start(tasks[1]) is not None


def test_gpus_of_others_are_left_alone(
    tasks_of: MakeTasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,7")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    work = started(LocalEngine(workers=99), tasks_of(seeds=3, device="cuda"))
    assert [one.gpu for one in work] == ["5", "7"]


def test_cuda_without_a_gpu_is_refused(
    tasks_of: MakeTasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match="--gpus is 4, but this machine offers 3"):
        LocalEngine(gpus=4)
    with pytest.raises(ConfigError, match="there is no GPU to use"):
        LocalEngine(gpus=0).check_devices(tasks_of(device="cuda"))
