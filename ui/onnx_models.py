"""Models in by upload, and out by download, as ONNX files."""

import io
import re
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import streamlit as st

from dvae_core.config import FAMILIES, FamilyName
from dvae_core.data import dataset_states
from dvae_core.exchange.onnx_export import exported_files
from dvae_core.exchange.onnx_import import CategoryValues, import_model, read_category_values
from dvae_core.onnx.description import DecoderOutput, ImageRange, OnnxLayout
from dvae_core.runs.catalog import own_folder
from dvae_core.runs.run import Run
from ui.cached import COMPUTING
from ui.errors import errors_shown, plain
from ui.expander import show_expander
from ui.widgets import whole_number

if TYPE_CHECKING:
    from streamlit.runtime.uploaded_file_manager import UploadedFile

INPUTS: dict[ImageRange, str] = {"image": "0 to 1", "signed": "−1 to 1"}
OUTPUTS: dict[DecoderOutput, str] = {
    "image": "0 to 1 (sigmoid)",
    "signed": "−1 to 1 (tanh)",
    "logits": "logits",
}


_Option = TypeVar("_Option", bound=str)


def show_import() -> None:
    """Two files, what they are, a name; then a run like any other."""
    generation = st.session_state.get("model-imports", 0)  # empties the fields after an import
    left, right = st.columns(2)
    with left:
        encoder = st.file_uploader(
            "Encoder (.onnx): images to the posterior",
            type="onnx",
            key=f"model-encoder-{generation}",
            help="Without an encoder, the model can be traversed from samples of the prior but "
            "not evaluated.",
        )
    with right:
        decoder = st.file_uploader(
            "Decoder (.onnx): codes to images", type="onnx", key=f"model-decoder-{generation}"
        )
    with st.container(horizontal=True, vertical_alignment="top", gap="medium"):
        families = {name: info.label for name, info in FAMILIES.items()}
        latents = _choose("Latents", families, "gaussian", key="model-latents")
        layout = _choose_layout(latents)
    categories, values = (None, None)
    if FAMILIES[latents].has_categories:
        categories, values = _choose_categories(generation)
    ready = [info.name for info in dataset_states() if info.state == "ready"]
    with st.form("model-form", border=False):
        with st.container(horizontal=True, vertical_alignment="bottom"):
            dataset = st.selectbox("Trained on", ready, key="model-dataset", width=220)
            name = st.text_input("Name", placeholder="mine", key="model-name", width=220)
            asked = st.form_submit_button(
                "Import",
                type="primary",
                key="model-import",
                # A click that overtakes the upload would be lost.
                disabled=decoder is None,
                help="Choose a decoder first." if decoder is None else None,
            )
        if asked and decoder is not None:
            with errors_shown(), st.spinner("Checking the files …"):
                _import(name, encoder, decoder, latents, dataset, layout, categories, values)


def show_export(run: Run) -> None:
    """A download of the model as ONNX files."""

    def archive() -> bytes:
        with COMPUTING:
            files = exported_files(run)
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
            for name, content in files.items():
                file.writestr(f"{run.id}-onnx/{name}", content)
        return buffer.getvalue()

    st.download_button(
        "ONNX files (ZIP)",
        archive,
        file_name=f"{run.id}-onnx.zip",
        icon=":material/download:",
        on_click="ignore",
        key="model-export",
        help="encoder.onnx, decoder.onnx, model.json and a README. Takes some seconds.",
    )


def _choose(label: str, options: dict[_Option, str], default: _Option, *, key: str) -> _Option:
    return st.segmented_control(
        label,
        list(options),
        format_func=options.__getitem__,
        default=default,
        required=True,
        key=key,
    )


def _choose_layout(latents: FamilyName) -> OnnxLayout:
    encoder_input = _choose("Encoder input range", INPUTS, "image", key="model-input")
    decoder_output = _choose("Decoder output", OUTPUTS, "image", key="model-output")
    interleaved = False
    if not FAMILIES[latents].has_categories:
        interleaved = st.checkbox(
            "Encoder output interleaves mean and log-variance",
            key="model-interleaved",
            help="For an encoder with one output: mean, log variance, mean, log variance, … "
            "instead of all means first. disentangling-vae does this.",
        )
    return OnnxLayout(
        interleaved=interleaved, encoder_input=encoder_input, decoder_output=decoder_output
    )


def _choose_categories(generation: int) -> tuple[int | None, "UploadedFile | None"]:
    with show_expander(
        "Category values, if they are not an even grid from −1 to 1 or there is no encoder",
        "import-values",
    ):
        count = whole_number(
            "Categories of a latent",
            2,
            512,
            placeholder="from the encoder",
            key="model-categories",
        )
        values = st.file_uploader(
            "Values (.json): one list of ascending numbers, or one for each latent",
            type="json",
            key=f"model-values-{generation}",
        )
    return count, values


def _import(
    name: str,
    encoder: "UploadedFile | None",
    decoder: "UploadedFile",
    latents: FamilyName,
    dataset: str,
    layout: OnnxLayout,
    num_categories: int | None,
    values: "UploadedFile | None",
) -> None:
    folder = own_folder(name)
    with tempfile.TemporaryDirectory() as uploads:
        encoder_path = _saved(encoder, Path(uploads) / "encoder") if encoder is not None else None
        category_values: CategoryValues = ()
        if values is not None:
            category_values = read_category_values(_saved(values, Path(uploads) / "values"))
        imported = import_model(
            folder,
            _saved(decoder, Path(uploads) / "decoder"),
            encoder_path,
            latents=latents,
            dataset=dataset,
            layout=layout,
            num_categories=num_categories,
            category_values=category_values,
        )
    st.session_state["model-imports"] = st.session_state.get("model-imports", 0) + 1
    st.session_state["model-imported"] = f"runs/{imported.run.id}", imported.notes
    st.rerun()


def show_imported(address: str, notes: tuple[str, ...]) -> None:
    """What the last import made."""
    _, _, name = address.partition("/")
    st.success(
        plain(f"{name} was imported. You can now choose it on Explore, Compare and Factors."),
        icon=":material/check:",
    )
    for note in notes:
        st.info(plain(note[0].upper() + note[1:]) + ".", icon=":material/info:")


def _saved(file: "UploadedFile", folder: Path) -> Path:
    folder.mkdir()
    # The browser's name could be any path; what is left of it is shown later.
    path = folder / re.sub(r"[^A-Za-z0-9._-]", "_", file.name)[-80:].lstrip(".")
    path.write_bytes(file.getbuffer())
    return path
