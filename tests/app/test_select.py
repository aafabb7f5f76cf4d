import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from dvae_core.config import RunConfig
from dvae_core.runs.run import Run, State
from dvae_core.selection.study import GAP, RECONSTRUCTION_GAP
from tests.app.conftest import OpenApp, ticked
from tests.selection.planted import changed, planted_run

PAGE = "pages/select.py"


@pytest.fixture
def study(own_folders: Path, tiny_config: RunConfig) -> Path:
    """Four seeds of each family and two K; MIG falls as the gap rises, and one run is stopped."""
    folder = own_folders / "runs" / "study"
    for seed in range(4):
        for count in (4, 64):
            gap = 1.0 + seed + count / 100
            planted_run(
                folder / f"k{count}-{seed}",
                changed(tiny_config, seed=seed, num_categories=count),
                {"mig": 0.9 - gap / 10, "modularity": 0.5, GAP: gap, RECONSTRUCTION_GAP: gap},
                tables={"usage": [[1 / count] * count]},
            )
        gaussian = changed(tiny_config, seed=seed, latents="gaussian")
        planted_run(folder / f"gaussian-{seed}", gaussian, {"mig": seed / 10, GAP: None})
    planted_run(folder / "halted", tiny_config, {"mig": 0.9}, state=State.STOPPED)
    return folder


def said(app: AppTest) -> str:
    parts = [*app.info, *app.warning, *app.error, *app.caption, *app.markdown, *app.subheader]
    return " ".join(element.value for element in parts).replace("\\", "")


def test_without_a_run_the_page_says_which_command_makes_a_study(open_app: OpenApp) -> None:
    app = open_app(PAGE)
    assert not app.exception
    assert "python -m dvae_core sweep sweeps/" in app.code[0].value


def test_a_folder_of_too_few_runs_says_so(open_app: OpenApp, runs: dict[str, Run]) -> None:
    app = open_app(PAGE)
    assert not app.exception
    assert "1 runs, 0 in the statistics" in said(app) or "1 run, 0 in the" in said(app)
    assert "python -m dvae_core sweep" in app.code[0].value


def test_all_runs_are_listed_and_one_is_left_out_with_the_reason(
    open_app: OpenApp, study: Path
) -> None:
    app = open_app(PAGE)
    assert not app.exception
    assert not app.error
    table = app.dataframe[0].value
    assert len(table) == 13
    assert {"latents", "num_categories", "seed", "MIG (paper)"} <= set(table.columns)
    assert "halted: stopped at step 12 of 12" in said(app)
    assert "13 runs, 12 in the statistics" in said(app)


def test_groups_show_median_and_range_of_the_score(open_app: OpenApp, study: Path) -> None:
    groups = open_app(PAGE).dataframe[1].value.set_index("group")
    row = groups.loc["circles · gaussian · elbo"]
    assert row["runs"] == 4
    assert list(row.iloc[1:]) == pytest.approx([0.15, 0.0, 0.3])


def test_a_filter_restricts_every_part(open_app: OpenApp, study: Path) -> None:
    app = open_app(PAGE)
    app.multiselect(key="select-only-latents").set_value(["gaussian"]).run()
    assert not app.exception
    assert list(app.dataframe[0].value["run"]) == [f"gaussian-{seed}" for seed in range(4)]


def test_the_gap_view_finds_the_planted_correlation(open_app: OpenApp, study: Path) -> None:
    app = open_app(PAGE, folder="runs/study", view="gap")
    assert not app.exception
    correlations = app.dataframe[0].value.set_index("score")
    assert correlations.loc["MIG", "rho"] == pytest.approx(-1)
    assert correlations.loc["MIG", "runs"] == 8
    assert correlations.loc["MIG", "pooled over"] == "num_categories, seed"
    assert correlations.loc["Modularity", "remark"] == "all values are the same"
    picks = app.dataframe[1].value
    assert list(picks["picked run"]) == ["k4-0"]
    assert list(picks["regret"]) == [pytest.approx(0)]


def test_runs_kept_apart_are_correlated_apart(open_app: OpenApp, study: Path) -> None:
    app = open_app(PAGE, folder="runs/study", view="gap", by="latents,num_categories")
    assert sorted(app.dataframe[0].value["group"].unique()) == [
        "categorical · num_categories 4",
        "categorical · num_categories 64",
    ]


def test_gaussian_runs_alone_have_no_gap_and_that_is_said(open_app: OpenApp, study: Path) -> None:
    only = json.dumps({"latents": ["gaussian"]})
    app = open_app(PAGE, folder="runs/study", view="gap", only=only)
    assert not app.exception
    assert "No run here has a straight-through gap" in said(app)


def test_the_settings_view_runs_over_the_setting_that_varies(
    open_app: OpenApp, study: Path
) -> None:
    app = open_app(PAGE, folder="runs/study", view="settings")
    assert not app.exception
    assert app.selectbox(key="select-setting").value == "num_categories"
    titles = said(app)
    for label in ("MIG", "Categories used by a latent", "Seconds for a step", "Parameters"):
        assert f"**{label}" in titles


def test_a_folder_that_varies_nothing_says_what_would(
    open_app: OpenApp, study: Path, tiny_config: RunConfig
) -> None:
    only = json.dumps({"num_categories": ["4"]})
    app = open_app(PAGE, folder="runs/study", view="settings", only=only)
    assert not app.exception
    assert "differ in no numeric setting" in said(app)


def test_courses_are_shown_over_steps_and_over_seconds(open_app: OpenApp, study: Path) -> None:
    for seed in range(4):
        run = Run(study / f"gaussian-{seed}")
        for step in (4, 8, 12):
            run.metrics.append({"step": step, "kl": step + seed, "seconds": step * 2})
            run.scores.append({"step": step, "mig": step / 100})
    app = open_app(PAGE, folder="runs/study", view="course")
    assert not app.exception
    app.selectbox(key="select-course").set_value("kl").run()
    app.segmented_control(key="select-against").set_value("seconds").run()
    assert not app.exception
    table = app.dataframe[0].value
    assert list(table["runs"]) == [4]
    assert list(table["final median"]) == [13.5]
    assert "seconds to 90 %" in " ".join(table.columns)


def test_without_courses_the_page_says_so(open_app: OpenApp, study: Path) -> None:
    app = open_app(PAGE, folder="runs/study", view="course")
    assert not app.exception
    assert "has a training history" in said(app)


def test_the_url_says_what_is_shown_and_brings_it_back(open_app: OpenApp, study: Path) -> None:
    app = open_app(PAGE)
    app.multiselect(key="select-by").set_value(["latents"])
    app.selectbox(key="select-score").set_value("modularity")
    app.multiselect(key="select-only-seed").set_value(["1", "2"])
    app.segmented_control(key="select-view").set_value("gap").run()
    link = dict(app.query_params)
    again = open_app(PAGE, **link)
    assert not again.exception
    assert again.multiselect(key="select-by").value == ["latents"]
    assert again.selectbox(key="select-score").value == "modularity"
    assert again.multiselect(key="select-only-seed").value == ["1", "2"]
    assert again.segmented_control(key="select-view").value == "gap"


@pytest.mark.parametrize(
    "link",
    [
        {"folder": "runs/gone"},
        {"folder": "../../etc", "view": "nothing"},
        {"protocol": "x", "score": "y", "gap": "z", "by": "a,b", "view": "gap"},
        {"only": "{"},
        {"only": "[1]"},
        {"only": '{"latents": 3, "seed": [1, "9"], "x": ["y"]}'},
    ],
)
def test_a_link_that_makes_no_sense_shows_the_page_as_it_is(
    open_app: OpenApp, study: Path, link: dict[str, str]
) -> None:
    app = open_app(PAGE, **link)
    assert not app.exception
    assert "13 runs, 12 in the statistics" in said(app)


def test_a_run_is_opened_by_keyboard(
    open_app: OpenApp, own_folders: Path, runs: dict[str, Run]
) -> None:
    app = open_app(PAGE, folder="runs")
    assert app.button(key="select-open").disabled
    app.multiselect(key="select-ticked").set_value(["smooth"]).run()
    assert app.button(key="select-compare").disabled
    app.button(key="select-open").click().run()
    assert not app.exception
    assert app.session_state["selection"].run == "runs/smooth"


def test_two_runs_are_compared_in_what_they_differ(
    open_app: OpenApp,
    own_folders: Path,
    tiny_config: RunConfig,
    trained_once: Callable[[RunConfig], Path],
) -> None:
    folder = own_folders / "runs"
    shutil.copytree(trained_once(tiny_config), folder / "one")
    shutil.copytree(trained_once(tiny_config.model_copy(update={"seed": 7})), folder / "two")
    app = open_app(PAGE, folder="runs")
    app.multiselect(key="select-ticked").set_value(["one", "two"]).run()
    assert app.dataframe[0].value["run"][ticked(app)].tolist() == ["one", "two"]
    app.button(key="select-compare").click().run()
    assert not app.exception
    selection = app.session_state["selection"]
    assert (selection.run, selection.second) == ("runs/one", "runs/two")
    settings = app.dataframe[0].value
    assert settings.to_numpy().tolist() == [["seed", "0", "7"]]
    link = {"run": "runs/one", "second": "runs/two", "part": "settings"}
    compare = open_app("pages/compare.py", **link)
    compare.toggle(key="settings-differences").set_value(False).run()
    assert len(compare.dataframe[0].value) > 10
    assert compare.query_params["settings"] == "all"


def test_runs_of_other_image_shapes_are_not_compared(
    open_app: OpenApp,
    own_folders: Path,
    tiny_config: RunConfig,
    trained_once: Callable[[RunConfig], Path],
) -> None:
    for name, channels in (("grey", 1), ("rgb", 3)):
        run = Run(shutil.copytree(trained_once(tiny_config), own_folders / "runs" / name))
        record = run.record.model_copy(update={"image_shape": (channels, 32, 32)})
        (run.path / "config.json").write_text(record.model_dump_json())
    app = open_app(PAGE, folder="runs")
    app.multiselect(key="select-ticked").set_value(["grey", "rgb"]).run()
    app.button(key="select-compare").click().run()
    assert "images of 1x32x32 and 3x32x32: Compare needs two of the same shape" in said(app)


def test_scores_come_before_settings_and_empty_columns_are_left_out(
    open_app: OpenApp, study: Path
) -> None:
    columns = list(open_app(PAGE).dataframe[0].value.columns)
    assert columns[:3] == ["run", "MIG (paper)", "Modularity (paper)"]
    assert columns.index("latents") > columns.index("Modularity (paper)")
    assert "Reconstruction (paper)" not in columns


def test_all_runs_without_scores_are_evaluated_by_one_click(
    open_app: OpenApp,
    own_folders: Path,
    tiny_config: RunConfig,
    trained_once: Callable[[RunConfig], Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("one", "two"):
        shutil.copytree(trained_once(tiny_config), own_folders / "runs" / name)
    started = []
    monkeypatch.setattr("ui.evaluation_job.start_job", lambda *asked: started.append(asked))
    app = open_app(PAGE, folder="runs")
    button = app.button(key="measure-all")
    assert button.label == "Evaluate all 2"
    button.click().run()
    assert not app.exception
    ((run, command, arguments),) = started
    assert (run.id, command) == ("one", "evaluate")
    other = str((own_folders / "runs" / "two").resolve())
    assert arguments == ["--protocol", "paper", "--metrics", "fast", "--then", other]


def test_a_run_without_weights_is_not_opened(open_app: OpenApp, study: Path) -> None:
    (study / "halted" / "model.safetensors").unlink()
    app = open_app(PAGE)
    app.multiselect(key="select-ticked").set_value(["halted"]).run()
    app.button(key="select-open").click().run()
    assert "halted has no weights yet" in said(app)


def test_a_filter_is_said_where_the_runs_are_counted(open_app: OpenApp, study: Path) -> None:
    app = open_app(PAGE, folder="runs/study", only=json.dumps({"latents": ["gaussian"]}))
    assert not app.exception
    assert " of 13 runs, " in said(app)
    assert "The filter keeps" in said(app)
    assert "The filter keeps" not in said(open_app(PAGE, folder="runs/study"))


def test_a_record_is_not_opened_and_says_what_it_is(open_app: OpenApp, study: Path) -> None:
    run = Run(study / "halted")
    (run.path / "model.safetensors").unlink()
    run.write_status(run.status().model_copy(update={"weights_kept": False}))
    app = open_app(PAGE)
    app.multiselect(key="select-ticked").set_value(["halted"]).run()
    app.button(key="select-open").click().run()
    assert "halted is a record: it has scores and curves, but no weights" in said(app)
