import json
import sys
from pathlib import Path

import psutil
import pytest

from dvae_core.system.sandbox import ChildDied, ask_child

PROGRAM = """
import json, sys, time
from dvae_core.system.sandbox import limit_computing, limit_memory

def main(seconds, memory_bytes):
    limit_computing(int(seconds))
    limit_memory(int(memory_bytes))
    request = json.loads(sys.stdin.read())
    if request["do"] == "compute":
        while True: pass
    if request["do"] == "take":
        held = bytearray(2 ** 31)
    if request["do"] == "chatter":
        print("no JSON")
    print(json.dumps({"modules": sorted(sys.modules), "asked": request}))
"""


@pytest.fixture(autouse=True)
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))


def test_a_request_is_answered_without_loading_the_library() -> None:
    answer = ask_child("program", {"do": "nothing", "text": "ä"}, 10, 2**30)
    assert answer["asked"] == {"do": "nothing", "text": "ä"}
    assert "torch" not in answer["modules"]
    assert json.dumps(answer)


@pytest.mark.parametrize(
    ("do", "complaint"),
    [
        pytest.param("compute", "more than 1 s of computing", marks=pytest.mark.skipif(
            sys.platform == "win32", reason="no such limit there")),
        ("take", "kills its reader"),
        ("chatter", "kills its reader"),
    ],
)  # fmt: skip
def test_a_child_that_takes_too_much_or_makes_no_sense_is_told_of(do: str, complaint: str) -> None:
    before = set(psutil.Process().children())  # other tests may have some
    with pytest.raises(ChildDied, match=complaint):
        ask_child("program", {"do": do}, 1, 2**30)
    assert set(psutil.Process().children()) <= before
