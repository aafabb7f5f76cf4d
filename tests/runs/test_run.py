import json
import os
import subprocess
import sys
from pathlib import Path
from shutil import copytree

import pytest
import torch
from safetensors.torch import load_file, save_file

from dvae_core.config import RunConfig
from dvae_core.errors import ConfigError, RunError
from dvae_core.runs.catalog import all_runs, list_runs, load_run, run_roots, usable_runs
from dvae_core.runs.files import WEIGHTS
from dvae_core.runs.run import Run, State, Status, check_run_id
from dvae_core.runs.storage import write_tensors
from dvae_core.system.processes import ProcessIdentity


def test_a_new_run_is_stopped_at_its_start_and_knows_its_config(
    tmp_path: Path, tiny_config: RunConfig
) -> None:
    run = Run.create(tmp_path / "new", tiny_config, (1, 32, 32))
    assert (run.state(), run.status().step) == (State.STOPPED, 0)
    assert run.record.image_shape == (1, 32, 32)
    assert RunConfig(**run.record.model_dump(include=set(RunConfig.model_fields))) == tiny_config
    assert [path.name for path in tmp_path.iterdir()] == ["new"]


def test_a_folder_is_not_overwritten(tmp_path: Path, tiny_config: RunConfig) -> None:
    Run.create(tmp_path / "new", tiny_config, (1, 32, 32))
    with pytest.raises(RunError, match="already exists: choose another folder"):
        Run.create(tmp_path / "new", tiny_config, (1, 32, 32))
    assert [path.name for path in tmp_path.iterdir()] == ["new"]


def test_a_run_within_a_run_is_refused(tiny_run: Run, tiny_config: RunConfig) -> None:
    for nested in (tiny_run.path / "nested", tiny_run.path / "sweep" / "nested"):
        with pytest.raises(RunError, match=r"is within the run .*: choose a folder outside of it"):
            Run.create(nested, tiny_config, (1, 32, 32))
        assert not nested.parent.exists() or nested.parent == tiny_run.path


@pytest.mark.parametrize(
    "name", ["..", "a/b", "", "-a", "A", "a b", "ä", "a" * 65, "a\n", ".hidden"]
)
def test_names_that_could_leave_the_folder_are_refused(name: str) -> None:
    with pytest.raises(RunError, match="cannot name a run"):
        check_run_id(name)


def test_weights_come_back_as_they_were_saved(tiny_run: Run) -> None:
    model = tiny_run.load_model()
    tiny_run.save_model(model, tiny_run.weights_step())
    again = tiny_run.load_model()
    for key, tensor in model.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[key])
    assert not model.training
    assert not any(parameter.requires_grad for parameter in model.parameters())


def test_weights_say_their_own_step(tiny_run: Run) -> None:
    finished_at = tiny_run.status().step
    tiny_run.write_status(tiny_run.status().model_copy(update={"step": finished_at + 7}))
    assert tiny_run.weights_step() == finished_at  # older than the last row of the log
    model, step = tiny_run.load_model_and_step()
    assert step == finished_at

    write_tensors(tiny_run.path / WEIGHTS, model.state_dict(), {"step": "soon"})
    assert tiny_run.weights_step() == finished_at + 7  # as of weights from before, which do not say


def test_half_precision_weights_are_read(tiny_run: Run) -> None:
    path = tiny_run.path / "model.safetensors"
    save_file({key: tensor.half() for key, tensor in load_file(path).items()}, path)
    assert tiny_run.load_model().get_parameter("encoder.head.weight").dtype == torch.float32


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
        ({"num_latents": 10_000}, "num_latents is 10000: give a number of at most 64"),
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
    with pytest.raises(RunError, match="damaged or of another run"):
        tiny_run.load_model()


def test_a_pickle_is_no_weights(tiny_run: Run) -> None:
    torch.save({"a": torch.zeros(1)}, tiny_run.path / "model.safetensors")
    with pytest.raises(RunError, match="damaged or of another run"):
        tiny_run.load_model()


def test_weights_of_another_shape_are_refused(tiny_run: Run) -> None:
    rewrite_weights(tiny_run, **{"encoder.head.bias": torch.zeros(3)})
    with pytest.raises(RunError, match=r"encoder.head.bias has shape \(3,\), but .* \(10,\)"):
        tiny_run.load_model()


def test_weights_of_another_type_are_refused(tiny_run: Run) -> None:
    rewrite_weights(tiny_run, **{"encoder.head.bias": torch.zeros(10, dtype=torch.int64)})
    with pytest.raises(RunError, match="has type I64"):
        tiny_run.load_model()


def test_a_missing_or_foreign_tensor_is_named(tiny_run: Run) -> None:
    rewrite_weights(tiny_run, **{"encoder.head.bias": None})
    with pytest.raises(RunError, match=r"encoder\.head\.bias is missing"):
        tiny_run.load_model()
    rewrite_weights(tiny_run, **{"encoder.head.bias": torch.zeros(10), "z": torch.zeros(1)})
    with pytest.raises(RunError, match="tensor z is unexpected"):
        tiny_run.load_model()


def test_weights_that_are_not_finite_are_refused(tiny_run: Run) -> None:
    rewrite_weights(tiny_run, **{"encoder.head.bias": torch.full((10,), float("nan"))})
    with pytest.raises(RunError, match=r"encoder\.head\.bias holds numbers that are not finite"):
        tiny_run.load_model()


def running(process: ProcessIdentity | None) -> Status:
    return Status(state=State.RUNNING, steps=12, process=process)


def test_a_running_process_is_running(tiny_run: Run) -> None:
    tiny_run.write_status(running(ProcessIdentity.current()))
    assert tiny_run.state() is State.RUNNING
    tiny_run.check_not_trained_elsewhere()


def test_a_dead_process_is_lost(tiny_run: Run) -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    tiny_run.write_status(running(ProcessIdentity.of(process.pid)))
    assert tiny_run.state() is State.RUNNING
    with pytest.raises(RunError, match=f"is being trained by process {process.pid}"):
        tiny_run.check_not_trained_elsewhere()
    process.communicate(b"\n")
    assert tiny_run.state() is State.LOST
    tiny_run.check_not_trained_elsewhere()


def test_a_process_of_another_boot_and_none_at_all_are_lost(tiny_run: Run) -> None:
    for process in (ProcessIdentity(pid=os.getpid(), birth="another boot/1"), None):
        tiny_run.write_status(running(process))
        assert tiny_run.state() is State.LOST


def test_a_status_of_another_version_still_says_how_far_the_run_is(tiny_run: Run) -> None:
    path = tiny_run.path / "status.json"
    content = json.loads(path.read_text())
    del content["process"]
    former = content | {"state": "running", "pid": os.getpid(), "process_started_at": 1.0}
    path.write_text(json.dumps(former))
    assert (tiny_run.status().step, tiny_run.state()) == (12, State.LOST)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"step": 13}, "says step 13, but config.json says 12 steps"),
        ({"step": 11}, "says finished at step 11, but config.json says 12 steps"),
        ({"step": -1}, "step is -1"),
        ({"steps": "many"}, "steps is 'many'"),
        ({"state": "asleep"}, "state is 'asleep'"),
        ({"process": 5}, "process is 5"),
        ({"process": {"pid": 0, "birth": ""}}, "process.pid is 0"),
    ],
)
def test_a_status_that_cannot_be_is_damage(
    tiny_run: Run, change: dict[str, object], message: str
) -> None:
    path = tiny_run.path / "status.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    assert tiny_run.state() is State.DAMAGED
    assert message in str(tiny_run.problem())


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("metrics.jsonl", "x\n"),
        ("metrics.jsonl", '{"step": 4}\n{"step": "five"}\n'),
        ("metrics.jsonl", '{"loss": 4}\n{"step": 8}\n'),
        ("scores.jsonl", '{"step": 4}\n' * 1000 + "\0\0\n"),
        ("notes.json", '{"name": 5}'),
        ("notes.json", '{"colour": "red"}'),
    ],
)
def test_a_file_that_someone_edited_is_named(tiny_run: Run, name: str, content: str) -> None:
    (tiny_run.path / name).write_text(content)
    assert tiny_run.state() is State.DAMAGED
    assert name in str(tiny_run.problem())
    assert "\n" not in str(tiny_run.problem())


def test_a_row_cut_off_by_a_power_failure_is_no_damage(tiny_run: Run) -> None:
    with open(tiny_run.path / "metrics.jsonl", "a") as file:
        file.write('{"step": 1\0\0\0')
    assert tiny_run.problem() is None


def test_notes_come_back_as_they_were_written(tiny_run: Run) -> None:
    assert (tiny_run.read_notes().name, tiny_run.read_notes().notes) == ("", "")
    tiny_run.write_notes("  Größe über Form ", "One line.\n\tAnother: <b>, 日本, 🙂")
    notes = tiny_run.read_notes()
    assert (notes.name, notes.notes) == ("Größe über Form", "One line.\n\tAnother: <b>, 日本, 🙂")
    assert tiny_run.state() is State.FINISHED


@pytest.mark.parametrize(
    ("name", "notes", "message"),
    [
        ("a" * 81, "", "at most 80 characters"),
        ("", "a" * 10_001, "at most 10000 characters"),
        ("two\nlines", "", "control characters are not allowed"),
        ("", "\x1b[31mred", "control characters are not allowed"),
        ("", "half \ud800", "unable to parse raw data as a unicode string"),
    ],
)
def test_notes_that_are_none_are_refused_and_the_old_ones_kept(
    tiny_run: Run, name: str, notes: str, message: str
) -> None:
    tiny_run.write_notes("before", "")
    with pytest.raises(ConfigError, match=message):
        tiny_run.write_notes(name, notes)
    assert tiny_run.read_notes().name == "before"


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
    assert load_run("runs/study/two").path == tmp_path / "study" / "two"


def test_a_half_deleted_run_is_listed(tmp_path: Path, tiny_config: RunConfig) -> None:
    run = Run.create(tmp_path / "half", tiny_config, (1, 32, 32))
    (run.path / "config.json").unlink()
    assert [found.state() for found in list_runs(tmp_path)] == [State.DAMAGED]


def test_runs_without_a_model_or_with_a_damaged_file_are_not_usable(
    tiny_run: Run, tiny_config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tiny_run.path.parent
    monkeypatch.setenv("DVAE_RUNS", str(folder))
    Run.create(folder / "untrained", tiny_config, (1, 32, 32))
    copytree(tiny_run.path, folder / "damaged")
    (folder / "damaged" / "notes.json").write_text("[]")
    own = {address: run.path for address, run in usable_runs() if address.startswith("runs/")}
    assert own == {"runs/tiny": tiny_run.path}


@pytest.mark.parametrize("address", ["runs/../x", "/etc", "runs/no", "", "checkpoints"])
def test_an_address_is_looked_up_and_never_followed(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DVAE_RUNS", str(tmp_path / "runs"))
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "config.json").write_text("{}")
    with pytest.raises(RunError, match="there is no run"):
        load_run(address)


def test_a_run_is_loaded_by_its_address_or_by_its_folder(
    tmp_path: Path, tiny_config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DVAE_RUNS", str(tmp_path / "own"))
    monkeypatch.chdir(tmp_path)
    Run.create(tmp_path / "own" / "one", tiny_config, (1, 32, 32))
    Run.create(tmp_path / "elsewhere", tiny_config, (1, 32, 32))
    assert load_run("runs/one").path == tmp_path / "own" / "one"
    assert load_run("elsewhere").record.steps == tiny_config.steps
    assert load_run(tmp_path / "elsewhere").id == "elsewhere"


def test_an_address_goes_before_a_folder_of_that_name_but_a_path_is_a_folder(
    tmp_path: Path, tiny_config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    here = Path("checkpoints") / "circles-categorical"
    Run.create(tmp_path / here, tiny_config, (1, 32, 32))
    assert load_run(str(here)).record.num_categories == 16
    assert load_run(here).record.num_categories == 5


@pytest.mark.parametrize("place", ["", "no", "checkpoints/no", "checkpoints", Path("no")])
def test_where_no_run_is_none_is_loaded(
    place: str | Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RunError, match=r"there is no run .*: give its folder"):
        load_run(place)


def test_a_damaged_run_is_not_loaded(tmp_path: Path, tiny_config: RunConfig) -> None:
    run = Run.create(tmp_path / "half", tiny_config, (1, 32, 32))
    (run.path / "config.json").write_text("{")
    with pytest.raises(RunError, match=r"config\.json"):
        load_run(run.path)


def test_runs_are_in_the_order_of_the_numbers_in_their_names(
    tmp_path: Path, tiny_config: RunConfig
) -> None:
    names = ["9", "k-2_seed-2", "k-2_seed-10", "k-16", "k-128", "rate-0p0005", "rate-0p001", "run"]
    for name in reversed(names):
        Run.create(tmp_path / name, tiny_config, (1, 32, 32))
    assert [run.id for run in list_runs(tmp_path)] == names
