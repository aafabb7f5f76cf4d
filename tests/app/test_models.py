from pathlib import Path

import onnx
import pytest
from onnx import ModelProto
from streamlit.testing.v1 import AppTest

from dvae_core.exchange.onnx_export import exported_files
from dvae_core.exchange.onnx_import import import_model
from dvae_core.runs.names import latent_names, name_latent
from dvae_core.runs.run import Run
from tests.app.conftest import OpenApp
from tests.onnx import graphs

PAGE = "pages/models.py"
Uploads = dict[str, onnx.ModelProto | bytes]


def upload(app: AppTest, name: str = "mine", **files: onnx.ModelProto | bytes) -> AppTest:
    """Choose the files and a name, and press Import."""
    for part, file in files.items():
        content = file if isinstance(file, bytes) else file.SerializeToString()
        app.file_uploader(key=f"model-{part}-0").set_value((f"{part}.onnx", content, ""))
    app.run()
    app.selectbox(key="model-dataset").set_value("circles")
    app.text_input(key="model-name").set_value(name)
    return app.button(key="model-import").click().run()


def said(app: AppTest) -> str:
    return " ".join(element.value for element in [*app.error, *app.info, *app.success])


def test_two_files_become_a_run_that_explore_slides(open_app: OpenApp, own_folders: Path) -> None:
    app = upload(open_app(PAGE), encoder=graphs.encoder(), decoder=graphs.decoder())
    assert not app.exception
    assert "mine was imported" in said(app)
    run = Run(own_folders / "runs" / "mine")
    assert run.record.origin == "imported from encoder.onnx and decoder.onnx"
    app.button(key="model-explore").click().run()
    assert not app.exception
    assert app.query_params["run"] == "runs/mine"
    assert app.metric[0].label == "Reconstruction loss of the start"


def test_the_layout_is_asked_for(open_app: OpenApp, own_folders: Path) -> None:
    app = open_app(PAGE)
    app.segmented_control(key="model-output").set_value("logits")
    app.segmented_control(key="model-input").set_value("signed")
    app.checkbox(key="model-interleaved").check()
    decoder = graphs.decoder(last="", scale=3.0)
    app = upload(app, encoder=graphs.encoder((6,)), decoder=decoder)
    assert not app.error
    imported = Run(own_folders / "runs" / "mine").record.imported
    assert imported is not None
    assert (imported.decoder_output, imported.encoder_input) == ("logits", "signed")
    assert imported.interleaved


def test_a_label_is_fixed_in_a_field(open_app: OpenApp, own_folders: Path) -> None:
    app = open_app(PAGE)
    app.text_input(key="model-fixed").set_value("label").run()
    assert "must be NAME=VALUE" in app.error[0].value.replace("\\", "")
    app.text_input(key="model-fixed").set_value("label=3").run()
    app.selectbox(key="model-variance").set_value("log_std").run()
    decoder = graphs.labelled(graphs.decoder(), onnx.TensorProto.INT64, ["batch"])
    app = upload(app, encoder=graphs.encoder(), decoder=decoder)
    assert not app.error
    assert "is fixed to 3" in said(app).replace("\\", "")
    imported = Run(own_folders / "runs" / "mine").record.imported
    assert imported is not None
    assert (imported.fix, imported.variance_as) == (("label=3",), "log_std")


def test_what_the_import_finds_out_can_be_said(open_app: OpenApp, own_folders: Path) -> None:
    app = open_app(PAGE)
    app.text_input(key="model-encoder_outputs").set_value("1, 0").run()
    assert "encoder outputs are '1, 0': give their places" in app.error[0].value.replace("\\", "")
    app.text_input(key="model-encoder_outputs").set_value("1 0").run()
    app.selectbox(key="model-encoder_channels").set_value("first").run()
    app = upload(app, encoder=graphs.encoder(), decoder=graphs.decoder())
    assert not app.error
    imported = Run(own_folders / "runs" / "mine").record.imported
    assert imported is not None
    assert imported.encoder_outputs == (1, 0)


def test_a_checkpoint_is_refused_with_the_way_on(open_app: OpenApp, own_folders: Path) -> None:
    app = open_app(PAGE)
    app.file_uploader(key="model-decoder-0").set_value(("model.pt", b"PK", "")).run()
    app.text_input(key="model-name").set_value("mine")
    app.button(key="model-import").click().run()
    (error,) = app.error
    assert "model.pt is a PyTorch checkpoint" in error.value.replace("\\", "")


def test_the_description_of_an_export_fills_the_form(
    open_app: OpenApp, own_folders: Path, runs: dict[str, Run]
) -> None:
    name_latent(runs["checkpoints/discrete"], 1, "height")
    files = exported_files(runs["checkpoints/discrete"])
    app = open_app(PAGE)
    described = ("model.json", files["model.json"], "application/json")
    app.file_uploader(key="model-description-0").set_value(described)
    for part in ("encoder", "decoder"):
        uploaded = (f"{part}.onnx", files[f"{part}.onnx"], "")
        app.file_uploader(key=f"model-{part}-0").set_value(uploaded)
    app.run()
    chosen = {group.label: group.value for group in app.segmented_control}
    assert (chosen["Latents"], chosen["Decoder output"]) == ("categorical", "logits")
    app.text_input(key="model-name").set_value("again")
    app.button(key="model-import").click().run()
    assert not app.error
    assert latent_names(Run(own_folders / "runs" / "again")).name(1) == "height"
    again = Run(own_folders / "runs" / "again").record
    assert (again.latents, again.dataset) == ("categorical", "circles")
    assert again.category_counts == runs["checkpoints/discrete"].record.category_counts


@pytest.mark.parametrize("content", [b"", b"[1, 2]", b'{"latents": "other"}', b"\xff\xfe"])
def test_a_file_that_describes_no_model_is_one_line(open_app: OpenApp, content: bytes) -> None:
    app = open_app(PAGE)
    described = ("model.json", content, "application/json")
    app.file_uploader(key="model-description-0").set_value(described).run()
    assert not app.exception
    (error,) = app.error
    assert "model.json is not the model.json of an export" in error.value.replace("\\", "")


def test_every_recipe_is_shown_in_place(open_app: OpenApp) -> None:
    app = open_app(PAGE)
    recipes = app.segmented_control(key="recipe")
    assert {"pythae", "disent"} <= set(recipes.options)
    recipes.set_value("pythae").run()
    assert "AutoModel.load_from_folder" in " ".join(text.value for text in app.markdown)


def test_categories_of_other_values_are_uploaded(open_app: OpenApp, own_folders: Path) -> None:
    app = open_app(PAGE)
    app.segmented_control(key="model-latents").set_value("categorical").run()
    values = ("values.json", b"[[0, 1, 2], [0, 1]]", "application/json")
    app.file_uploader(key="model-values-0").set_value(values)
    app = upload(app, encoder=graphs.encoder((6,)), decoder=graphs.decoder(2))
    assert not app.error
    assert Run(own_folders / "runs" / "mine").record.category_counts == (3, 2)


@pytest.mark.parametrize(
    ("name", "files", "complaint"),
    [
        ("mine", {"decoder": b"no model"}, "not an ONNX file"),
        ("mine", {"encoder": graphs.encoder((4, 4)), "decoder": graphs.decoder(3)}, "3 latents"),
        ("../mine", {"decoder": graphs.decoder()}, "cannot name a run"),
        ("mine", {"decoder": graphs.decoder(shape=(3, 32, 32))}, "has grey images"),
    ],
)
def test_what_does_not_fit_is_one_line_and_the_page_lives(
    open_app: OpenApp, own_folders: Path, name: str, files: Uploads, complaint: str
) -> None:
    app = upload(open_app(PAGE), name, **files)
    assert not app.exception
    (error,) = app.error
    assert complaint in error.value.replace("\\", "")
    assert not list(own_folders.rglob("decoder.onnx"))


def test_without_a_decoder_no_import_is_offered(open_app: OpenApp) -> None:
    app = open_app(PAGE)
    assert app.button(key="model-import").disabled
    encoder = graphs.encoder().SerializeToString()
    app.file_uploader(key="model-encoder-0").set_value(("encoder.onnx", encoder, "")).run()
    assert app.button(key="model-import").disabled
    decoder = graphs.decoder().SerializeToString()
    app.file_uploader(key="model-decoder-0").set_value(("decoder.onnx", decoder, "")).run()
    assert not app.button(key="model-import").disabled


def test_a_decoder_alone_is_slid_and_the_other_pages_say_what_they_lack(
    open_app: OpenApp, own_folders: Path, runs: dict[str, Run], tmp_path: Path
) -> None:
    (tmp_path / "decoder.onnx").write_bytes(graphs.decoder().SerializeToString())
    import_model(
        own_folders / "runs" / "alone",
        tmp_path / "decoder.onnx",
        latents="gaussian",
        dataset="circles",
    )
    app = open_app(run="runs/alone")
    assert not app.exception
    assert not app.error
    assert "no encoder" in said(app)
    assert app.query_params["start"] == "prior-0"
    assert not app.metric  # nothing to reconstruct
    factors = open_app("pages/factors.py", run="runs/alone")
    assert not factors.exception
    assert "has no encoder" in said(factors)
    compare = open_app("pages/compare.py")
    assert not compare.exception
    assert "runs/alone" not in compare.sidebar.selectbox[0].options
    assert not open_app("pages/method.py").exception


def import_gaussian(target: Path, folder: Path, models: dict[str, ModelProto]) -> None:
    """Import an encoder and a decoder, written to a folder, as Gaussian latents of circles."""
    for part, model in models.items():
        (folder / f"{part}.onnx").write_bytes(model.SerializeToString())
    import_model(
        target,
        folder / "decoder.onnx",
        folder / "encoder.onnx",
        latents="gaussian",
        dataset="circles",
    )


def test_a_model_of_many_latents_is_explored(
    open_app: OpenApp, own_folders: Path, tmp_path: Path
) -> None:
    shape = (1, 48, 32)
    models = {"encoder": graphs.encoder((100, 100), shape), "decoder": graphs.decoder(100, shape)}
    import_gaussian(own_folders / "runs" / "mine", tmp_path, models)
    app = open_app(run="runs/mine", tool="downloads")
    assert not app.exception
    assert not app.error
    assert "circles 48x32" in " ".join(caption.value for caption in app.caption).replace("\\", "")


def test_an_imported_model_is_compared_with_one_of_ours(
    open_app: OpenApp, own_folders: Path, runs: dict[str, Run], tmp_path: Path
) -> None:
    models = {"encoder": graphs.encoder(), "decoder": graphs.decoder()}
    import_gaussian(own_folders / "runs" / "mine", tmp_path, models)
    compare = open_app("pages/compare.py")
    compare.sidebar.selectbox[0].set_value("runs/mine").run()
    assert not compare.exception
    assert not compare.error
    factors = open_app("pages/factors.py", run="runs/mine")
    assert not factors.exception
    assert not factors.error


def test_a_run_is_offered_as_onnx_files(open_app: OpenApp, runs: dict[str, Run]) -> None:
    app = open_app(PAGE)
    assert not app.exception
    assert [button.proto.label for button in app.get("download_button")] == ["ONNX files (ZIP)"]
