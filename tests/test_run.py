import json
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import torch
from safetensors.torch import load_file, save_file

from dvae_core.config import RunConfig
from dvae_core.errors import RunError
from dvae_core.run import (
    Run,
    State,
    Status,
    all_runs,
    check_run_id,
    find_run,
    is_alive,
    list_runs,
    run_roots,
    this_process,
)


def test_a_new_run_is_queued_and_knows_its_config(tmp_path: Path, tiny_config: RunConfig) -> None:
    run = Run.create(tmp_path / "new", tiny_config, (1, 32, 32))
    assert run.state() is State.QUEUED
    assert run.record.image_shape == (1, 32, 32)
    assert RunConfig(**run.record.model_dump(include=set(RunConfig.model_fields))) == tiny_config
    assert [path.name for path in tmp_path.iterdir()] == ["new"]


def test_a_folder_is_not_overwritten(tmp_path: Path, tiny_config: RunConfig) -> None:
    Run.create(tmp_path / "new", tiny_config, (1, 32, 32))
    with pytest.raises(RunError, match="exists already: choose another folder"):
        Run.create(tmp_path / "new", tiny_config, (1, 32, 32))
    assert [path.name for path in tmp_path.iterdir()] == ["new"]


@pytest.mark.parametrize(
    "name", ["..", "a/b", "", "-a", "A", "a b", "ä", "a" * 65, "a\n", ".hidden"]
)
def test_names_that_could_leave_the_folder_are_refused(name: str) -> None:
    with pytest.raises(RunError, match="cannot name a run"):
        check_run_id(name)


def test_weights_come_back_as_they_were_saved(tiny_run: Run) -> None:
    model = tiny_run.load_model()
    tiny_run.save_model(model)
    again = tiny_run.load_model()
    for key, tensor in model.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[key])
    assert not model.training
    assert not any(parameter.requires_grad for parameter in model.parameters())


def test_half_precision_weights_are_read(tiny_run: Run) -> None:
    path = tiny_run.path / "model.safetensors"
    save_file({key: tensor.half() for key, tensor in load_file(path).items()}, path)
    assert tiny_run.load_model().encoder.head.weight.dtype == torch.float32


@pytest.mark.parametrize("name", ["config.json", "status.json", "model.safetensors"])
def test_a_missing_file_is_named_and_the_run_is_damaged(tiny_run: Run, name: str) -> None:
    (tiny_run.path / name).unlink()
    run = Run(tiny_run.path)
    assert run.state() is State.DAMAGED
    assert f"{name} is missing" in str(run.problem())


@pytest.mark.parametrize("content", ["", "{", "[]", "[" * 100_000, "\x00\xff", '{"steps": 1e999}'])
def test_a_config_that_is_none_is_damage(tiny_run: Run, content: str) -> None:
    (tiny_run.path / "config.json").write_text(content)
    run = Run(tiny_run.path)
    assert run.state() is State.DAMAGED
    assert "\n" not in str(run.problem())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"colour": "red"}, "unknown setting colour"),
        ({"num_latents": 10_000}, "num_latents is 10000, but"),
        ({"format_version": 2}, "format_version is 2, but"),
        ({"image_shape": [1, 32]}, "image_shape"),
    ],
)
def test_a_config_with_a_field_too_much_or_out_of_range_is_named(
    tiny_run: Run, change: dict[str, object], message: str
) -> None:
    path = tiny_run.path / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(RunError, match=message):
        _ = Run(tiny_run.path).record


def rewrite_weights(run: Run, **changes: torch.Tensor | None) -> None:
    path = run.path / "model.safetensors"
    tensors = load_file(path) | changes
    save_file({key: tensor for key, tensor in tensors.items() if tensor is not None}, path)


def test_truncated_weights_are_refused(tiny_run: Run) -> None:
    path = tiny_run.path / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(RunError, match="truncated or no safetensors file"):
        tiny_run.load_model()


def test_a_pickle_is_no_weights(tiny_run: Run) -> None:
    torch.save({"a": torch.zeros(1)}, tiny_run.path / "model.safetensors")
    with pytest.raises(RunError, match="no safetensors file"):
        tiny_run.load_model()


def test_weights_of_another_shape_are_refused(tiny_run: Run) -> None:
    rewrite_weights(tiny_run, **{"encoder.head.bias": torch.zeros(3)})
    with pytest.raises(RunError, match=r"encoder.head.bias has shape \(3,\), but .* \(10,\)"):
        tiny_run.load_model()


def test_weights_of_another_type_are_refused(tiny_run: Run) -> None:
    rewrite_weights(tiny_run, **{"encoder.head.bias": torch.zeros(10, dtype=torch.int64)})
    with pytest.raises(RunError, match="of type I64"):
        tiny_run.load_model()


def test_a_missing_or_foreign_tensor_is_named(tiny_run: Run) -> None:
    rewrite_weights(tiny_run, **{"encoder.head.bias": None})
    with pytest.raises(RunError, match=r"encoder\.head\.bias is missing"):
        tiny_run.load_model()
    rewrite_weights(tiny_run, **{"encoder.head.bias": torch.zeros(10), "z": torch.zeros(1)})
    with pytest.raises(RunError, match="tensor z is not expected"):
        tiny_run.load_model()


def test_weights_that_are_not_finite_are_refused(tiny_run: Run) -> None:
    rewrite_weights(tiny_run, **{"encoder.head.bias": torch.full((10,), float("nan"))})
    with pytest.raises(RunError, match=r"encoder\.head\.bias holds numbers that are not finite"):
        tiny_run.load_model()


def set_running(run: Run, pid: int, started_at: float) -> None:
    status = Status(state=State.RUNNING, steps=12, pid=pid, process_started_at=started_at)
    run.write_status(status)


def test_a_running_process_is_running(tiny_run: Run) -> None:
    set_running(tiny_run, *this_process())
    assert tiny_run.state() is State.RUNNING


def test_a_dead_process_is_lost(tiny_run: Run) -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    started_at = psutil.Process(process.pid).create_time()
    set_running(tiny_run, process.pid, started_at)
    assert tiny_run.state() is State.RUNNING
    process.communicate(b"\n")
    assert tiny_run.state() is State.LOST


def test_a_process_id_used_again_is_not_believed() -> None:
    assert not is_alive(os.getpid(), psutil.Process().create_time() - 3600)


def test_a_line_still_being_written_is_left_for_later(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.append_metrics({"step": 1})
    with open(tmp_path / "metrics.jsonl", "a") as file:
        file.write('{"step": ')
    rows, offset = run.read_metrics()
    assert rows == [{"step": 1}]
    with open(tmp_path / "metrics.jsonl", "a") as file:
        file.write("2}\n")
    assert run.read_metrics(offset)[0] == [{"step": 2}]


def test_a_damaged_line_is_said(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text("x\n")
    with pytest.raises(RunError, match="no JSON"):
        Run(tmp_path).read_metrics()


def test_truncating_drops_what_came_after(tmp_path: Path) -> None:
    run = Run(tmp_path)
    for step in range(1, 6):
        run.append_metrics({"step": step})
    run.truncate_metrics(3)
    assert [row["step"] for row in run.read_metrics()[0]] == [1, 2, 3]


def test_runs_are_found_below_their_roots(
    tmp_path: Path, tiny_config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DVAE_RUNS", str(tmp_path))
    Run.create(tmp_path / "one", tiny_config, (1, 32, 32))
    Run.create(tmp_path / "study" / "two", tiny_config, (1, 32, 32))
    (tmp_path / ".trash").mkdir()
    assert run_roots()["runs/study"] == tmp_path / "study"
    own = [address for address, _ in all_runs() if address.startswith("runs")]
    assert own == ["runs/one", "runs/study/two"]
    assert find_run("runs/study/two").path == tmp_path / "study" / "two"


def test_a_half_deleted_run_is_listed(tmp_path: Path, tiny_config: RunConfig) -> None:
    run = Run.create(tmp_path / "half", tiny_config, (1, 32, 32))
    (run.path / "config.json").unlink()
    assert [found.state() for found in list_runs(tmp_path)] == [State.DAMAGED]


@pytest.mark.parametrize("address", ["runs/../x", "/etc", "runs/no", "", "checkpoints"])
def test_an_address_is_looked_up_and_never_followed(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DVAE_RUNS", str(tmp_path / "runs"))
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "config.json").write_text("{}")
    with pytest.raises(RunError, match="there is no run"):
        find_run(address)
