from pathlib import Path

from dvae_core.config import RunConfig
from dvae_core.selection.report import runs_sheet
from dvae_core.selection.study import read_study
from tests.selection.planted import planted_run


def test_no_column_of_the_runs_has_the_name_of_another(tmp_path: Path) -> None:
    """Also where runs differ in what every run says of itself, such as its steps."""
    for steps in (10, 20):
        config = RunConfig(steps=steps, image_size=32)
        planted_run(tmp_path / f"steps-{steps}", config, {"mig": 0.5})
    sheet = runs_sheet(read_study(tmp_path, "paper"))
    assert "steps" in sheet.columns
    assert len(set(sheet.columns)) == len(sheet.columns)
