import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image, ImageSequence
from streamlit.testing.v1 import AppTest

from dvae_core.config import RunConfig
from dvae_core.data.imported.dataset import import_images
from dvae_core.data.imported.options import ImportOptions
from dvae_core.runs.names import name_latent
from dvae_core.runs.run import Run
from dvae_core.training.trainer import train
from tests.app.conftest import OpenApp


def notes(app: AppTest) -> str:
    return " ".join(element.value for element in [*app.info, *app.warning, *app.error])


def test_without_a_run_the_page_says_how_to_get_one(open_app: OpenApp) -> None:
    app = open_app()
    assert not app.exception
    assert "python -m dvae_core train" in app.code[0].value


def test_the_page_opens_on_a_run_without_a_word_of_complaint(
    open_app: OpenApp, runs: dict[str, Run]
) -> None:
    app = open_app()
    assert not app.exception
    assert notes(app) == ""
    assert app.sidebar.selectbox(key="run-choice").value == "checkpoints/discrete"
    assert app.metric[0].label == "Reconstruction loss of the start"
    assert app.query_params["run"] == "checkpoints/discrete"
    assert app.query_params["start"] == "factors-16.16"


@pytest.mark.parametrize("address", ["checkpoints/discrete", "runs/smooth"])
def test_both_families_open_by_link(open_app: OpenApp, runs: dict[str, Run], address: str) -> None:
    app = open_app(run=address, start="factors-3.20")
    assert not app.exception
    assert notes(app) == ""
    assert app.query_params["run"] == address
    assert [slider.value for slider in app.sidebar.slider] == [3, 20]


def test_an_image_of_a_sample_is_chosen_by_its_number(
    open_app: OpenApp, own_folders: Path, tiny_config: RunConfig, tmp_path: Path
) -> None:
    # Of the four combinations of two factors, two have an image.
    pixels = np.zeros((2, 32, 32), np.uint8)
    pixels[1] = 200
    np.savez(tmp_path / "two.npz", images=pixels, factors=np.array([[0, 1], [1, 0]]))
    import_images(tmp_path / "two.npz", "two", ImportOptions(32))
    config = tiny_config.model_copy(update={"dataset": "two"})
    train(Run.create(own_folders / "runs" / "sampled", config, (1, 32, 32)))
    app = open_app(run="runs/sampled")
    (slider,) = app.sidebar.slider
    assert (slider.label, slider.min, slider.max) == ("image", 0, 1)
    for number, shown in ((0, "factor 0 0 · factor 1 1"), (1, "factor 0 1 · factor 1 0")):
        app.sidebar.slider[0].set_value(number).run()
        assert not app.exception
        assert app.sidebar.slider[0].value == number
        assert shown in [caption.value for caption in app.sidebar.caption]


def test_a_factor_slider_chooses_another_start(open_app: OpenApp, runs: dict[str, Run]) -> None:
    app = open_app()
    app.sidebar.slider[0].set_value(5).run()
    assert app.query_params["start"] == "factors-5.16"


def test_next_and_previous_go_through_the_data_set(open_app: OpenApp, runs: dict[str, Run]) -> None:
    app = open_app(run="runs/smooth", start="factors-3.31")
    app.button(key="runs/smooth-start-next").click().run()
    assert app.query_params["start"] == "factors-4.0"
    app.button(key="runs/smooth-start-previous").click().run()
    assert app.query_params["start"] == "factors-3.31"


def test_a_sample_of_the_prior_has_no_original(open_app: OpenApp, runs: dict[str, Run]) -> None:
    app = open_app(run="runs/smooth", start="prior-4")
    assert not app.exception
    assert not app.metric
    assert app.query_params["start"] == "prior-4"
    legend = next(each.value for each in app.caption if "**grey**" in each.value)
    assert "posterior" not in legend
    assert "mean KL of the data from the prior" in legend


def test_rows_show_the_information_that_they_are_ordered_by(
    open_app: OpenApp, runs: dict[str, Run]
) -> None:
    app = open_app(run="checkpoints/discrete", order="y")
    (board,) = [node for node in app if node.type == "bidi_component"]
    (data,) = json.loads(board.proto.json)
    shares = [row["information"] for row in data["rows"]]
    assert {row["carries"] for row in data["rows"]} == {"y"}
    assert shares == sorted(shares, reverse=True)
    assert any("how much of y's entropy" in each.value for each in app.caption)


def test_undo_brings_the_start_before(open_app: OpenApp, runs: dict[str, Run]) -> None:
    app = open_app()
    app.sidebar.slider[0].set_value(5).run()
    app.button(key="undo").click().run()
    assert app.query_params["start"] == "factors-16.16"
    assert app.sidebar.slider[0].value == 16


def test_the_side_bar_follows_undo_to_another_kind_of_start(
    open_app: OpenApp, runs: dict[str, Run]
) -> None:
    app = open_app()
    app.button_group(key="checkpoints/discrete-start-kind").set_value("prior").run()
    assert app.query_params["start"] == "prior-0"
    app.button(key="undo").click().run()
    assert app.query_params["start"] == "factors-16.16"
    kinds = [group.value for group in app.button_group if group.label == "Start from"]
    assert kinds == ["data"]


def test_factors_with_hostile_names_are_shown(
    open_app: OpenApp,
    runs: dict[str, Run],
    own_folders: Path,
    tiny_config: RunConfig,
) -> None:
    images = np.random.default_rng(0).integers(0, 255, (6, 32, 32), np.uint8)
    factors = np.array([[0, 0], [0, 1], [0, 2], [1, 0], [1, 1], [1, 2]])
    source = own_folders / "odd.npz"
    np.savez(source, images=images, factors=factors, factor_names=np.array(["kind", "KL"]))
    import_images(source, "odd", ImportOptions(32))
    config = tiny_config.model_copy(update={"dataset": "odd", "steps": 2})
    train(Run.create(own_folders / "runs" / "odd", config, (1, 32, 32)))
    app = open_app(run="runs/odd")
    assert not app.exception
    assert not app.error
    app.sidebar.slider[1].set_value(2).run()
    assert app.query_params["start"].endswith(".2")


def test_a_noisy_set_shows_another_image_of_the_same_factors(
    open_app: OpenApp, own_folders: Path, tiny_config: RunConfig
) -> None:
    config = tiny_config.model_copy(update={"dataset": "digits", "steps": 2})
    train(Run.create(own_folders / "runs" / "digits", config, (1, 32, 32)))
    app = open_app(run="runs/digits", start="factors-3")
    first = app.metric[0].value
    app.button(key="runs/digits-start-instance").click().run()
    assert app.query_params["start"] == "factors-3~1"
    assert app.metric[0].value != first


def test_the_loss_is_of_the_start_wherever_the_handles_stand(
    open_app: OpenApp, runs: dict[str, Run]
) -> None:
    at_start = open_app(run="runs/smooth", start="factors-3.20")
    elsewhere = open_app(run="runs/smooth", start="factors-3.20", code="2,2,-2")
    another = open_app(run="runs/smooth", start="factors-20.3")
    assert elsewhere.query_params["code"] == "2,2,-2"
    assert at_start.metric[0].value == elsewhere.metric[0].value != another.metric[0].value


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"run": "runs/../../etc"}, "which is not here"),
        ({"run": "runs/gone"}, "which is not here"),
        ({"run": "runs/smooth", "start": "factors-99.0"}, "This start is not available"),
        ({"run": "runs/smooth", "start": "factors-1.2.3"}, "This start is not available"),
        ({"run": "runs/smooth", "start": "image-5"}, "This start is not available"),
        ({"run": "runs/smooth", "start": "x"}, "cannot be read"),
        ({"run": "runs/smooth", "start": "prior-1", "code": "1,2"}, "has 2 values, but this model"),
        ({"run": "runs/smooth", "start": "prior-1", "code": "1,nan,2"}, "code cannot be read"),
        ({"run": "runs/smooth", "start": "prior-1", "code": "1,1e9,2"}, "leaves the range -10 to"),
        ({"run": "checkpoints/discrete", "code": "15,-15"}, "leaves the range -1 to 1"),
        ({"start": "prior-1"}, "names no run"),
        ({"run": "runs/smooth", "start": "prior-1", "code": "<b>"}, "code cannot be read"),
    ],
)
def test_a_link_that_asks_for_what_is_not_here_is_a_note_and_a_sensible_state(
    open_app: OpenApp, runs: dict[str, Run], query: dict[str, str], said: str
) -> None:
    app = open_app(**query)
    assert not app.exception
    assert not app.error
    assert said in notes(app).replace("\\", "")
    assert app.query_params["run"] in runs


def test_a_damaged_shipped_run_is_named_too(open_app: OpenApp, runs: dict[str, Run]) -> None:
    (runs["checkpoints/discrete"].path / "config.json").write_text("{")
    app = open_app(run="runs/smooth")
    assert not app.exception
    captions = " ".join(caption.value for caption in app.sidebar.caption)
    assert "checkpoints/discrete: " in captions.replace("\\", "")


def test_a_damaged_run_is_named_and_the_others_stay(
    open_app: OpenApp, runs: dict[str, Run]
) -> None:
    (runs["runs/smooth"].path / "config.json").write_text("{")
    app = open_app()
    assert not app.exception
    assert app.sidebar.selectbox(key="run-choice").options == ["discrete (shipped)"]
    captions = " ".join(caption.value for caption in app.sidebar.caption)
    assert "config.json is not valid JSON" in captions.replace("\\", "")


def test_weights_that_cannot_be_read_are_an_error_box_and_the_list_stays(
    open_app: OpenApp, runs: dict[str, Run]
) -> None:
    path = runs["checkpoints/discrete"].path / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-10])
    app = open_app()
    assert not app.exception
    assert "is damaged" in app.error[0].value
    app.sidebar.selectbox(key="run-choice").set_value("runs/smooth").run()
    assert not app.error
    assert app.metric


@pytest.mark.parametrize("tool", ["pair", "interpolation", "downloads"])
@pytest.mark.parametrize("address", ["checkpoints/discrete", "runs/smooth"])
def test_every_tool_opens_for_both_families(
    open_app: OpenApp, runs: dict[str, Run], tool: str, address: str
) -> None:
    app = open_app(run=address)
    app.button_group(key="tool").set_value(tool).run()
    assert not app.exception
    assert not app.error


def test_a_run_whose_data_set_is_gone_still_slides_from_the_prior(
    open_app: OpenApp, runs: dict[str, Run], own_folders: Path
) -> None:
    path = runs["runs/smooth"].path / "config.json"
    path.write_text(path.read_text().replace('"circles"', '"vanished"'))
    app = open_app(run="runs/smooth")
    assert not app.exception
    assert not app.error
    assert "no data set is called" in notes(app)
    assert app.query_params["start"] == "prior-0"


def test_snapping_keeps_the_latents_that_a_person_moved(
    open_app: OpenApp, runs: dict[str, Run]
) -> None:
    app = open_app(run="checkpoints/discrete", start="factors-3.20")
    start = app.session_state["selection"].exploration()
    own = open_app(run="checkpoints/discrete", start="factors-3.20", hard="1")
    assert not own.exception
    from ui.cached import st_load_dataset, st_load_model
    from ui.start_picker import resolve_start

    run = runs["checkpoints/discrete"]
    code = resolve_start(start, st_load_model(run), st_load_dataset("circles", 32)).code.tolist()
    moved = f"1,{code[1]:.9g}"
    app = open_app(run="checkpoints/discrete", start="factors-3.20", code=moved)
    app.sidebar.toggle[0].set_value(True).run()
    snapped = [float(value) for value in app.query_params["code"].split(",")]
    assert snapped[0] == 1.0
    assert snapped[1] in [-1.0, -0.5, 0.0, 0.5, 1.0]
    app.button(key="undo").click().run()
    assert app.query_params["code"] == moved
    app.button(key="redo").click().run()
    assert app.query_params["hard"] == "1"


def test_another_run_of_the_same_data_shows_the_same_image(
    open_app: OpenApp, runs: dict[str, Run]
) -> None:
    app = open_app(run="checkpoints/discrete", start="factors-3.20")
    app.sidebar.selectbox(key="run-choice").set_value("runs/smooth").run()
    assert app.query_params["run"] == "runs/smooth"
    assert app.query_params["start"] == "factors-3.20"


def test_an_uploaded_start_is_restored_by_its_link(
    open_app: OpenApp, runs: dict[str, Run], own_folders: Path
) -> None:
    from ui.uploads import keep_upload

    name = keep_upload(np.full((32, 32, 1), 200, np.uint8))
    app = open_app(run="runs/smooth", start=f"upload-{name}")
    assert not app.exception
    assert notes(app) == ""
    assert app.query_params["start"] == f"upload-{name}"
    gone = open_app(run="runs/smooth", start="upload-0123456789abcdef")
    assert "does not have the uploaded image" in notes(gone).replace("\\", "")


@pytest.mark.parametrize("study", ["mine", "circles_thesis"])
def test_a_record_is_said_to_have_no_weights(
    open_app: OpenApp, runs: dict[str, Run], own_folders: Path, study: str
) -> None:
    folder = own_folders / "studies" / study / "one"
    record = Run(shutil.copytree(runs["runs/smooth"].path, folder))
    (folder / "model.safetensors").unlink()
    record.write_status(record.status().model_copy(update={"weights_kept": False}))
    app = open_app(run=f"studies/{study}/one")
    assert not app.exception
    assert "is a record" in app.info[0].value
    # Only a sweep file that is there can train the run again.
    assert (f"sweep sweeps/{study}.toml" in app.info[0].value) == (study == "circles_thesis")


def collect_downloads(monkeypatch: pytest.MonkeyPatch) -> dict[str, Callable[[], bytes]]:
    """The content of each download by the name of its file, once a page has run."""
    found: dict[str, Callable[[], bytes]] = {}

    def note(label: str, kind: str, name: str, content: Callable[[], bytes]) -> None:
        found[f"{name}.{kind}"] = content

    monkeypatch.setattr("ui.explore.downloads._download", note)
    return found


@pytest.mark.parametrize("address", ["checkpoints/discrete", "runs/smooth"])
def test_the_export_writes_what_the_board_shows(
    open_app: OpenApp, runs: dict[str, Run], monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    found = collect_downloads(monkeypatch)
    name_latent(runs[address], 1, "<b>up</b> & down")
    app = open_app(run=address, tool="downloads", start="factors-3.20")
    app.multiselect[0].set_value([1]).run()
    assert not app.exception
    run_id = runs[address].id
    sheet = found[f"{run_id}-traversals.svg"]().decode()
    root = ElementTree.fromstring(sheet)
    texts = [text.text for text in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "latent 1 · <b>up</b> & down" in texts
    assert f"run {run_id}, data set circles" in " ".join(str(text) for text in texts)
    assert found[f"{run_id}-traversals.pdf"]().startswith(b"%PDF")
    assert found[f"{run_id}-traversals.png"]().startswith(b"\x89PNG")
    app.button_group(key="export-format").set_value("Animation").run()
    app.text_input(key="export-fps").set_value("25")
    app.text_input(key="export-scale").set_value("2").run()
    for kind in ("gif", "apng"):
        with Image.open(io.BytesIO(found[f"{run_id}-traversals.{kind}"]())) as film:
            assert film.info["duration"] == 40
            frames = 8 if address == "checkpoints/discrete" else 46
            assert len(list(ImageSequence.Iterator(film))) == frames
    app.multiselect[0].set_value([0, 1, 2] if address == "runs/smooth" else [0, 1])
    app.text_input(key="export-scale").set_value("16")
    app.text_input(key="export-count-Animation").set_value("512").run()
    assert ("choose fewer latents" in " ".join(w.value for w in app.warning)) == (
        address == "runs/smooth"
    )


def test_the_export_encodes_the_data_set_only_when_asked(
    open_app: OpenApp, runs: dict[str, Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = collect_downloads(monkeypatch)
    app = open_app(run="checkpoints/discrete", tool="downloads")
    assert "discrete-codes.npz" not in found
    app.text_input(key="export-images-discrete").set_value("50").run()
    app.button(key="export-encode-discrete-50-button").click().run()
    assert not app.exception
    with np.load(io.BytesIO(found["discrete-codes.npz"]())) as file:
        assert file["posteriors"].shape == (50, 2, 5)
    app.toggle(key="export-posteriors").set_value(False).run()
    head = found["discrete-codes.csv"]().decode().partition("\n")[0]
    assert "probability 1" in head
    assert "posterior" not in head
