"""What fails says so in its place; the page, the other runs and the other pages live on."""

import json

import pytest

from dvae_core.runs.run import Run
from tests.app.conftest import OpenApp
from ui import run_picker
from ui.selection import current_selection


def test_a_part_that_fails_leaves_the_rest_of_the_page(
    open_app: OpenApp, runs: dict[str, Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(run: Run) -> None:
        raise IndexError("list index out of range")

    monkeypatch.setattr(run_picker, "show_summary", fail)
    app = open_app("pages/explore.py", run="runs/smooth")
    assert [element.value.replace("\\", "") for element in app.error] == [
        "This part of the page failed. The rest of the page works."
    ]
    assert app.exception[0].message == "list index out of range"  # for a report of the fault
    assert app.title[0].value == "Explore"


def test_a_page_that_fails_names_the_run_and_leads_to_another(
    open_app: OpenApp, runs: dict[str, Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    choose = run_picker.choose_run

    def fail() -> tuple[str, Run] | None:
        if current_selection().run == "runs/smooth":
            raise IndexError("list index out of range")
        return choose()

    monkeypatch.setattr(run_picker, "choose_run", fail)
    app = open_app("pages/explore.py", run="runs/smooth")
    assert [element.value.replace("\\", "") for element in app.error] == [
        "Explore cannot show smooth. Other runs and the other pages work."
    ]
    app = app.button(key="page-error-other-run").click().run()
    assert not app.exception
    assert app.query_params["run"] == "checkpoints/discrete"


@pytest.mark.parametrize("page", ["train", "select", "factors"])
def test_a_run_without_time_zone_and_with_ragged_tables_hides_no_other(
    open_app: OpenApp, runs: dict[str, Run], page: str
) -> None:
    run = runs["runs/smooth"]
    config = json.loads((run.path / "config.json").read_text())
    config["created_at"] = "2026-11-27T09:30:00"
    (run.path / "config.json").write_text(json.dumps(config))
    (run.path / "evaluation.json").write_text('{"tables": [{"values": [[1], [1, 2]]}]}')
    for address in runs:
        assert not open_app(f"pages/{page}.py", run=address).exception
