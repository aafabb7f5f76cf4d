import io
import json
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from dvae_core.config import RunConfig
from dvae_core.data import load_dataset
from dvae_core.errors import RunError
from dvae_core.evaluation.protocol import evaluate
from dvae_core.evaluation.results import EvaluationSettings
from dvae_core.exchange.archive import export_run, import_run
from dvae_core.runs.files import TRAINER_STATE
from dvae_core.runs.names import NO_NAMES, latent_names, name_latent
from dvae_core.runs.run import Run, State, Status
from dvae_core.system.processes import ProcessIdentity
from dvae_core.training.trainer import train
from tests.stopping import stop_after

Change = Callable[[dict[str, bytes]], None]


def unpacked(archive: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(archive)) as content:
        return {member.filename: content.read(member) for member in content.infolist()}


def packed(files: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", compression) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return content.getvalue()


def refused(archive: bytes | Path, folder: Path, message: str) -> None:
    """It is refused in one line, and nothing is left of it."""
    folder.mkdir(exist_ok=True)
    before = sorted(folder.rglob("*"))
    with pytest.raises(RunError, match=message) as caught:
        import_run(archive, folder)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500
    assert sorted(folder.rglob("*")) == before


def test_a_run_travels_whole(tmp_path: Path, tiny_config: RunConfig) -> None:
    settings = {"objective": "factor", "snapshot_every": 6, "steps": 24}
    config = RunConfig(**(tiny_config.model_dump() | settings))
    run = Run.create(tmp_path / "here" / "whole", config, (1, 32, 32))
    train(run, should_stop=stop_after(12))
    run.write_notes("The first", "It learns slowly.")
    name_latent(run, 1, "height", note="of the disc")
    evaluation = evaluate(
        run, load_dataset("circles", 32), "paper", ("mig",), EvaluationSettings(points=200)
    )
    run.write_evaluation(evaluation.model_dump(mode="json"))
    archive = export_run(run)
    assert archive == export_run(run)

    there = import_run(archive, tmp_path / "there")
    assert (there.id, there.state(), there.status().step) == ("whole", State.STOPPED, 12)
    assert there.read_notes().name == "The first"
    assert latent_names(there) == latent_names(run) != NO_NAMES
    assert there.read_evaluation() == run.read_evaluation()
    assert there.metrics.read() == run.metrics.read()
    assert there.snapshot_steps() == run.snapshot_steps() != []
    # It goes on there as it would have here.
    train(run)
    train(there)
    weights = there.load_model().state_dict()
    for key, weight in run.load_model().state_dict().items():
        assert torch.equal(weight, weights[key])


def test_a_run_is_exported_while_it_trains(
    tmp_path: Path, tiny_config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"steps": 40, "log_every": 5, "snapshot_every": 5}
    config = RunConfig(**(tiny_config.model_dump() | settings))
    run = Run.create(tmp_path / "here" / "busy", config, (1, 32, 32))
    train(run, should_stop=stop_after(10))
    read = Path.read_bytes

    def read_and_train_on(path: Path) -> bytes:
        content = read(path)
        if path.name == TRAINER_STATE:
            monkeypatch.setattr(Path, "read_bytes", read)
            train(run, should_stop=stop_after(19))
            run.remove_snapshots([run.snapshot_steps()[0]])
        return content

    monkeypatch.setattr(Path, "read_bytes", read_and_train_on)
    there = import_run(export_run(run), tmp_path / "there")
    train(there)
    assert [row["step"] for row in there.metrics.read()] == list(range(5, 41, 5))


def test_a_run_without_its_trainer_is_smaller_and_explored_all_the_same(
    tmp_path: Path, tiny_run: Run
) -> None:
    small = export_run(tiny_run, resumable=False)
    assert len(small) < len(export_run(tiny_run)) / 2
    there = import_run(small, tmp_path / "there")
    assert there.state() is State.FINISHED
    assert not there.has_trainer_state
    assert there.load_model() is not None


def test_names_in_the_folder_of_the_user_travel_too(
    tmp_path: Path, tiny_run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DVAE_DATA", str(tmp_path / "data"))
    monkeypatch.setattr("dvae_core.runs.catalog.SHIPPED_ROOT", tmp_path)
    names = name_latent(tiny_run, 1, "height")
    archive = export_run(tiny_run)
    monkeypatch.undo()
    there = import_run(archive, tmp_path / "there")
    assert latent_names(there) == names
    assert (there.path / "names.json").is_file()


def test_what_belongs_to_a_machine_stays_there(tiny_run: Run) -> None:
    (tiny_run.path / "jobs").mkdir(exist_ok=True)
    (tiny_run.path / "jobs" / "resume.log").write_text("secret")
    (tiny_run.path / "diary.txt").write_text("secret")
    names = set(unpacked(export_run(tiny_run)))
    assert names <= {
        f"tiny/{name}"
        for name in (
            *("config.json", "status.json", "metrics.jsonl"),
            *("model.safetensors", "trainer.safetensors"),
        )
    }


@pytest.mark.parametrize("state", [State.RUNNING, State.QUEUED])
def test_a_run_at_work_elsewhere_is_stopped_here(
    tmp_path: Path, tiny_config: RunConfig, state: State
) -> None:
    run = Run.create(tmp_path / "here" / "busy", tiny_config, (1, 32, 32))
    run.write_status(Status(state=state, step=4, steps=12, process=ProcessIdentity.current()))
    status = import_run(export_run(run), tmp_path / "there").status()
    assert (status.state, status.step, status.process) == (State.STOPPED, 4, None)


def test_a_name_that_is_taken_gets_a_number(tmp_path: Path, tiny_run: Run) -> None:
    archive = export_run(tiny_run)
    before = (tiny_run.path / "status.json").read_bytes()
    assert [import_run(archive, tmp_path).id for _ in range(2)] == ["tiny-2", "tiny-3"]
    assert (tiny_run.path / "status.json").read_bytes() == before
    long = "a" * 64
    assert import_run(archive, tmp_path, long).id == long
    assert import_run(archive, tmp_path, long).id == "a" * 62 + "-2"
    with pytest.raises(RunError, match="cannot name a run"):
        import_run(archive, tmp_path, "../x")


def test_an_archive_is_read_from_a_file_and_with_or_without_a_folder_in_it(
    tmp_path: Path, tiny_run: Run
) -> None:
    files = unpacked(export_run(tiny_run))
    flat = {name.partition("/")[2]: data for name, data in files.items()}
    path = tmp_path / "run.zip"
    path.write_bytes(packed(flat))
    assert import_run(path, tmp_path / "there").id == "imported"
    foreign = {f"My run (2)/{name}": data for name, data in flat.items()}
    assert import_run(packed(foreign), tmp_path / "there").id == "imported-2"
    refused(tmp_path / "none.zip", tmp_path / "there", "does not exist")
    refused(tmp_path, tmp_path / "there", "not a regular file")


def test_a_damaged_run_is_not_exported(tiny_run: Run) -> None:
    (tiny_run.path / "model.safetensors").unlink()
    with pytest.raises(RunError, match=r"model\.safetensors is missing"):
        export_run(tiny_run)


@pytest.mark.parametrize(
    "name",
    [
        *("../evil.json", "tiny/../../evil.json", "/etc/evil", "tiny/.ssh/keys", "tiny/a.py"),
        *("tiny/config.json/x", "tiny/snapshots/../model.safetensors", "C:\\evil", "tiny\\x"),
        *("tiny/snapshots/1.safetensors", "tiny/jobs/resume.json", "other/config.json", "tiny/"),
    ],
)
def test_only_files_of_a_run_are_unpacked(tmp_path: Path, tiny_run: Run, name: str) -> None:
    files = unpacked(export_run(tiny_run)) | {name: b"{}"}
    if name.endswith("/"):  # a folder by itself does no harm
        assert import_run(packed(files), tmp_path / "there").id == "tiny"
    else:
        refused(packed(files), tmp_path / "there", "which is not a file of a run")
        assert not (tmp_path / "evil.json").exists()


@pytest.mark.parametrize("name", ["../config.json", "/config.json", "./config.json"])
def test_a_folder_that_is_none_is_refused(tmp_path: Path, tiny_run: Run, name: str) -> None:
    files = {
        name.replace("config.json", member.partition("/")[2]): data
        for member, data in unpacked(export_run(tiny_run)).items()
    }
    refused(packed(files), tmp_path / "there", "which is not a file of a run")


def test_links_are_refused(tmp_path: Path, tiny_run: Run) -> None:
    for kind in (stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR):
        content = io.BytesIO(export_run(tiny_run))
        with zipfile.ZipFile(content, "a") as archive:
            link = zipfile.ZipInfo("tiny/notes.json")
            link.external_attr = (kind | 0o777) << 16
            archive.writestr(link, "/etc/passwd")
        refused(content.getvalue(), tmp_path / "there", "as a link or a device")


def test_a_bomb_is_refused_before_it_goes_off(
    tmp_path: Path, tiny_run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = unpacked(export_run(tiny_run))
    bomb = files | {"tiny/model.safetensors": b"\n" * 100 * 2**20}
    refused(packed(bomb, zipfile.ZIP_DEFLATED), tmp_path / "there", "times its size")
    large = files | {"tiny/notes.json": b" " * (16 * 2**20 + 1)}
    refused(packed(large), tmp_path / "there", "has 16,777,217 bytes")
    monkeypatch.setattr("dvae_core.exchange.archive.MAX_BYTES", 1000)
    refused(packed(files), tmp_path / "there", "unpacks to more than")


def test_a_size_that_is_a_lie_is_found_out(tmp_path: Path, tiny_run: Run) -> None:
    """The directory says a kilobyte; what is packed is a hundred times that."""
    files = unpacked(export_run(tiny_run)) | {"tiny/notes.json": b" " * 100_000}
    archive = bytearray(packed(files, zipfile.ZIP_DEFLATED))
    said = (100_000).to_bytes(4, "little")
    assert archive.count(said) == 2  # before the file, and in the directory
    refused(
        bytes(archive.replace(said, (1000).to_bytes(4, "little"))),
        tmp_path / "there",
        "is larger than stated|not a complete zip file",
    )


def test_a_directory_of_countless_files_is_not_even_read(tmp_path: Path, tiny_run: Run) -> None:
    files = {f"snapshots/{number:08d}.safetensors": b"" for number in range(20_000)}
    refused(packed(files), tmp_path / "there", "lists more files than a run has")
    few = dict(list(files.items())[:101]) | {"config.json": b"{}"}
    refused(packed(few), tmp_path / "there", "more than 100 snapshots")


def test_what_is_packed_twice_or_strangely_is_refused(tmp_path: Path, tiny_run: Run) -> None:
    content = io.BytesIO(export_run(tiny_run))
    with zipfile.ZipFile(content, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("tiny/config.json", "{}")
    refused(content.getvalue(), tmp_path / "there", "holds 'config.json' twice")
    files = unpacked(export_run(tiny_run))
    refused(packed(files, zipfile.ZIP_LZMA), tmp_path / "there", "unsupported compression")
    locked = bytearray(packed({"config.json": b"{}"}))
    locked[locked.find(b"PK\1\2") + 8] |= 1  # encrypted, says the directory
    refused(bytes(locked), tmp_path / "there", "is encrypted")
    nameless = packed(files | {"tiny/no-name": b""}).replace(b"tiny/no-name", b"\0iny/no-name")
    refused(nameless, tmp_path / "there", "is not a file of a run")


@pytest.mark.parametrize(
    "archive",
    [b"", b"PK", b"PK\5\6", b"not a zip file " * 100, packed({}), packed({"status.json": b"{}"})],
)
def test_what_is_no_archive_of_a_run_is_refused(tmp_path: Path, archive: bytes) -> None:
    refused(archive, tmp_path / "there", "zip file|holds no config")


def test_half_an_archive_and_flipped_bits_are_refused(tmp_path: Path, tiny_run: Run) -> None:
    archive = export_run(tiny_run)
    refused(archive[: len(archive) // 2], tmp_path / "there", "not a zip file")
    weights = (tiny_run.path / "model.safetensors").read_bytes()
    start = archive.index(weights)
    for position in (start, start + 100, start + len(weights) // 2, start + len(weights) - 1):
        changed = bytearray(archive)
        changed[position] ^= 255
        refused(bytes(changed), tmp_path / "there", "not a complete zip file")


def rewritten(data: bytes, change: Callable[[dict[str, torch.Tensor]], None], path: Path) -> bytes:
    path.write_bytes(data)
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path)
    return path.read_bytes()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("config.json", b"{", "config.json is not valid JSON"),
        ("config.json", b'{"image_shape": [1, 32, 32], "steps": -1}', "steps is -1"),
        (
            "status.json",
            b'{"state": "lost", "steps": 12}',
            "has the state lost",
        ),
        ("status.json", b'{"state": "finished", "step": 3, "steps": 12}', "finished at step 3"),
        ("status.json", b'{"state": "running", "step": 99, "steps": 12}', "says step 99"),
        ("status.json", None, "status.json is missing"),
        ("model.safetensors", None, "model.safetensors is missing"),
        ("model.safetensors", b"\x80\x04", "damaged or of another run"),
        ("trainer.safetensors", b"\x80\x04", "damaged or of another run"),
        ("metrics.jsonl", b'{"step": 4}\nx\n{"step": 8}\n', "not JSON"),
        ("evaluation.json", b'{"scores": 1}', "evaluation.json: scores"),
        ("notes.json", b'{"name": "\\u0000"}', "control characters are not allowed"),
        (
            "names.json",
            b'{"entries": [{"latent": 0}]}',
            "names.json: entries.0.written_at is missing",
        ),
        ("snapshots/00000004.safetensors", b"x", "damaged or of another run"),
    ],
)
def test_a_run_that_is_damaged_is_refused(
    tmp_path: Path, tiny_run: Run, name: str, content: bytes | None, message: str
) -> None:
    files = unpacked(export_run(tiny_run))
    if content is None:
        del files[f"tiny/{name}"]
    else:
        files[f"tiny/{name}"] = content
    refused(packed(files), tmp_path / "there", f"the run in the archive is damaged: .*{message}")


@pytest.mark.parametrize("name", ["model.safetensors", "trainer.safetensors"])
def test_weights_that_are_not_finite_are_refused(tmp_path: Path, tiny_run: Run, name: str) -> None:
    files = unpacked(export_run(tiny_run))

    def spoil(tensors: dict[str, torch.Tensor]) -> None:
        floating = next(tensor for tensor in tensors.values() if tensor.is_floating_point())
        floating.view(-1)[0] = float("inf")

    files[f"tiny/{name}"] = rewritten(files[f"tiny/{name}"], spoil, tmp_path / "w")
    refused(packed(files), tmp_path / "there", "not finite")


def test_the_error_names_no_folder_of_the_draft(tmp_path: Path, tiny_run: Run) -> None:
    files = unpacked(export_run(tiny_run)) | {"tiny/config.json": json.dumps([]).encode()}
    with pytest.raises(RunError) as caught:
        import_run(packed(files), tmp_path / "there")
    assert ".new-" not in str(caught.value)
    assert str(tmp_path) not in str(caught.value)
