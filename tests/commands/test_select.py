import csv
import json
from pathlib import Path

import pytest

from dvae_core.__main__ import main
from dvae_core.config import RunConfig
from dvae_core.selection.study import GAP, RECONSTRUCTION_GAP
from tests.selection.planted import changed, planted_run


@pytest.fixture
def folder(tmp_path: Path, tiny_config: RunConfig) -> Path:
    """Nine runs whose MIG falls as the gap rises, and a damaged one."""
    folder = tmp_path / "study"
    for seed in range(9):
        scores = {"mig": 0.9 - seed / 10, GAP: 1.0 + seed, RECONSTRUCTION_GAP: 9.0 - seed}
        planted_run(folder / f"run-{seed}", changed(tiny_config, seed=seed), scores)
    planted_run(folder / "broken", tiny_config, {})
    (folder / "broken" / "status.json").write_text("{")
    return folder


def test_the_last_line_says_what_the_gap_tells(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["select", str(folder), "--json"]) == 0
    out = capsys.readouterr().out
    found = json.loads(out.splitlines()[-1])
    assert len(found["runs"]) == 10
    assert found["group_by"] == ["dataset", "latents", "objective"]
    (rho,) = found["correlations"]
    assert (rho["score"], rho["runs"]) == ("MIG", 9)
    assert (rho["rho"], rho["low"], rho["high"]) == pytest.approx((-1, -1, -1))
    (pick,) = found["picks"]
    assert (pick["picked run"], pick["best run"], pick["regret"]) == ("run-0", "run-0", 0)
    assert "left out of the statistics: broken: " in out


def test_the_other_gap_and_other_groups_are_asked_for(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["--gap", "reconstruction", "--group-by", "latents", "--json"]
    assert main(["select", str(folder), *asked]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found["correlations"][0]["group"] == "categorical"
    assert found["correlations"][0]["rho"] == pytest.approx(1)
    assert found["picks"][0]["picked run"] == "run-8"


def test_tables_are_written_as_csv_and_latex(folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "tables"
    assert main(["select", str(folder), "--output", str(output)]) == 0
    assert sorted(path.name for path in output.iterdir()) == [
        f"{name}.{suffix}"
        for name in ("correlations", "picks", "runs")
        for suffix in ("csv", "tex")
    ]
    with open(output / "runs.csv") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["MIG (paper)"]) for row in rows if row["MIG (paper)"]] == pytest.approx(
        [0.9 - seed / 10 for seed in range(9)]
    )
    assert r"\toprule" in (output / "picks.tex").read_text()


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["nowhere"], "nowhere holds no runs"),
        (["{folder}", "--group-by", "colour"], "no setting 'colour'"),
        (["{folder}", "--protocol", "other"], "invalid choice"),
        (["{folder}", "--output", "{folder}/run-0/status.json"], "status.json"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], complaint: str
) -> None:
    assert main(["select", *(part.format(folder=folder) for part in arguments)]) == 2
    error = capsys.readouterr().err
    assert complaint in error
    assert error.count("\n") == 1
