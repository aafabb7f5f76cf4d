"""Latents are named on one page, and every page shows the names."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from dvae_core.exchange.onnx_import import import_model
from dvae_core.runs.names import latent_names, name_latent
from dvae_core.runs.run import Run
from tests.app.conftest import OpenApp
from tests.onnx import graphs

PAGE = "pages/latents.py"
HOSTILE = "<b>x</b> [a](http://x) $x$"


@pytest.fixture
def run(own_folders: Path, runs: dict[str, Run]) -> Run:
    return runs["checkpoints/discrete"]


def open_editor(app: AppTest) -> AppTest:
    app.session_state["latent-naming"] = True
    return app.run()


def shown(text: str) -> str:
    """Markdown as a reader sees it, without the signs that keep it text."""
    return text.replace("\\", "").replace("\u2060", "")


def field(app: AppTest, label: str) -> Any:
    return next(one for one in (*app.text_input, *app.text_area) if one.label == label)


def button(app: AppTest, label: str) -> Any:
    return next(one for one in app.button if label in shown(one.label))


def board_rows(app: AppTest) -> dict[int, str]:
    (board,) = [node for node in app if node.type == "bidi_component"]
    (data,) = json.loads(board.proto.json)
    return {row["latent"]: row["name"] for row in data["rows"]}


def ticks(app: AppTest) -> list[str]:
    figure = json.loads(app.get("plotly_chart")[0].proto.spec)
    return figure["layout"]["yaxis"]["ticktext"]


def test_a_latent_is_named_and_every_page_shows_the_name(open_app: OpenApp, run: Run) -> None:
    before = {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()}
    app = open_editor(open_app(PAGE, run="checkpoints/discrete", latent="1"))
    field(app, "Name").set_value("wall hue").run()
    field(app, "Note").set_value("turns orange").run()
    assert not app.exception
    assert app.subheader[0].value.startswith("Latent 1 · wall hue")
    assert any("turns orange" in caption.value for caption in app.caption)
    assert any(caption.value.startswith("Written ") for caption in app.caption)
    assert latent_names(run).entry(1).texts == ("wall hue", "turns orange")  # type: ignore[union-attr]
    assert {path: path.read_bytes() for path in before} == before  # the app writes elsewhere

    app.switch_page("../pages/explore.py").run()
    assert board_rows(app) == {0: "latent 0", 1: "latent 1 · wall hue"}
    app.switch_page("../pages/factors.py").run()
    assert not app.exception
    assert sorted(ticks(app)) == ["1 · wall hue", "latent 0"]


def test_names_are_on_both_sides_of_compare(open_app: OpenApp, runs: dict[str, Run]) -> None:
    name_latent(runs["checkpoints/discrete"], 1, "wall hue")
    name_latent(runs["runs/smooth"], 2, "height")
    app = open_app(
        "pages/compare.py", run="checkpoints/discrete", second="runs/smooth", part="information"
    )
    assert not app.exception
    names = [
        row["name"]
        for node in app
        if node.type == "bidi_component" and "rows" in node.proto.json
        for data in json.loads(node.proto.json)
        for row in data.get("rows", [])
    ]
    assert {"latent 1 · wall hue", "latent 2 · height"} <= set(names)
    assert "1 · wall hue" in ticks(app)


def test_a_change_is_undone_and_a_category_has_a_name(open_app: OpenApp, run: Run) -> None:
    app = open_editor(open_app(PAGE, run="checkpoints/discrete", latent="1", category="3"))
    field(app, "Name").set_value("size").run()
    field(app, "Name").set_value("length").run()
    button(app, "Undo").click().run()
    assert field(app, "Name").value == "size"
    field(app, "Name of category 3").set_value("long").run()
    assert latent_names(run).name(1, 3) == "long"
    bars = json.loads(app.get("plotly_chart")[0].proto.spec)
    assert bars["data"][0]["text"][3] == "category 3 · long"
    category = next(box for box in app.selectbox if box.label == "Category")
    assert "category 3 · long" in category.options
    assert app.query_params["category"] == "3"


def test_one_click_takes_the_name_of_the_factor(
    open_app: OpenApp, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dvae_core.analysis.latent_data.NAMING_SHARE", 0.0)
    app = open_app(PAGE, run="checkpoints/discrete", latent="1")
    button(app, "Name it").click().run()
    assert latent_names(run).name(1) in ("x", "y")
    assert not [one for one in app.button if one.label.startswith("Name it")]


@pytest.mark.parametrize(
    ("text", "why"),
    [("x" * 10_000, "10,000 characters are too many"), ("a\x1bb", "control characters")],
)
def test_a_name_that_is_refused_stays_in_the_field_with_the_reason(
    open_app: OpenApp, run: Run, text: str, why: str
) -> None:
    app = open_editor(open_app(PAGE, run="checkpoints/discrete", latent="1"))
    field(app, "Name").set_value(text).run()
    assert not app.exception
    (error,) = app.error
    assert shown(error.value).startswith("Not saved: name is")
    assert why in error.value
    assert field(app, "Name").value == text
    field(app, "Name").set_value("short").run()
    assert not app.error
    assert latent_names(run).name(1) == "short"


def test_markup_in_a_name_is_text(open_app: OpenApp, run: Run) -> None:
    app = open_editor(open_app(PAGE, run="checkpoints/discrete", latent="1"))
    field(app, "Name").set_value(HOSTILE).run()
    assert HOSTILE not in app.subheader[0].value
    assert shown(app.subheader[0].value).startswith(f"Latent 1 · {HOSTILE}")


def test_a_search_finds_a_latent_of_another_run_and_leads_to_it(
    open_app: OpenApp, runs: dict[str, Run]
) -> None:
    name_latent(runs["runs/smooth"], 2, HOSTILE, note="turns orange " * 20)
    name_latent(runs["checkpoints/discrete"], 0, "size")
    app = open_app(run="checkpoints/discrete")
    app.session_state["latent-search"] = True
    app.run()
    field(app, "Name or note").set_value("ORANGE").run()
    found = [one for one in app.button if one.key and one.key.startswith("latent-found")]
    (one,) = found
    assert HOSTILE not in one.label
    assert shown(one.label) == f"latent 2 · {HOSTILE}"
    (caption,) = [text.value for text in app.sidebar.caption if "orange" in text.value]
    assert shown(caption).startswith("smooth: turns orange")
    one.click().run()
    assert not app.exception
    assert (app.query_params["run"], app.query_params["latent"]) == ("runs/smooth", "2")
    assert app.subheader[0].value.startswith("Latent 2 · ")


def test_a_damaged_file_is_said_and_kept_and_the_page_goes_on(
    open_app: OpenApp, runs: dict[str, Run]
) -> None:
    path = runs["runs/smooth"].path / "names.json"
    path.write_text("{")
    app = open_editor(open_app(PAGE, run="runs/smooth", latent="1"))
    assert "not valid JSON" in app.warning[0].value
    assert app.metric
    field(app, "Name").set_value("size").run()
    assert "not valid JSON" in app.error[0].value
    assert field(app, "Name").value == "size"
    assert path.read_text() == "{"


@pytest.mark.parametrize("gone", ["data", "encoder"])
def test_a_latent_without_data_is_named_all_the_same(
    open_app: OpenApp, runs: dict[str, Run], gone: str, without: Callable[[Run, str], None]
) -> None:
    run = runs["runs/smooth"]
    without(run, gone)
    app = open_editor(open_app(PAGE, run="runs/smooth", latent="2"))
    assert not app.exception
    field(app, "Name").set_value("height").run()
    assert app.subheader[0].value == "Latent 2 · height"
    assert latent_names(run).name(2) == "height"
    app.switch_page("../pages/explore.py").run()
    assert board_rows(app)[2] == "latent 2 · height"


@pytest.fixture
def without(own_folders: Path) -> Callable[[Run, str], None]:
    """Take the data set or the encoder from a run."""

    def take(run: Run, part: str) -> None:
        config = run.path / "config.json"
        if part == "data":
            config.write_text(config.read_text().replace('"circles"', '"gone"'))
            return
        shutil.rmtree(run.path)
        decoder = own_folders / "decoder.onnx"
        decoder.write_bytes(graphs.decoder().SerializeToString())
        import_model(run.path, decoder, latents="gaussian", dataset="circles")
        run.__dict__.pop("record", None)

    return take
