import json
from pathlib import Path

import pytest

from dvae_core.__main__ import main
from dvae_core.config import RunConfig
from dvae_core.runs.run import Run


@pytest.fixture
def run(tmp_path: Path, tiny_config: RunConfig, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("DVAE_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("DVAE_DATA", str(tmp_path / "data"))
    return Run.create(tmp_path / "runs" / "mine", tiny_config, (1, 32, 32))


def answer(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> object:
    assert main([*map(str, arguments), "--json"]) == 0
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def texts(listed: object) -> list[tuple[str, int, int | None, str, str]]:
    assert isinstance(listed, list)
    parts = ("run", "latent", "category", "name", "note")
    return [tuple(one[part] for part in parts) for one in listed]


def test_latents_are_named_listed_and_found(capsys: pytest.CaptureFixture[str], run: Run) -> None:
    answer(capsys, "name", run.path, "1", "wall hue", "--note", "turns orange")
    answer(capsys, "name", run.path, "1", "red", "--category", "3")
    both = [("runs/mine", 1, None, "wall hue", "turns orange"), ("runs/mine", 1, 3, "red", "")]
    assert texts(answer(capsys, "names")) == both
    assert texts(answer(capsys, "names", "--find", "ORANGE")) == both[:1]
    assert [row[0] for row in texts(answer(capsys, "names", run.path))] == [str(run.path)] * 2


def test_a_name_is_taken_back(capsys: pytest.CaptureFixture[str], run: Run) -> None:
    answer(capsys, "name", run.path, "0", "size")
    answer(capsys, "name", run.path, "0", "length")
    assert main(["name", str(run.path), "0", "--undo"]) == 0
    assert "latent 0 · size" in capsys.readouterr().out
    assert main(["name", str(run.path), "0", ""]) == 0
    assert answer(capsys, "names") == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["0"], "give a name, --note, or --undo alone"),
        (["0", "x", "--undo"], "give a name, --note, or --undo alone"),
        (["7", "x"], "there is no latent 7"),
        (["0", "x" * 10_000], "10,000 characters are too many"),
        (["0", "--undo"], "no earlier name"),
    ],
)
def test_a_wrong_argument_is_said_in_one_line(
    capsys: pytest.CaptureFixture[str], run: Run, arguments: list[str], message: str
) -> None:
    assert main(["name", str(run.path), *arguments]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1
