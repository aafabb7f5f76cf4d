"""Models in by upload, and out by download, as ONNX files."""

import io
import re
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import streamlit as st

from dvae_core.config import CATEGORY_RANGE, FAMILIES, FamilyName
from dvae_core.data import dataset_states
from dvae_core.errors import ConfigError
from dvae_core.exchange.model_description import ModelDescription, parse_description
from dvae_core.exchange.onnx_export import exported_files
from dvae_core.exchange.onnx_import import CategoryValues, import_model, read_category_values
from dvae_core.onnx.description import (
    CategoriesAs,
    Channels,
    CodesAs,
    DecoderOutput,
    ImageRange,
    OnnxLayout,
    VarianceAs,
)
from dvae_core.runs.catalog import own_folder
from dvae_core.runs.run import Run
from dvae_core.system.files import temporary_folder
from dvae_core.system.shipped import app_folder
from ui.errors import errors_shown, plain
from ui.expander import show_expander
from ui.upload_memory import drop_uploads
from ui.widgets import whole_number

if TYPE_CHECKING:
    from streamlit.runtime.uploaded_file_manager import UploadedFile

INPUTS: dict[ImageRange, str] = {"image": "0 to 1", "signed": "−1 to 1", "bytes": "0 to 255"}
OUTPUTS: dict[DecoderOutput, str] = {
    "image": "0 to 1 (sigmoid)",
    "signed": "−1 to 1 (tanh)",
    "bytes": "0 to 255",
    "logits": "logits",
}
VARIANCES: dict[VarianceAs | None, str] = {
    None: "as its name says, or else log variance",
    "log_variance": "log variance",
    "log_std": "log standard deviation",
    "variance": "variance",
    "std": "standard deviation",
}
CATEGORIES: dict[CategoriesAs | None, str] = {
    None: "as its values say",
    "logits": "logits",
    "probabilities": "probabilities",
}
CODES: dict[CodesAs | None, str] = {
    None: "as its shape says",
    "values": "category values (batch, N)",
    "one_hot": "one-hot rows (batch, N, K)",
    "flat_one_hot": "flattened one-hot rows (batch, N · K)",
}
CHANNELS: dict[Channels | None, str] = {
    None: "as the shape says",
    "first": "(batch, C, H, W)",
    "last": "(batch, H, W, C)",
}
LAYOUT = set(OnnxLayout.model_fields)
# A checkpoint is refused in words, which a browser would not let a user choose otherwise.
SUFFIXES = ["onnx", "pt", "pth", "ckpt", "safetensors"]

_Option = TypeVar("_Option", bound=str)


def show_import() -> None:
    """Two files, what they are, a name; then a run like any other."""
    generation = st.session_state.get("model-imports", 0)  # empties the fields after an import
    left, middle, right = st.columns(3)
    with left:
        encoder = st.file_uploader(
            "Encoder (.onnx): images to the posterior",
            type=SUFFIXES,
            key=f"model-encoder-{generation}",
            help="Without an encoder, the model can be traversed from samples of the prior but "
            "not evaluated.",
        )
    with middle:
        decoder = st.file_uploader(
            "Decoder (.onnx): codes to images", type=SUFFIXES, key=f"model-decoder-{generation}"
        )
    with right:
        described, version = _choose_description(generation)
    with st.container(horizontal=True, vertical_alignment="top", gap="medium"):
        families = {name: info.label for name, info in FAMILIES.items()}
        family: FamilyName = described.latents if described else "gaussian"
        latents = _choose("Latents", families, family, key=f"model-latents{version}")
        layout = _choose_layout(latents, described or OnnxLayout(), version)
    layout = _choose_what_is_found(latents, layout, version)
    categories, values = None, None
    category_values: CategoryValues = ()
    if FAMILIES[latents].has_categories:
        category_values = described.category_values or () if described else ()
        categories, values = _choose_categories(generation)
    ready = [info.name for info in dataset_states() if info.state == "ready"]
    trained_on = described.dataset if described and described.dataset in ready else ready[0]
    with st.form("model-form", border=False):
        with st.container(horizontal=True, vertical_alignment="bottom"):
            dataset = st.selectbox(
                "Trained on",
                ready,
                ready.index(trained_on),
                key=f"model-dataset{version}",
                width=220,
            )
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
                if values is not None:
                    category_values = _read_values(values)
                names = (described.latent_names or ()) if described else ()
                _import(
                    name,
                    encoder,
                    decoder,
                    latents,
                    dataset,
                    layout,
                    categories,
                    category_values,
                    names,
                )


def show_recipes() -> None:
    """How to export a model from other software: a chapter of docs/models.md."""
    text = (app_folder() / "docs" / "models.md").read_text(encoding="utf-8")
    chapter = text.partition("\n## Recipes\n")[2].partition("\n## ")[0]
    common, *sections = re.sub(r"<!--.*?-->\n", "", chapter).split("\n### ")
    recipes = dict(section.split("\n", 1) for section in sections)
    with show_expander("Recipes for other frameworks", "model-recipes", ":material/menu_book:"):
        name = st.segmented_control(
            "Model from", list(recipes), default=next(iter(recipes)), required=True, key="recipe"
        )
        st.markdown(common)
        st.markdown(recipes[name])


def show_export(run: Run) -> None:
    """A download of the model as ONNX files."""

    def archive() -> bytes:
        files = exported_files(run)  # in a process of its own, so other sessions need not wait
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


def _choose_description(generation: int) -> tuple[ModelDescription | None, str]:
    """What a model.json says, if one is given, and a suffix for the keys of the widgets that it
    fills: another file fills them anew."""
    file = st.file_uploader(
        "model.json of an export, which fills in the rest",
        type="json",
        key=f"model-description-{generation}",
        help="Optional. An export of this app has it beside the ONNX files.",
    )
    if file is None:
        return None, ""
    content = file.getvalue()
    with errors_shown():
        return parse_description(file.name, content), f"-{zlib.crc32(content)}"
    return None, ""


def _choose_layout(latents: FamilyName, default: OnnxLayout, version: str) -> OnnxLayout:
    encoder_input = _choose(
        "Encoder input range", INPUTS, default.encoder_input, key=f"model-input{version}"
    )
    decoder_output = _choose(
        "Decoder output", OUTPUTS, default.decoder_output, key=f"model-output{version}"
    )
    changes: dict[str, Any] = {"encoder_input": encoder_input, "decoder_output": decoder_output}
    if not FAMILIES[latents].has_categories:
        changes["variance_as"] = st.selectbox(
            "Encoder returns the mean and",
            list(VARIANCES),
            list(VARIANCES).index(default.variance_as),
            format_func=VARIANCES.__getitem__,
            key=f"model-variance{version}",
        )
        changes["interleaved"] = st.checkbox(
            "Encoder output interleaves mean and log-variance",
            default.interleaved,
            key=f"model-interleaved{version}",
            help="For an encoder with one output: mean, log variance, mean, log variance, … "
            "instead of all means first. disentangling-vae does this.",
        )
    fixed = st.text_input(
        "Fixed inputs",
        " ".join(default.fix),
        placeholder="label=3",
        key=f"model-fixed{version}",
        help="For a conditional model: values of its other inputs, as NAME=VALUE or, for a "
        "one-hot label, NAME=0,0,1. Separate several inputs by spaces.",
    )
    return OnnxLayout(**default.model_dump(include=LAYOUT) | changes | {"fix": fixed.split()})


def _choose_what_is_found(latents: FamilyName, layout: OnnxLayout, version: str) -> OnnxLayout:
    """Fields for what an import finds out by itself, in case it is wrong."""
    asked: dict[str, tuple[str, dict[Any, str]]] = {
        "encoder_channels": ("Images that the encoder reads", CHANNELS),
        "decoder_channels": ("Images that the decoder returns", CHANNELS),
    }
    if FAMILIES[latents].has_categories:
        asked["categories_as"] = "Encoder returns", CATEGORIES
        asked["codes_as"] = "Decoder reads", CODES
    with (
        show_expander("What the import finds out by itself", "model-found", ":material/tune:"),
        st.container(horizontal=True, vertical_alignment="top", gap="medium"),
    ):
        found: dict[str, Any] = {
            name: st.selectbox(
                label,
                list(options),
                list(options).index(getattr(layout, name)),
                format_func=options.__getitem__,
                key=f"model-{name}{version}",
                width=240,
            )
            for name, (label, options) in asked.items()
        }
        places = st.text_input(
            "Encoder outputs to read",
            " ".join(map(str, layout.encoder_outputs or ())),
            placeholder="by their names",
            key=f"model-encoder_outputs{version}",
            width=240,
            help="Their places in the file, counted from 0, the means first: 2 1 reads the means "
            "from the third output and the variances from the second.",
        )
    found["encoder_outputs"] = _parse_places(places)
    return OnnxLayout(**layout.model_dump() | found)


def _parse_places(text: str) -> tuple[int, ...] | None:
    words = text.split()
    if not all(word.isascii() and word.isdigit() for word in words):
        raise ConfigError(
            f"encoder outputs are {text[:40]!r}: give their places, such as 0 1, or nothing"
        )
    return tuple(map(int, words)) or None


def _choose_categories(generation: int) -> tuple[int | None, "UploadedFile | None"]:
    with show_expander(
        "Category values, if they are not an even grid from −1 to 1 or there is no encoder",
        "import-values",
    ):
        count = whole_number(
            "Categories of a latent",
            *CATEGORY_RANGE,
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
    category_values: CategoryValues,
    latent_names: Sequence[str],
) -> None:
    folder = own_folder(name)
    with temporary_folder() as uploads:
        encoder_path = _saved(encoder, uploads / "encoder") if encoder is not None else None
        imported = import_model(
            folder,
            _saved(decoder, uploads / "decoder"),
            encoder_path,
            latents=latents,
            dataset=dataset,
            layout=layout,
            num_categories=num_categories,
            category_values=category_values,
            latent_names=latent_names,
        )
    drop_uploads()
    st.session_state["model-imports"] = st.session_state.get("model-imports", 0) + 1
    st.session_state["model-imported"] = f"runs/{imported.run.id}", imported.notes
    st.rerun()


def _read_values(file: "UploadedFile") -> CategoryValues:
    with temporary_folder() as uploads:
        return read_category_values(_saved(file, uploads / "values"))


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
