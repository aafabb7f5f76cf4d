"""What the files of a run claim is checked when they are read, also against each other."""

import json
import os
import shutil
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from dvae_core.config import RunConfig
from dvae_core.errors import CoreError, RunError
from dvae_core.evaluation.results import read_evaluation
from dvae_core.onnx.description import OnnxFile
from dvae_core.runs.catalog import list_runs, load_run, run_roots
from dvae_core.runs.names import latent_names
from dvae_core.runs.row_log import MAX_BYTES
from dvae_core.runs.run import Run
from dvae_core.runs.storage import write_record
from dvae_core.system.strict_json import parse_json


def edited(run: Run, file: str, /, **changes: Any) -> Run:
    """The run with some fields of a record replaced; `...` removes one."""
    path = run.path / file
    content = json.loads(path.read_text()) if path.is_file() else {}
    content = {key: value for key, value in (content | changes).items() if value is not ...}
    text = json.dumps(content).replace('"1e999"', "1e999").replace('"-1e999"', "-1e999")
    path.write_text(text)
    return Run(run.path)


@pytest.mark.parametrize(
    "changes",
    [
        {"image_shape": [400_000, 32, 32]},
        {"image_shape": [-1, 32, 32]},
        {"image_shape": [0, 32, 32]},
        {"image_shape": [2, 32, 32]},
        {"image_shape": [1, 64, 64]},
        {"image_shape": [1, 32, 64]},
        {"image_shape": [1, 10**30, 32]},
        {"image_shape": [1, 48, 48], "image_size": 48},
        {"dataset": ["circles"]},
        {"dataset": "a/../b"},
        {"dataset": "\ud800"},
        {"seed": 10**30},
        {"learning_rate": "1e999"},
        {"created_at": "0001-01-01T00:00:00"},
        {"created_at": "9999-12-31T23:59:59-14:00"},
        {"created_at": 1e300},
        {"torch_version": "x" * 1_000},
        {"\ud800": 1},
        {"steps": 3},
        {"cardinalities": [2] * 100_000},
    ],
)
def test_a_config_that_contradicts_itself_or_another_file_is_one_line(
    tiny_run: Run, changes: dict[str, Any]
) -> None:
    problem = edited(tiny_run, "config.json", **changes).problem()
    assert problem is not None
    assert "\n" not in problem
    assert len(problem) < 400
    problem.encode()


def test_a_date_without_zone_is_taken_as_utc(tiny_run: Run) -> None:
    run = edited(tiny_run, "config.json", created_at="2026-11-27T09:30:00")
    assert run.problem() is None
    assert run.record.created_at.isoformat() == "2026-11-27T09:30:00+00:00"


@pytest.mark.parametrize(
    "changes",
    [
        {"step": 10**30},
        {"step": 13},
        {"seconds": "1e999"},
        {"seconds": "-1e999"},
        {"seconds": 1e300},
        {"process": {"pid": 10**12, "birth": "x"}},
        {"message": ["a"]},
        {"message": "x" * 100_000},
    ],
)
def test_a_status_that_cannot_be_is_one_line(tiny_run: Run, changes: dict[str, Any]) -> None:
    problem = edited(tiny_run, "status.json", **changes).problem()
    assert problem is not None
    assert "\n" not in problem


def test_what_no_file_can_hold_is_escaped_and_can_be_written_again(tiny_run: Run) -> None:
    run = edited(tiny_run, "status.json", message="\ud83d\ude00 \ud800", device="\udfff")
    assert (run.status().message, run.status().device) == ("\U0001f600 \\ud800", "\\udfff")
    run.write_status(run.status())
    assert run.problem() is None
    # A message of an error that quotes a path that is no text.
    write_record(run.path / "status.json", run.status().model_copy(update={"message": "\udcff"}))
    assert run.status().message == "\\udcff"
    run.write_status(run.status().model_copy(update={"message": "x" * 100_000}))
    assert len(run.status().message) == 10_000
    edited(run, "notes.json", name="\ud800")
    assert run.read_notes().name == "\\ud800"


def test_what_would_change_the_text_beside_it_becomes_a_space(tiny_run: Run) -> None:
    text, kept = "a\u202eb\x1b[31m\r\nc\u2029d e\u200df", "a b [31m  c d e\u200df"
    run = edited(tiny_run, "status.json", message=text, device=text)
    assert (run.status().message, run.status().device) == (kept, kept)
    edited(run, "evaluation.json", scores=[score(estimator=text, reason=text)])
    (read,) = read_evaluation(run).scores
    assert (read.estimator, read.reason) == (kept, kept)
    file = OnnxFile(name=text, sha256="0" * 64, opset=18, one_at_a_time=False)
    assert file.name == kept


@pytest.mark.parametrize(
    "rows",
    [
        [{"step": 4}, {"step": 4}],
        [{"step": 8}, {"step": 4}],
        [{"step": -1}],
        [{"step": 1.5}],
        [{"step": 10**30}],
        [{"step": 1, "kl": "1e999"}],
        [{"step": 1, "kl": float("nan")}],
        [{"step": 1, "k\nl": 1.0}],
        [{"step": 1, "x" * 100: 1.0}],
        [{"step": i, f"name {i}": 1.0} for i in range(80)],
        [{"step": 1, **{f"name {i}": 1.0 for i in range(5_000)}}],
    ],
)
def test_odd_rows_are_one_line(tiny_run: Run, rows: list[dict[str, Any]]) -> None:
    lines = [json.dumps(row).replace('"1e999"', "1e999") + "\n" for row in rows]
    (tiny_run.path / "metrics.jsonl").write_text("".join(lines))
    with pytest.raises(RunError) as caught:
        tiny_run.metrics.read()
    assert "\n" not in str(caught.value)


def test_a_row_after_the_last_step_and_a_huge_log_are_problems(tiny_run: Run) -> None:
    path = tiny_run.path / "scores.jsonl"
    path.write_text('{"step": 0}\n{"step": 13, "mig": 0.5}\n')
    assert "row of step 13, but config.json says 12" in str(Run(tiny_run.path).problem())
    with open(path, "wb") as file:
        file.truncate(MAX_BYTES + 1)
    assert "more than 16 MB" in str(Run(tiny_run.path).problem())


def test_values_that_are_not_finite_are_left_out_of_a_row(tiny_run: Run) -> None:
    tiny_run.scores.append({"step": 1, "mig": float("nan"), "gap": 0.5})
    assert tiny_run.scores.read() == [{"step": 1, "gap": 0.5}]


def score(**changes: Any) -> dict[str, Any]:
    result = {"metric": "mig", "name": "mig", "protocol": "paper", "points": 9, "test_points": 0}
    result |= {"seed": 0, "step": 12, "estimator": "", "seconds": 0.1, "value": 0.5}
    return result | changes


def table(values: Any, name: str = "mutual_information", columns: Any = ()) -> dict[str, Any]:
    content = score(metric="mutual_information", name=name, values=values, columns=columns)
    del content["value"]
    return content


@pytest.mark.parametrize(
    "changes",
    [
        {"scores": [score(), score()]},
        {"scores": [score(value=1e300)]},
        {"scores": [score(value="1e999")]},
        {"scores": [score(step=10**30)]},
        {"scores": [score(note="x" * 10_000)]},
        {"scores": [1] * 200_000},
        {"tables": [table([])]},
        {"tables": [table([[]])]},
        {"tables": [table([[0.1, 0.2], [0.3]])]},
        {"tables": [table([[0.1], [0.2], [0.3]])]},
        {"tables": [table([[0.1], [0.2]], columns=["a", "b"])]},
        {"tables": [table([[0.1], [0.2]]), table([[1.0, 2.0]], "factor_entropy")]},
        {"tables": [table([[0.0] * 20_000] * 2)]},
        {"\ud800": 1},
    ],
)
def test_tables_of_scores_that_no_page_could_draw_are_one_line(
    tiny_run: Run, changes: dict[str, Any]
) -> None:
    edited(tiny_run, "evaluation.json", **changes)
    tracemalloc.start()
    try:
        with pytest.raises(RunError) as caught:
            read_evaluation(tiny_run)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400
    assert most < 64 * 2**20


@pytest.mark.parametrize(
    "content",
    [b"[" * 100_000, b'{"a":' * 200 + b"1" + b"}" * 200, b"9" * 5_000, b"-" + b"9" * 20, b"NaN"],
)
def test_json_beyond_the_bounds_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"^[^\n]+$"):
        parse_json(content)
    with pytest.raises(ValueError, match="values"):
        parse_json(b"[" + b"1," * 2_000_000 + b"1]")


Change = Callable[[dict[str, torch.Tensor]], object]


@pytest.mark.parametrize(
    "change",
    [
        lambda tensors: tensors.update({key: v.double() for key, v in tensors.items()}),
        lambda tensors: tensors.update(
            {key: v.to(torch.float8_e4m3fn) for key, v in tensors.items()}
        ),
        lambda tensors: tensors["latents.values"].neg_(),
        lambda tensors: tensors["latents.values"].fill_(0.5),
        lambda tensors: tensors["decoder.hidden.weight"].fill_(3e38),
        lambda tensors: [tensor.mul_(1e9) for tensor in tensors.values()],
        lambda tensors: tensors.update(more=torch.zeros(1)),
        lambda tensors: tensors.update({f"{i}": torch.zeros(0) for i in range(5_000)}),
    ],
    ids=range(8),
)
def test_weights_of_another_kind_or_far_too_large_are_one_line(
    tiny_run: Run, change: Change
) -> None:
    path = tiny_run.path / "model.safetensors"
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path)
    with pytest.raises(RunError) as caught:
        tiny_run.load_model()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "change",
    [
        lambda tensors: tensors.update(step=torch.tensor(13)),
        lambda tensors: tensors.update(step=torch.tensor(-1)),
        lambda tensors: tensors.update(seconds=torch.tensor(torch.nan)),
        lambda tensors: tensors.update({"generator/data": torch.zeros(2**17, dtype=torch.uint8)}),
        lambda tensors: tensors.update({f"{i}": torch.zeros(0) for i in range(5_000)}),
        lambda tensors: tensors.pop("model/decoder.hidden.weight"),
        lambda tensors: tensors["adam/model/decoder.hidden.weight/exp_avg"].fill_(torch.inf),
        lambda tensors: tensors.update({"sum/loss": torch.zeros((), dtype=torch.float8_e5m2)}),
    ],
    ids=range(8),
)
def test_a_trainer_state_of_another_model_is_one_line(tiny_run: Run, change: Change) -> None:
    tiny_run.check_trainer_state()
    path = tiny_run.path / "trainer.safetensors"
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path)
    with pytest.raises(RunError) as caught:
        tiny_run.check_trainer_state()
    assert "\n" not in str(caught.value)


def test_a_folder_or_a_file_that_may_not_be_read_hides_no_other_run(
    own_folders: Path, tiny_run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = own_folders / "runs"
    for name in ("open", "locked"):
        shutil.copytree(tiny_run.path, runs / name)
    (runs / "folder").mkdir()
    listed, read = os.listdir, Path.read_bytes

    def listdir(path: Path | str = ".") -> list[str]:
        if Path(path).name == "folder":
            raise PermissionError(13, "Permission denied", str(path))
        return listed(path)

    def read_bytes(path: Path) -> bytes:
        if path == runs / "locked" / "config.json":
            raise PermissionError(13, "Permission denied", str(path))
        return read(path)

    monkeypatch.setattr("os.listdir", listdir)
    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    assert list_runs(run_roots()["runs/folder"]) == []
    assert {run.id: run.problem() for run in list_runs(runs)} == {
        "locked": f"{runs / 'locked' / 'config.json'} cannot be read: Permission denied",
        "open": None,
    }
    with pytest.raises(CoreError, match="Permission denied"):
        load_run("runs/locked")
    assert latent_names(Run(runs / "open")).entries == ()


def test_a_log_is_planned_so_that_every_page_can_read_it(tiny_run: Run) -> None:
    settings = {"steps": 300_000, "log_every": 1}
    with pytest.raises(CoreError, match="use at least 8"):
        RunConfig(**settings)
    # A run of an earlier version stays readable.
    run = edited(tiny_run, "config.json", **settings)
    edited(run, "status.json", state="stopped", steps=300_000)
    assert Run(run.path).problem() is None
