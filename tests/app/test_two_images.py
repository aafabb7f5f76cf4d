"""The tool of Explore that compares two images in one model."""

from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from dvae_core.exchange.onnx_import import import_model
from dvae_core.runs.run import Run
from tests.app.conftest import OpenApp
from tests.onnx import graphs

SMOOTH = {"run": "runs/smooth", "tool": "interpolation", "start": "factors-3.20"}


def said(app: AppTest) -> str:
    elements = [*app.info, *app.error, *app.markdown, *app.caption]
    return " ".join(element.value for element in elements).replace("\\", "")


def numbers(text: str) -> list[float]:
    return [float(value) for value in text.split(",")]


@pytest.mark.parametrize("address", ["checkpoints/discrete", "runs/smooth"])
def test_a_pinned_image_stays_while_a_person_chooses_another(
    open_app: OpenApp, runs: dict[str, Run], address: str
) -> None:
    app = open_app(run=address, start="factors-3.20")
    app.button(key="pin").click().run()
    assert app.query_params["other"] == "factors-3.20"
    assert "A and B have the same code" in said(app)
    app.sidebar.slider[0].set_value(28).run()
    assert not app.exception
    assert not app.error
    assert app.query_params["start"] == "factors-28.20"
    assert app.query_params["other"] == "factors-3.20"
    assert "The images differ in **x**. " in said(app)
    assert "| x | 28 | 3 |" in said(app)
    app.button(key="undo").click().run()
    app.button(key="undo").click().run()
    assert app.query_params["start"] == "factors-3.20"
    assert "other" not in app.query_params
    assert "Pin an image to compare it with another" in said(app)


def test_the_pinned_image_keeps_its_moved_handles(open_app: OpenApp, runs: dict[str, Run]) -> None:
    app = open_app(run="runs/smooth", start="factors-3.20", code="1,0,-1")
    app.button(key="pin").click().run()
    assert app.query_params["other_code"] == "1,0,-1"


def test_a_link_restores_both_and_a_latent_is_taken_over(
    open_app: OpenApp, runs: dict[str, Run]
) -> None:
    app = open_app(**SMOOTH, code="1,0,-1", other="prior-4", other_code="0.5,0,2")
    assert not app.exception
    assert not app.error
    assert app.query_params["other"] == "prior-4"
    assert app.query_params["other_code"] == "0.5,0,2"
    app.button(key="runs/smooth-pair-take-2").click().run()
    assert numbers(app.query_params["code"]) == [1, 0, 2]
    app.button(key="runs/smooth-pair-show-0").click().run()
    assert app.query_params["latent"] == "0"
    app.button(key="undo").click().run()
    assert numbers(app.query_params["code"]) == [1, 0, -1]


def test_a_swap_reaches_the_side_bar_and_is_undone_at_once(
    open_app: OpenApp, runs: dict[str, Run]
) -> None:
    app = open_app(**SMOOTH, other="factors-28.9", other_code="0.5,0,2")
    app.button(key="runs/smooth-pair-swap").click().run()
    assert [app.query_params[name] for name in ("start", "other")] == [
        "factors-28.9",
        "factors-3.20",
    ]
    assert app.query_params["code"] == "0.5,0,2"
    assert [slider.value for slider in app.sidebar.slider] == [28, 9]
    app.button(key="undo").click().run()
    assert app.query_params["start"] == "factors-3.20"
    assert app.query_params["other_code"] == "0.5,0,2"


def test_b_has_the_controls_of_a_start_and_can_be_done_without(
    open_app: OpenApp, runs: dict[str, Run]
) -> None:
    app = open_app(**SMOOTH, other="factors-28.9")
    app.button_group(key="runs/smooth-other-kind").set_value("prior").run()
    assert app.query_params["other"] == "prior-0"
    assert app.query_params["start"] == "factors-3.20"
    app.button(key="runs/smooth-pair-unpin").click().run()
    assert "other" not in app.query_params
    app.button(key="pin-random").click().run()
    assert app.query_params["other"].startswith("factors-")
    assert not app.exception


def test_snapping_counts_for_both(open_app: OpenApp, runs: dict[str, Run]) -> None:
    app = open_app(run="checkpoints/discrete", tool="interpolation", other="factors-28.9")
    app.sidebar.toggle[0].set_value(True).run()
    second = app.session_state["second-images"]["checkpoints/discrete"]
    assert second.hard
    app.button(key="undo").click().run()
    assert not second.hard


@pytest.mark.parametrize(
    ("link", "note", "kept"),
    [
        ({"other": "<b>"}, "image B “<b>” cannot be read", False),
        ({"other": "factors-99.0"}, "Image B is not available", False),
        ({"other": "upload-0123456789abcdef"}, "does not have the uploaded image", False),
        ({"other": "prior-1", "other_code": "1,nan,2"}, "code of image B cannot be read", True),
        ({"other": "prior-1", "other_code": "1,2"}, "has 2 values, but this model", True),
        ({"other": "prior-1", "other_code": "1,1e9,2"}, "was clamped", True),
    ],
)
def test_a_link_to_an_image_b_that_is_not_here_is_a_note(
    open_app: OpenApp, runs: dict[str, Run], link: dict[str, str], note: str, kept: bool
) -> None:
    app = open_app(**SMOOTH, **link)
    assert not app.exception
    assert not app.error
    assert note in said(app)
    assert ("other" in app.query_params) == kept


def test_another_run_of_the_same_images_keeps_b(open_app: OpenApp, runs: dict[str, Run]) -> None:
    app = open_app(**SMOOTH, other="factors-28.9", other_code="0.5,0,2")
    app.sidebar.selectbox(key="run-choice").set_value("checkpoints/discrete").run()
    assert not app.exception
    assert app.query_params["other"] == "factors-28.9"
    assert "other_code" not in app.query_params


def test_without_an_encoder_samples_of_the_prior_are_compared(
    open_app: OpenApp, own_folders: Path, tmp_path: Path
) -> None:
    (tmp_path / "decoder.onnx").write_bytes(graphs.decoder(20).SerializeToString())
    import_model(
        own_folders / "runs" / "alone",
        tmp_path / "decoder.onnx",
        latents="gaussian",
        dataset="circles",
    )
    app = open_app(run="runs/alone", tool="interpolation")
    app.button(key="pin-random").click().run()
    assert not app.exception
    assert not app.error
    assert app.query_params["other"].startswith("prior-")
    assert "more latents with" in said(app)
    uploaded = open_app(run="runs/alone", tool="interpolation", other="factors-3.4")
    assert not uploaded.exception
    assert "Image B is not available" in said(uploaded)


def test_images_without_factors_are_compared_by_their_codes(
    open_app: OpenApp, own_folders: Path, train_unlabelled: Callable[[int], str]
) -> None:
    address = train_unlabelled(4)
    app = open_app(run=address, tool="interpolation", other="image-2")
    assert not app.exception
    assert not app.error
    assert "of the difference of the codes is in" in said(app)
    assert "differ in" not in said(app)
    (own_folders / "data").rename(own_folders / "gone")
    gone = open_app(run=address, tool="interpolation", start="prior-1", other="prior-2")
    assert not gone.exception
    assert not gone.error
    assert "Only prior samples and your own images are available" in gone.warning[0].value
    assert "of the difference of the codes is in" in said(gone)
