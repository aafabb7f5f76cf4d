import io
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from PIL import Image, ImageSequence

from dvae_core.analysis.traversal import to_pixels, traverse_latent
from dvae_core.config import RunConfig
from dvae_core.data import load_dataset
from dvae_core.errors import ConfigError
from dvae_core.exchange.onnx_import import import_model
from dvae_core.figures import traversal_export as module
from dvae_core.figures.traversal_export import (
    Traversals,
    animation_frames,
    check_size,
    chosen_latents,
    export_traversals,
    render_traversals,
    sheet_of,
    start_of_run,
    traversals_from,
)
from dvae_core.runs.names import name_latent
from dvae_core.runs.run import Run
from tests.onnx import graphs

HOSTILE = "<b>hue</b> & 壁"


@pytest.fixture(autouse=True)
def data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVAE_DATA", str(tmp_path / "data"))


def traversals_of(run: Run, latents: list[int], count: int = 5) -> Traversals:
    _, start = start_of_run(run, run.load_model(), 0)
    return traversals_from(start, run.id, run.record.dataset, latents, count)


@pytest.mark.parametrize("family", ["categorical", "gaussian"])
def test_the_frames_are_those_of_traverse_latent(
    family: str, tiny_config: RunConfig, trained_once: Callable[[RunConfig], Path]
) -> None:
    run = Run(trained_once(tiny_config.model_copy(update={"latents": family})))
    model = run.load_model()
    image = load_dataset("circles", 32).sample_images(1, torch.Generator().manual_seed(0))
    code = model.encode(image).mean_code()[0].detach()
    row = traversals_of(run, [1]).rows[0]
    values = model.latents.traversal_values(1)
    values = values[torch.linspace(0, len(values) - 1, 5).round().long()]
    np.testing.assert_array_equal(row.frames, to_pixels(traverse_latent(model, code, 1, values)))
    assert row.kl == pytest.approx(model.encode(image).kl()[0, 1].item())
    if family == "categorical":
        assert (row.unit, row.ticks) == ("category", tuple("01234"))
        assert row.places[4] == "category 4, value 1.00"
    else:
        assert (row.unit, row.ticks[0], row.places[-1]) == ("value", "-2.00", "value 2.00")


def test_an_svg_has_the_names_the_numbers_and_the_caption(tiny_run: Run, tmp_path: Path) -> None:
    name_latent(tiny_run, 0, HOSTILE)
    exported = export_traversals(tiny_run, tmp_path / "sheet.svg", "all")
    assert sorted(exported.latents) == [0, 1]
    assert exported.replaced == ""
    root = ElementTree.parse(tmp_path / "sheet.svg").getroot()
    texts = [e.text or "" for e in root.iter("{http://www.w3.org/2000/svg}text")]
    assert f"latent 0 · {HOSTILE}" in texts
    assert {"latent 1", "start image", "reconstruction", "category"} <= set(texts)
    assert sum(text.startswith("KL ") and text.endswith(" nats") for text in texts) == 2
    assert any("run tiny, data set circles" in text for text in texts)
    assert "with Miller-Madow correction, 1,024 images" in " ".join(texts)
    assert len(list(root.iter("{http://www.w3.org/2000/svg}image"))) == 2 * 5 + 2


def test_the_caption_names_the_protocol_of_an_evaluation() -> None:
    run = Run(Path("checkpoints/circles-categorical"))
    _, about = traversals_of(run, [0, 1], 2).caption
    assert about.endswith(
        "paper protocol (mean code in 20 equal-width bins; plug-in), 10,000 points"
    )


def test_characters_that_no_font_draws_are_told(
    tiny_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name_latent(tiny_run, 0, HOSTILE)
    monkeypatch.setattr(module, "undrawable", lambda texts: "壁" if "壁" in "".join(texts) else "")
    for ending, replaced in ((".pdf", "壁"), (".PNG", "壁"), (".svg", "")):
        assert export_traversals(tiny_run, tmp_path / f"x{ending}", [0]).replaced == replaced
    assert export_traversals(tiny_run, tmp_path / "x.pdf", [0], labels=False).replaced == ""


@pytest.mark.parametrize("kind", ["gif", "apng"])
def test_an_animation_shows_one_latent_after_another(
    tiny_run: Run, tmp_path: Path, kind: str
) -> None:
    path = tmp_path / f"all.{kind}"
    export_traversals(tiny_run, path, [1, 0], scale=3, fps=5)
    with Image.open(path) as image:
        assert len(list(ImageSequence.Iterator(image))) == 2 * (5 + 3)
        assert image.info["duration"] == 200
        assert image.height == 32 * 3 + 52


def test_frames_have_the_images_of_their_step(tiny_run: Run) -> None:
    traversals = traversals_of(tiny_run, [1, 0])
    first, second = traversals.rows
    bare = list(animation_frames(traversals, scale=1, labels=False))
    expected = [row.frames[step] for row in (first, second) for step in (0, 1, 2, 3, 4, 3, 2, 1)]
    np.testing.assert_array_equal([np.asarray(frame)[..., :1] for frame in bare], expected)
    together = list(animation_frames(traversals, scale=1, labels=False, together=True))
    assert len(together) == 8
    assert together[3].size == (32 + 8 + 32, 32)
    np.testing.assert_array_equal(np.asarray(together[3])[:, 40:, :1], second.frames[3])
    labelled = list(animation_frames(traversals, scale=1))
    assert labelled[0].size > bare[0].size
    assert labelled[0].tobytes() != labelled[1].tobytes()


def test_a_sheet_without_labels_is_the_images_alone(tiny_run: Run) -> None:
    traversals = traversals_of(tiny_run, [0, 1])
    png = render_traversals(traversals, "png", scale=1, labels=False)
    with Image.open(io.BytesIO(png)) as image:
        pixels = np.asarray(image)[..., :1]
    assert pixels.shape == (2 * 34 - 2, 5 * 34 - 2, 1)
    np.testing.assert_array_equal(pixels[34:, 34:66], traversals.rows[1].frames[1])


def test_rows_of_different_values_say_their_range(
    tiny_config: RunConfig, trained_once: Callable[[RunConfig], Path]
) -> None:
    config = tiny_config.model_copy(update={"cardinalities": (3, 5)})
    sheet = sheet_of(traversals_of(Run(trained_once(config)), [0, 1]))
    texts = [text.text for text in sheet.texts]
    assert "category 0 to 2" in texts
    assert "category 0 to 4" in texts
    assert "category" not in texts


def test_a_decoder_alone_is_traversed_from_the_prior(tmp_path: Path) -> None:
    (tmp_path / "decoder.onnx").write_bytes(graphs.decoder().SerializeToString())
    run = import_model(
        tmp_path / "mine", tmp_path / "decoder.onnx", latents="gaussian", dataset="circles"
    ).run
    exported = export_traversals(run, tmp_path / "x.svg", count=3)
    assert len(exported.latents) == run.record.num_latents
    text = (tmp_path / "x.svg").read_text()
    assert "a sample of the prior; the model has no encoder" in text
    assert "start image" not in text


def test_active_latents_are_those_with_a_kl_in_its_order() -> None:
    _, start = start_of_run(run := Run(Path("checkpoints/sprites-gaussian")), run.load_model(), 0)
    active = chosen_latents(start.profile, "active")
    kl = start.profile.kl
    assert active == sorted((kl > 0.05).nonzero()[0].tolist(), key=lambda latent: -kl[latent])
    assert sorted(chosen_latents(start.profile, "all")) == list(range(len(kl)))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("x.jpg", {}, "must end in .png, .svg, .pdf, .gif, .apng"),
        ("none/x.png", {}, "there is no folder"),
        ("folder.png", {}, "is a folder: give the name of a file"),
        ("x.png", {"count": 1}, "count is 1: give a number from 2 to 512"),
        ("x.png", {"count": 0}, "count is 0: give a number from 2 to 512"),
        ("x.gif", {"fps": 0.5}, "fps is 0.5: give a number from 1 to 50"),
        ("x.gif", {"scale": 17}, "scale is 17: give a number from 1 to 16"),
        ("x.gif", {"seed": -1}, "seed is -1: give a number from 0"),
        ("x.svg", {"latents": [2]}, "there is no latent 2: the model has 2"),
        ("x.svg", {"latents": [0, 0]}, "give at least one, and each once"),
        ("x.svg", {"latents": []}, "give at least one, and each once"),
        ("x.svg", {"latents": "some"}, "give their numbers, or active, or all"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_written(
    tiny_run: Run, tmp_path: Path, name: str, options: dict, message: str
) -> None:
    (tmp_path / "out" / "folder.png").mkdir(parents=True)
    with pytest.raises(ConfigError, match=message):
        export_traversals(tiny_run, tmp_path / "out" / name, **options)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["folder.png"]


def test_too_many_pixels_are_refused(tiny_run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    traversals = traversals_of(tiny_run, [0, 1])
    monkeypatch.setattr("dvae_core.figures.drawing.MAX_PIXELS", 2**20)
    for together in (False, True):
        with pytest.raises(ConfigError, match="choose fewer latents"):
            render_traversals(traversals, "gif", scale=16, together=together)
        with pytest.raises(ConfigError, match="choose fewer latents"):
            check_size((1, 32, 32), [5, 5], ".gif", 16, together)
    check_size((1, 32, 32), [5, 5], ".gif", 1)
    with pytest.raises(ConfigError, match="choose fewer latents"):
        check_size((1, 32, 32), [64] * 10, ".png", 4)
    check_size((1, 32, 32), [64] * 10, ".svg", 4)
    monkeypatch.setattr(module, "MAX_FRAME_BYTES", 2**10)
    with pytest.raises(ConfigError, match="choose fewer latents or a smaller count"):
        check_size((1, 32, 32), [5, 5], ".svg")
