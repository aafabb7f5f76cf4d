import time

import pytest
from streamlit.testing.v1 import AppTest

from dvae_core.data import load_dataset
from dvae_core.evaluation.protocol import evaluate
from dvae_core.jobs import find_job, stop_job
from dvae_core.runs.run import Run, State, Status
from dvae_core.system.processes import ProcessIdentity
from tests.app.conftest import OpenApp

PAGE = "pages/factors.py"


def notes(app: AppTest) -> str:
    said = [*app.info, *app.warning, *app.error, *app.caption]
    return " ".join(element.value for element in said).replace("\\", "")


def test_without_a_run_the_page_says_how_to_get_one(open_app: OpenApp) -> None:
    app = open_app(PAGE)
    assert not app.exception
    assert "python -m dvae_core train" in app.code[0].value


@pytest.mark.parametrize("address", ["checkpoints/discrete", "runs/smooth"])
@pytest.mark.parametrize("protocol", ["paper", "native"])
def test_the_heat_map_names_its_protocol_for_both_families(
    open_app: OpenApp, runs: dict[str, Run], address: str, protocol: str
) -> None:
    app = open_app(PAGE, run=address)
    app.sidebar.radio[0].set_value(protocol).run()
    assert not app.exception
    assert not app.error
    assert f"{protocol}: " in notes(app)


def test_choosing_latent_and_factor_opens_the_cell(open_app: OpenApp, runs: dict[str, Run]) -> None:
    app = open_app(PAGE, run="runs/smooth")
    app.selectbox(key="runs/smooth-latent").set_value(2)
    app.selectbox(key="runs/smooth-factor").set_value("y").run()
    assert not app.exception
    assert "**latent 2** beside **y**" in [element.value for element in app.markdown]


def test_a_run_is_measured_in_the_background(open_app: OpenApp, runs: dict[str, Run]) -> None:
    run = runs["runs/smooth"]
    app = open_app(PAGE, run="runs/smooth")
    assert "Not evaluated yet" in notes(app)
    app.button(key="measure").click().run()
    try:
        assert not app.exception
        job = find_job(run, "evaluate")
        assert job is not None
        deadline = time.monotonic() + 200
        while job.state == "running" and time.monotonic() < deadline:
            time.sleep(0.2)
            job = find_job(run, "evaluate")
            assert job is not None
        assert job.state == "finished"
    finally:
        stop_job(run, "evaluate")
    app.run()
    assert "MIG ↑" in list(app.dataframe[0].value["score"])


def test_a_killed_measuring_is_said_and_can_be_started_again(
    open_app: OpenApp, runs: dict[str, Run]
) -> None:
    run = runs["runs/smooth"]
    (run.path / "jobs").mkdir()
    (run.path / "jobs" / "evaluate.json").write_text(
        '{"arguments": [], "process": {"pid": 4194303, "birth": "another boot"}}'
    )
    app = open_app(PAGE, run="runs/smooth")
    assert "stopped early" in notes(app)
    assert not app.button(key="measure").disabled


def test_a_run_in_training_is_said(open_app: OpenApp, runs: dict[str, Run]) -> None:
    runs["runs/smooth"].write_status(
        Status(state=State.RUNNING, step=7, steps=12, process=ProcessIdentity.current())
    )
    app = open_app(PAGE, run="runs/smooth")
    assert not app.exception
    assert "still training" in notes(app)


def test_a_run_whose_data_set_is_gone_says_what_is_missing(
    open_app: OpenApp, runs: dict[str, Run]
) -> None:
    path = runs["runs/smooth"].path / "config.json"
    path.write_text(path.read_text().replace('"circles"', '"vanished"'))
    app = open_app(PAGE, run="runs/smooth")
    assert not app.exception
    assert "no data set is called 'vanished'" in notes(app)


def test_a_damaged_evaluation_is_said(open_app: OpenApp, runs: dict[str, Run]) -> None:
    (runs["runs/smooth"].path / "evaluation.json").write_text('{"scores": 1}')
    app = open_app(PAGE, run="runs/smooth")
    assert not app.exception
    assert "evaluation.json" in notes(app)


def test_scores_stand_beside_those_of_a_perfect_and_a_shuffled_code(
    open_app: OpenApp, runs: dict[str, Run]
) -> None:
    run = runs["checkpoints/discrete"]
    dataset = load_dataset(run.record.dataset, run.record.image_size)
    run.write_evaluation(evaluate(run, dataset, "paper", ("mig", "kl")).model_dump(mode="json"))
    table = open_app(PAGE, run="checkpoints/discrete").dataframe[0].value.set_index("score")
    assert float(table.loc["MIG ↑", "perfect code"]) == pytest.approx(0.84, abs=0.01)
    assert float(table.loc["MIG ↑", "shuffled code"]) == pytest.approx(0.0, abs=0.01)
    assert table.loc["KL, nats", "perfect code"] == ""


def test_why_scores_are_not_defined_is_said_once(open_app: OpenApp, runs: dict[str, Run]) -> None:
    run = runs["runs/smooth"]  # Gaussian: it has no straight-through gap
    dataset = load_dataset(run.record.dataset, run.record.image_size)
    found = evaluate(run, dataset, "paper", ("straight_through_gap", "kl"))
    run.write_evaluation(found.model_dump(mode="json"))
    app = open_app(PAGE, run="runs/smooth")
    table = app.dataframe[0].value
    assert list(table["value (paper)"]).count("not defined") == 2
    (reason,) = {score.reason for score in found.scores if score.value is None}
    said = [caption.value.replace("\\", "") for caption in app.caption]
    assert sum(reason in text for text in said) == 1


def test_the_link_restores_the_unit_of_the_heat_map(
    open_app: OpenApp, runs: dict[str, Run]
) -> None:
    app = open_app(PAGE, run="runs/smooth", unit="nats")
    assert app.sidebar.radio(key="unit").value == "nats"
    app.sidebar.radio(key="unit").set_value("share").run()
    assert app.query_params["unit"] == "share"
