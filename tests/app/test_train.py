import base64
import io
import json
import re
import shutil
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from dvae_core.config import FAMILIES, OBJECTIVES, RunConfig, limits_of
from dvae_core.data import load_dataset
from dvae_core.evaluation.protocol import evaluate
from dvae_core.evaluation.results import EvaluationSettings
from dvae_core.exchange.archive import export_run
from dvae_core.jobs import find_training, stop_training
from dvae_core.jobs.trash import delete_run
from dvae_core.runs.catalog import list_runs
from dvae_core.runs.run import Run, State, Status
from dvae_core.system.processes import ProcessIdentity
from dvae_core.training.extension import extend_run
from dvae_core.training.trainer import train
from tests.app.conftest import OpenApp, ticked
from ui.link import SELECTION
from ui.train.curves import QUANTITIES
from ui.train.start import _name_for

PAGE = "pages/train.py"
WEIGHTS = {name for info in OBJECTIVES.values() for name in info.settings}


@pytest.fixture(autouse=True)
def no_training_left(own_folders: Path) -> Iterator[None]:
    yield
    for run in list_runs(own_folders / "runs"):
        if not run.problem():
            stop_training(run)


@pytest.fixture
def run(own_folders: Path, tiny_config: RunConfig) -> Run:
    """One's own finished run."""
    run = Run.create(own_folders / "runs" / "mine", tiny_config, (1, 32, 32))
    train(run)
    return Run(run.path)


def said(app: AppTest) -> str:
    elements = [*app.info, *app.warning, *app.error, *app.caption, *app.markdown, *app.subheader]
    return " ".join(element.value for element in elements).replace("\\", "")


def progress(app: AppTest) -> str:
    return " ".join(str(bar.proto.text) for bar in app.get("progress")).replace("\\", "")


def keys(app: AppTest) -> set[str]:
    widgets = [*app.button, *app.selectbox, *app.text_input, *app.toggle]
    return {widget.key for widget in widgets if widget.key}


def drawn(app: AppTest, name: str) -> str:
    """The key under which a setting is drawn now."""
    return next(key for key in keys(app) if re.fullmatch(rf"{name}(-\d+)?", key))


def pictures(app: AppTest) -> list[str]:
    return [str(image.proto) for image in app.get("image")]


def steps_of_first_curve(app: AppTest) -> list[float]:
    line = json.loads(app.get("plotly_chart")[0].proto.spec)["data"][0]
    return np.frombuffer(base64.b64decode(line["x"]["bdata"]), line["x"]["dtype"]).tolist()


def fill(app: AppTest, **numbers: float | str) -> AppTest:
    for name, value in numbers.items():
        app.text_input(key=drawn(app, f"train-{name}")).set_value(str(value))
    return app.run()


def wait_for(run: Run, state: State, seconds: float = 200.0) -> None:
    deadline = time.monotonic() + seconds
    while find_training(run).state is not state:
        found = find_training(run)
        assert time.monotonic() < deadline, f"{found.state}: {found.message}"
        time.sleep(0.1)


def test_without_a_run_one_button_trains_a_first_model(open_app: OpenApp) -> None:
    app = open_app(PAGE)
    assert not app.exception
    assert "No run of your own yet" in said(app)
    assert app.button(key="train-first").label == "Train a first model (about 3 minutes)"


def test_the_first_model_is_that_of_the_quick_preset(open_app: OpenApp, own_folders: Path) -> None:
    app = open_app(PAGE)
    app.button(key="train-first").click().run()
    assert not app.exception
    assert not app.error
    (run,) = list_runs(own_folders / "runs")
    quick = RunConfig.from_preset("quick", threads=run.record.threads)
    assert run.record.model_dump(include=set(RunConfig.model_fields)) == quick.model_dump()
    assert find_training(run).state is State.RUNNING
    app.button(key="train-stop").click().run()
    assert find_training(run).state is State.STOPPED
    assert "train-resume" in keys(app)


def test_the_form_shows_only_the_settings_that_the_objective_heeds(open_app: OpenApp) -> None:
    app = open_app(PAGE, view="new")
    for objective, info in OBJECTIVES.items():
        app.selectbox(key="train-objective").set_value(objective).run()
        assert not app.exception
        shown = {key.removeprefix("train-") for key in keys(app)} & WEIGHTS
        assert shown == set(info.settings), objective
        assert info.explanation in said(app)


def test_gaussian_latents_are_asked_for_no_categories_and_no_noise(open_app: OpenApp) -> None:
    app = open_app(PAGE, view="new")
    categorical = {"train-num_categories", "train-noise_scale_start", "train-sampling"}
    assert categorical <= keys(app)
    app.selectbox(key="train-latents").set_value("gaussian").run()
    assert not app.exception
    assert not categorical & keys(app)
    assert "train-start" in keys(app)


def test_every_number_tells_its_effect_and_its_range(open_app: OpenApp) -> None:
    names = [str(field.key).removeprefix("train-") for field in app_fields(open_app)]
    numbers = [name for name in names if name in RunConfig.model_fields and limits_of(name)]
    assert len(numbers) > 10
    for field, name in zip(app_fields(open_app), names, strict=True):
        if name in numbers:
            low, high = limits_of(name) or (0, 0)
            description = RunConfig.model_fields[name].description
            assert field.help == f"{description} Range: {low:,g} to {high:,.10g}."


def app_fields(open_app: OpenApp) -> list[Any]:
    return [*open_app(PAGE, view="new").text_input]


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("steps", "-5", "Steps is “-5”: enter a whole number from 1 to 10,000,000."),
        ("steps", "", "Steps is “”: enter a whole number from 1 to 10,000,000."),
        ("seed", "1.5", "Seed is “1.5”: enter a whole number from 0 to 2,147,483,647."),
        ("learning_rate", "nan", "Learning rate is “nan”: enter a number from 0 to 1."),
        ("learning_rate", "1e400", "Learning rate is “1e400”: enter a number from 0 to 1."),
        ("num_categories", "many", "Categories K is “many”: enter a whole number from 2 to 512."),
    ],
)
def test_a_field_that_holds_no_number_of_its_range_blocks_the_start(
    open_app: OpenApp, name: str, text: str, expected: str
) -> None:
    app = open_app(PAGE, view="new")
    field = app.text_input(key=drawn(app, f"train-{name}"))
    before = field.value
    field.set_value(text).run()
    assert not app.exception
    assert app.text_input(key=drawn(app, f"train-{name}")).value == text
    assert expected in [error.value.replace("\\", "") for error in app.error]
    assert not {"train-start", "train-start-both"} & keys(app)
    app.text_input(key=drawn(app, f"train-{name}")).set_value(before).run()
    assert not app.error
    assert "train-start" in keys(app)


def test_a_link_restores_the_form(open_app: OpenApp) -> None:
    app = fill(open_app(PAGE, view="new"), name="mine")
    app.selectbox(key="train-dataset").set_value("rooms").run()
    app.selectbox(key="train-sampling").set_value("straight_through").run()
    app.selectbox(key="train-objective").set_value("tc").run()
    app.toggle(key="train-compiled").set_value(True).run()
    fill(app, steps="", learning_rate=0.0001234, beta="much", cardinalities="10 10 4")
    again = open_app(PAGE, **{name: str(value) for name, value in shown_in_link(app).items()})
    assert not again.exception
    assert fields(again) == fields(app)
    assert shown_in_link(again) == shown_in_link(app)
    again = fill(again, steps=RunConfig.from_preset("quick").steps, beta=2, cardinalities="")
    assert again.text_input(key=drawn(again, "train-name")).value == "mine"
    assert not shown_in_link(again).keys() & {"steps", "cardinalities"}


def shown_in_link(app: AppTest) -> dict[str, Any]:
    return {name: value for name, value in app.query_params.items() if value}


def fields(app: AppTest) -> dict[str, Any]:
    widgets = [*app.selectbox, *app.text_input, *app.toggle]
    return {str(widget.key).split("-")[1]: widget.value for widget in widgets}


def test_what_no_setting_can_be_is_said_and_the_rest_restored(open_app: OpenApp) -> None:
    app = open_app(PAGE, view="new", latents="best", compiled="maybe", seed="7", image_size="33")
    assert not app.exception
    note = "The link's settings cannot be read: compiled “maybe”, latents “best”, image_size “33”."
    assert note in said(app)
    assert fields(app)["seed"] == "7"
    assert fields(app)["latents"] == "categorical"


def test_no_setting_has_the_name_of_another_part_of_the_link() -> None:
    assert not RunConfig.model_fields.keys() & {*SELECTION, "view", "with", "name"}


def test_a_preset_sets_everything(open_app: OpenApp) -> None:
    app = open_app(PAGE, view="new")
    assert app.text_input(key="train-steps").value == "4000"
    app.button_group(key="train-preset").set_value("paper").run()
    assert app.text_input(key=drawn(app, "train-steps")).value == "300000"
    assert app.text_input(key=drawn(app, "train-num_categories")).value == "64"
    assert app.selectbox(key=drawn(app, "train-image_size")).value == 64


def test_a_browser_that_has_not_heard_the_answer_takes_nothing_back(open_app: OpenApp) -> None:
    app = open_app(PAGE, view="new")
    seen = app._tree
    fill(app, steps=600)
    app._tree = seen  # where the preset is still in force, and it tells so
    app.button_group(key="train-preset").set_value("quick")
    fill(app, snapshot_every=50)
    assert app.text_input(key="train-steps").value == "600"
    assert app.text_input(key="train-snapshot_every").value == "50"


def test_a_combination_that_makes_no_sense_is_refused_in_one_line(
    open_app: OpenApp, own_folders: Path
) -> None:
    app = open_app(PAGE, view="new")
    app.selectbox(key="train-objective").set_value("factor").run()
    fill(app, num_latents=1)
    assert [error.value.replace("\\", "") for error in app.error] == [
        "the factor objective needs num_latents of at least 2: one latent has no total correlation"
    ]
    assert "train-start" not in keys(app)


def test_cardinalities_come_from_the_data_set_or_are_refused(open_app: OpenApp) -> None:
    app = open_app(PAGE, view="new")
    app.button(key="train-take-cardinalities").click().run()
    typed = app.text_input(key=drawn(app, "train-cardinalities"))
    assert typed.value == "32 32"
    assert "cardinalities has 32 for latent 0, but num_categories is 16" in said(app)
    typed.set_value("three").run()
    assert not app.exception
    assert "cardinalities.0 is 'three'" in said(app)


@pytest.mark.parametrize("name", ["../elsewhere", "Capital", "", "a/b"])
def test_a_name_that_cannot_be_a_runs_is_refused(
    open_app: OpenApp, own_folders: Path, name: str
) -> None:
    app = open_app(PAGE, view="new")
    app.text_input(key="train-name").set_value(name)
    app.button(key="train-start").click().run()
    assert not app.exception
    assert "cannot name a run" in said(app)
    assert not (own_folders / "runs").exists()
    assert not (own_folders / "elsewhere").exists()


def test_a_second_click_does_not_start_a_second_run(open_app: OpenApp, own_folders: Path) -> None:
    tabs = [open_app(PAGE, view="new") for _ in range(2)]
    for app in tabs:
        fill(app, steps=3, batch_size=8, snapshot_every=0)
    for app in tabs:
        app.button(key="train-start").click().run()
        assert not app.exception
    (run,) = list_runs(own_folders / "runs")
    assert run.id == "circles-categorical-elbo-0"
    assert "a run named circles-categorical-elbo-0 already exists" in said(tabs[1])
    wait_for(run, State.FINISHED)
    app = tabs[0].run()
    assert "finished · step 3 of 3" in progress(app)
    assert "images per second · cpu" in progress(app)


def test_all_families_are_one_click(open_app: OpenApp, own_folders: Path) -> None:
    app = open_app(PAGE, view="new")
    fill(app, steps=3, batch_size=8, snapshot_every=0)
    app.button(key="train-start-both").click().run()
    assert not app.exception
    runs = {run.record.latents: run for run in list_runs(own_folders / "runs")}
    assert {latents: run.id for latents, run in runs.items()} == {
        family: f"circles-{family}-elbo-0" for family in FAMILIES
    }
    waiting = [f"queued, place {place}" for place in range(1, len(FAMILIES))]
    assert sorted(app.dataframe[0].value["state"]) == sorted(["running", *waiting])
    for run in runs.values():  # the queue moves by itself
        wait_for(run, State.FINISHED)


def test_the_titles_of_curves_fit_three_in_a_narrow_window() -> None:
    """160 pixels, in bold letters of 14."""
    assert {quantity.label for quantity in QUANTITIES.values() if len(quantity.label) > 25} == set()


@pytest.mark.parametrize(
    ("latents", "advice"), [("fsq", "longer encoder delay"), ("categorical", "lower weights")]
)
def test_a_training_whose_images_all_have_one_code_says_so_and_what_helps(
    open_app: OpenApp, own_folders: Path, tiny_config: RunConfig, latents: str, advice: str
) -> None:
    config = tiny_config.model_copy(update={"latents": latents, "snapshot_every": 0})
    run = Run.create(own_folders / "runs" / "flat", config, (1, 32, 32))
    train(run)
    run.scores.append({"step": config.steps // 4, "active_latents": 0})
    assert "no latent is active" not in said(open_app(PAGE, run="runs/flat"))
    run.scores.append({"step": config.steps, "active_latents": 0})
    words = said(open_app(PAGE, run="runs/flat"))
    assert f"At step {config.steps:,} no latent is active" in words
    assert advice in words
    run.scores.append({"step": config.steps, "active_latents": 1})
    assert "no latent is active" not in said(open_app(PAGE, run="runs/flat"))


def test_the_ticked_row_is_the_watched_run(open_app: OpenApp, run: Run, own_folders: Path) -> None:
    shutil.copytree(run.path, own_folders / "runs" / "other")
    app = open_app(PAGE, run="runs/other")
    assert app.dataframe[0].value["run"][ticked(app)].tolist() == ["other"]
    app = open_app(PAGE, run="runs/mine")
    assert app.dataframe[0].value["run"][ticked(app)].tolist() == ["mine"]


def test_a_run_is_deleted_and_the_deletion_undone(open_app: OpenApp, run: Run) -> None:
    app = open_app(PAGE, run="runs/mine")
    app.button(key="train-delete").click().run()
    assert not app.exception
    assert not run.path.exists()
    assert "mine was deleted" in said(app)
    app.button(key="train-undo").click().run()
    assert not app.exception
    assert run.state() is State.FINISHED
    assert "was deleted" not in said(app)


def test_a_deleted_run_can_be_restored_later(open_app: OpenApp, run: Run) -> None:
    open_app(PAGE, run="runs/mine").button(key="train-delete").click().run()
    app = open_app(PAGE)
    app.button(key="train-restore").click().run()
    assert not app.exception
    assert run.state() is State.FINISHED


def test_a_deleted_run_of_a_sweep_can_be_restored_too(
    open_app: OpenApp, own_folders: Path, run: Run
) -> None:
    folder = own_folders / "runs" / "study"
    shutil.copytree(run.path, folder / "first")
    delete_run(Run(folder / "first"))
    app = open_app(PAGE)
    assert app.selectbox(key="train-trash").options == ["study/first"]
    app.button(key="train-restore").click().run()
    assert not app.exception
    assert Run(folder / "first").state() is State.FINISHED


def test_a_duplicate_of_an_extended_run_keeps_its_schedule(open_app: OpenApp, run: Run) -> None:
    extend_run(run, 3)
    app = open_app(PAGE, run="runs/mine")
    app.button(key="train-duplicate").click().run()
    assert not app.exception
    assert app.text_input(key=drawn(app, "train-steps")).value == "15"
    assert app.text_input(key=drawn(app, "train-noise_steps")).value == "12"


def test_a_family_in_the_name_of_the_data_set_stays() -> None:
    named = "gaussian-blobs-gaussian-elbo-0"
    assert _name_for("fsq", named, "gaussian") == "gaussian-blobs-fsq-elbo-0"
    assert _name_for("fsq", "mine", "gaussian") == "mine-fsq"


def test_a_finished_run_gets_more_steps(open_app: OpenApp, run: Run) -> None:
    app = open_app(PAGE, run="runs/mine")
    app.text_input(key=f"train-more-{run.path}").set_value("3").run()
    app.button(key="train-extend").click().run()
    assert not app.exception
    wait_for(run, State.FINISHED)
    record = Run(run.path).record
    assert (record.steps, record.noise_steps) == (15, 12)
    assert "finished · step 15 of 15" in progress(app.run())


def test_a_duplicate_fills_the_form(open_app: OpenApp, run: Run) -> None:
    app = open_app(PAGE, run="runs/mine")
    app.button(key="train-duplicate").click().run()
    assert not app.exception
    assert app.text_input(key=drawn(app, "train-steps")).value == "12"
    assert app.text_input(key=drawn(app, "train-num_categories")).value == "5"
    fill(app, seed=7)
    assert app.text_input(key=drawn(app, "train-name")).value == "circles-categorical-elbo-7"


def test_name_and_notes_are_kept(open_app: OpenApp, run: Run) -> None:
    app = open_app(PAGE, run="runs/mine")
    field = next(field for field in app.text_input if field.label == "Shown as")
    field.set_value("My *first* model")
    app.text_area[0].set_value("learns x before y")
    save = next(button for button in app.button if button.label == "Save")
    save.click().run()
    assert not app.exception
    assert app.dataframe[0].value["run"].tolist() == ["My *first* model"]
    assert app.subheader[0].value == r"My \*first\* model"
    assert Run(run.path).read_notes().notes == "learns x before y"


def test_a_run_travels_as_a_zip_file(open_app: OpenApp, run: Run, own_folders: Path) -> None:
    app = open_app(PAGE)
    app.file_uploader[0].set_value(("mine.zip", export_run(run), "application/zip")).run()
    assert not app.exception
    assert not app.error
    assert len(list_runs(own_folders / "runs")) == 2
    assert "mine-2" in said(app)


def hostile_zip() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("mine/../../../evil.py", "print('evil')")
    return buffer.getvalue()


@pytest.mark.parametrize("content", [b"no zip", hostile_zip()], ids=["no zip", "hostile"])
def test_a_zip_file_that_is_no_run_is_one_line(
    open_app: OpenApp, own_folders: Path, content: bytes
) -> None:
    app = open_app(PAGE)
    app.file_uploader[0].set_value(("mine.zip", content, "application/zip")).run()
    assert not app.exception
    assert len(app.error) == 1
    assert list_runs(own_folders / "runs") == []
    assert not list(own_folders.rglob("evil.py"))


def test_a_damaged_run_is_listed_with_what_is_wrong(open_app: OpenApp, run: Run) -> None:
    (run.path / "config.json").write_text("{")
    app = open_app(PAGE, run="runs/mine")
    assert not app.exception
    assert app.dataframe[0].value["state"].tolist() == ["damaged"]
    assert "config.json is not valid JSON" in said(app)


def test_a_damaged_log_leaves_the_rest_of_the_page(open_app: OpenApp, run: Run) -> None:
    (run.path / "metrics.jsonl").write_text("no row\n")
    app = open_app(PAGE, run="runs/mine")
    assert not app.exception
    assert "metrics.jsonl has a line that is not a row" in said(app)
    assert "train-delete" in keys(app)


def test_a_damaged_queue_is_said(open_app: OpenApp, run: Run, own_folders: Path) -> None:
    queue = own_folders / "runs" / "queue.json"
    queue.write_text("{")
    app = open_app(PAGE)
    assert not app.exception
    assert "queue.json is not valid JSON" in said(app)
    queue.unlink()


def test_a_killed_training_is_shown_as_lost_and_can_be_resumed(open_app: OpenApp, run: Run) -> None:
    run.write_status(
        Status(
            state=State.RUNNING, step=8, steps=12, process=ProcessIdentity(pid=1, birth="before/1")
        )
    )
    app = open_app(PAGE, run="runs/mine")
    assert "lost · step 8 of 12" in progress(app)
    app.button(key="train-resume").click().run()
    assert not app.exception
    wait_for(run, State.FINISHED)


def test_a_failed_training_says_why(open_app: OpenApp, run: Run) -> None:
    run.write_status(Status(state=State.FAILED, step=8, steps=12, message="loss is nan at step 9"))
    app = open_app(PAGE, run="runs/mine")
    assert "loss is nan at step 9" in said(app)


def test_a_shipped_run_is_read_only(open_app: OpenApp, runs: dict[str, Run]) -> None:
    app = open_app(PAGE, run="checkpoints/discrete")
    assert not app.exception
    changing = {"train-stop", "train-resume", "train-extend", "train-delete"}
    assert not keys(app) & changing
    assert {"train-explore", "train-duplicate"} <= keys(app)
    assert "reconstruction" in str(app.get("plotly_chart")[0].proto)


def test_an_earlier_snapshot_can_be_looked_at(
    open_app: OpenApp, own_folders: Path, tiny_config: RunConfig
) -> None:
    config = tiny_config.model_copy(update={"snapshot_every": 6})
    train(Run.create(own_folders / "runs" / "mine", config, (1, 32, 32)))
    app = open_app(PAGE, run="runs/mine")
    slider = app.select_slider(key="train-snapshot")
    assert slider.options == ["step 0", "step 6", "step 12"]
    assert slider.value == 12
    newest = pictures(app)
    slider.set_value(0).run()
    assert not app.exception
    assert app.select_slider(key="train-snapshot").value == 0
    assert len(newest) == 2  # reconstructions and traversals
    assert not set(newest) & set(pictures(app))


def test_curves_of_another_run_are_laid_over(
    open_app: OpenApp, run: Run, runs: dict[str, Run]
) -> None:
    alone = open_app(PAGE, run="runs/mine").get("plotly_chart")[0].proto
    app = open_app(PAGE, **{"run": "runs/mine", "with": "runs/smooth"})
    assert not app.exception
    assert app.multiselect(key="train-with").value == ["runs/smooth"]
    both = app.get("plotly_chart")[0].proto
    assert "smooth" not in alone.spec
    assert "smooth" in both.spec


def test_a_part_of_the_curves_can_be_looked_at(open_app: OpenApp, run: Run) -> None:
    app = open_app(PAGE, run="runs/mine")
    assert steps_of_first_curve(app) == [4, 8, 12]
    app.slider(key=f"train-span-{run.path}-12").set_value((5, 10)).run()
    assert not app.exception
    assert steps_of_first_curve(app) == [8]


def test_a_link_to_a_run_that_is_gone_is_said(open_app: OpenApp, run: Run) -> None:
    app = open_app(PAGE, run="runs/never")
    assert not app.exception
    assert "“runs/never”, which is not here" in said(app)
    assert "mine" in said(app)


def test_the_queue_takes_more_trainings_at_once(open_app: OpenApp, run: Run) -> None:
    app = open_app(PAGE)
    key = f"train-at-once-{run.path.parent}"
    app.text_input(key=key).set_value("2").run()
    assert not app.exception
    assert open_app(PAGE).text_input(key=key).value == "2"
    app.text_input(key=key).set_value("99").run()
    assert "enter a whole number from 1 to 16" in said(app)
    assert open_app(PAGE).text_input(key=key).value == "2"


def test_the_number_of_latents_follows_the_number_of_factors_until_it_is_changed(
    open_app: OpenApp,
) -> None:
    app = open_app(PAGE, view="new")
    latents = app.text_input(key=drawn(app, "train-num_latents"))
    assert latents.value == "2"  # circles has x and y
    app.selectbox(key=drawn(app, "train-dataset")).set_value("rooms").run()
    assert app.text_input(key=drawn(app, "train-num_latents")).value == "6"
    fill(app, num_latents=10)
    app.selectbox(key=drawn(app, "train-dataset")).set_value("circles").run()
    assert app.text_input(key=drawn(app, "train-num_latents")).value == "10"


def test_the_form_offers_the_sizes_that_the_data_set_has(open_app: OpenApp) -> None:
    app = open_app(PAGE, view="new")
    size = app.selectbox(key=drawn(app, "train-image_size"))
    assert size.options == ["32", "64", "128"]  # circles are drawn at any
    size.set_value(128).run()
    app.selectbox(key=drawn(app, "train-dataset")).set_value("rooms").run()
    size = app.selectbox(key=drawn(app, "train-image_size"))
    assert (size.options, size.value) == (["32", "64"], 64)


def test_the_table_shows_the_mig_of_an_evaluated_run(open_app: OpenApp, run: Run) -> None:
    assert open_app(PAGE).dataframe[0].value["MIG"].isna().all()
    dataset = load_dataset("circles", 32)
    found = evaluate(run, dataset, "paper", ("mig",), EvaluationSettings(points=100))
    run.write_evaluation(found.model_dump(mode="json"))
    assert list(open_app(PAGE).dataframe[0].value["MIG"]) == [found.scores[0].value]


def test_every_page_says_what_trains_and_a_new_run_joins_the_queue(
    open_app: OpenApp, run: Run
) -> None:
    assert not open_app().get("page_link")
    run.write_status(
        Status(state=State.RUNNING, step=3, steps=12, process=ProcessIdentity.current())
    )
    for page in (None, "pages/factors.py", "pages/method.py"):
        app = open_app(page)
        assert not app.exception
        labels = [link.proto.label for link in app.get("page_link")]
        assert "Training 25%: mine" in labels
    app = open_app(PAGE, view="new")
    assert app.button(key="train-start").label == "Add to queue"
    assert "waits until one of 1 trainings ends" in said(app)
    run.write_status(Status(state=State.STOPPED, step=3, steps=12))
