import json
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from dvae_core.system import sandbox
from dvae_core.system.sandbox import Refused, SandboxError, SandboxProcess

PROGRAM = """
import sys, time
from dvae_core.errors import DataError

held = []

def echo(**asked):
    return {"modules": sorted(sys.modules), "asked": asked}, b"raw"

def compute():
    while True: pass

def take():
    held.append(bytearray(2 ** 31))

def chatter():
    print("no JSON")
    return {}, b""

def announce_too_much():
    print('{"kind": "answer", "content": {}, "bytes": -1}')
    return {}, b""

def refuse():
    raise DataError("it is odd")

def stumble():
    raise RecursionError

def sleep():
    time.sleep(60)

def keep(value):
    held.append(value)
    return {}, b""

def kept():
    return {"held": held}, b""
"""


@pytest.fixture(autouse=True, params=["", "1"], ids=["buffered", "unbuffered"])
def program(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    monkeypatch.setenv("PYTHONUNBUFFERED", request.param)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))


@pytest.fixture
def child() -> Iterator[SandboxProcess]:
    before = set(psutil.Process().children())  # other tests may have some
    with SandboxProcess(2**30) as process:
        yield process
    assert set(psutil.Process().children()) <= before


def test_a_request_is_answered_without_loading_the_library(child: SandboxProcess) -> None:
    answer, data = child.ask("program:echo", {"do": "nothing", "text": "ä"}, 10)
    assert answer["asked"] == {"do": "nothing", "text": "ä"}
    assert data == b"raw"
    assert not {"torch", "pydantic"} & set(answer["modules"])
    assert json.dumps(answer)


@pytest.mark.parametrize(
    ("do", "complaint"),
    [
        pytest.param("compute", "more than 1 s of computing", marks=pytest.mark.skipif(
            sys.platform == "win32", reason="no such limit there")),
        ("take", "more than 1024 MB of memory"),
        ("chatter", "kills its reader"),
        ("announce_too_much", "kills its reader"),
        ("stumble", "it is damaged"),
    ],
)  # fmt: skip
def test_a_child_that_takes_too_much_or_makes_no_sense_is_told_of(
    child: SandboxProcess, do: str, complaint: str
) -> None:
    with pytest.raises(SandboxError, match=complaint):
        child.ask(f"program:{do}", {}, 1)
    assert child.ask("program:echo", {}, 1)[0]["asked"] == {}


def test_a_refusal_of_the_operation_is_told_apart(child: SandboxProcess) -> None:
    with pytest.raises(Refused, match="it is odd"):
        child.ask("program:refuse", {}, 1)


def test_a_child_that_waits_too_long_is_ended(
    child: SandboxProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandbox, "_PATIENCE", 1.0)
    with pytest.raises(SandboxError, match="more than 2 s to read"):
        child.ask("program:sleep", {}, 1)


def test_what_a_request_leaves_is_there_for_the_next(child: SandboxProcess) -> None:
    child.ask("program:keep", {"value": 3}, 1)
    assert child.ask("program:kept", {}, 1, continues=True)[0] == {"held": [3]}


def test_a_child_that_died_is_replaced_but_not_for_what_it_held(child: SandboxProcess) -> None:
    before = set(psutil.Process().children())

    def die() -> None:
        child.ask("program:keep", {"value": 3}, 1)
        (process,) = set(psutil.Process().children()) - before
        process.kill()
        process.wait(10)

    die()
    with pytest.raises(SandboxError, match="kills its reader"):
        child.ask("program:kept", {}, 1, continues=True)
    die()
    assert child.ask("program:kept", {}, 1)[0] == {"held": []}


@pytest.mark.parametrize("name", ["program", "json"])
def test_libraries_are_not_taken_from_the_working_directory(
    name: str, child: SandboxProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "strangers"
    folder.mkdir()
    (folder / f"{name}.py").write_text(f"open({str(tmp_path / 'marker')!r}, 'w')")
    monkeypatch.chdir(folder)
    child.ask("program:echo", {}, 1)
    assert not (tmp_path / "marker").exists()
