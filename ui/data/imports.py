"""The import of one's own images: upload, look at what they would become, name them, import."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from math import isfinite, nan
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from dvae_core.data.imported.dataset import ImportPlan, import_images, plan_import
from dvae_core.data.imported.folder_labels import TABLE
from dvae_core.data.imported.labels import called
from dvae_core.data.imported.options import FITS, MAX_BINS, SIDES, ImportOptions
from dvae_core.data.imported.source import PICTURE_SUFFIXES
from dvae_core.errors import DataError
from dvae_core.system.files import temporary_folder
from ui.errors import errors_shown, plain
from ui.expander import show_expander
from ui.images import show_grid
from ui.upload_memory import drop_uploads
from ui.widgets import whole_number

if TYPE_CHECKING:
    from streamlit.runtime.uploaded_file_manager import UploadedFile

MAX_FILES = 5_000
_PLAN = "import-plan"
WHOLE = (".npz", ".npy", ".h5", ".hdf5", ".mat", ".gz", ".zip", ".tar", ".parquet")
"""Files that are a data set by themselves."""


def show_import() -> None:
    """Upload, look at what it would become, name it, import it."""
    st.subheader("Your own images")
    st.write(
        "Pictures, or a zip file of pictures: folders in it become classes, and a table "
        "`labels.csv` beside the pictures gives each its factors. Or one file of arrays (.npz, "
        ".npy, .h5, .mat) with `images` and, optionally, `factors` and `factor_names`. Import "
        "larger data sets from the command line:"
    )
    st.code("python -m dvae_core import FOLDER_OR_FILE --name mine", language=None)
    files = st.file_uploader(
        "Files",
        type=[suffix[1:] for suffix in (*WHOLE, *PICTURE_SUFFIXES, ".csv")],
        accept_multiple_files=True,
        key=f"import-files-{st.session_state.get('imports', 0)}",
    )
    if not files:
        return
    if len(files) > MAX_FILES:
        st.error(
            f"{len(files):,} files were chosen, but the browser takes at most {MAX_FILES:,}: "
            "use the command above."
        )
        return
    size = st.segmented_control("Pixels", SIDES, default=64, required=True, key="import-size")
    with temporary_folder() as folder:
        try:
            source = _saved(files, folder)
        except DataError as error:
            st.error(plain(str(error)), icon=":material/error:")
            return
        with errors_shown(), _controls_named():
            options = _choose_options(size)
            plan = _plan(source, files, options)
            if plan.damaged:
                skips = st.checkbox(f"Skip {len(plan.damaged):,} damaged", key="import-skip")
                options = replace(options, skip_damaged=skips)
            st.write(f"{plan.kind}: {plan.num_images:,} images")
            show_grid(plan.preview[None], "preview")
            for factor, count in zip(plan.factor_names, plan.factor_sizes, strict=True):
                st.caption(plain(f"{called(factor)}: {count} values"))
            for note in plan.notes:
                st.caption(plain(_with_controls(note)))
            with st.form("import-form", border=False):
                name = st.text_input("Name", placeholder="mine", key="import-name", width=240)
                if st.form_submit_button("Import", type="primary", key="import"):
                    bar = st.progress(0.0, "importing")

                    def show(done: int, total: int) -> None:
                        bar.progress(done / max(1, total))

                    import_images(source, name, options, show)
                    drop_uploads()
                    st.session_state.pop(_PLAN, None)
                    st.session_state["imports"] = st.session_state.get("imports", 0) + 1
                    st.session_state["imported"] = name
                    st.rerun()


def _plan(source: Path, files: "Sequence[UploadedFile]", options: ImportOptions) -> ImportPlan:
    """The plan of an import. It reads every picture, so it is kept while a person goes on with the
    same files and options."""
    key = tuple(file.file_id for file in files), options
    kept: tuple[object, ImportPlan] | None = st.session_state.get(_PLAN)
    if kept is None or kept[0] != key:
        kept = st.session_state[_PLAN] = key, plan_import(source, options)
    return kept[1]


_CONTROLS = {
    "--skip-damaged": "“Skip damaged”",
    "--range": "“Give the values of black and white”",
    "--fit crop or pad": "“Images that are not square”",
    "--images NAME": "“Array of images”",
    "--bins": "“Bins for continuous factors”",
    "--keep-one-hot": "“Keep one-hot columns apart”",
}
"""The control on this page for each flag that a note names."""


@contextmanager
def _controls_named() -> Iterator[None]:
    """Errors name the controls of this page instead of flags."""
    try:
        yield
    except DataError as error:
        raise DataError(_with_controls(str(error))) from None


def _with_controls(text: str) -> str:
    for flag, control in _CONTROLS.items():
        text = text.replace(flag, control)
    return text


def _number(label: str, text: str) -> float:
    """The number in a text field.

    Raises:
        DataError: it is none.
    """
    try:
        number = float(text)
    except ValueError:
        number = nan
    if not isfinite(number):
        raise DataError(f"{label} is “{text[:40]}”: enter a number")
    return number


def _choose_options(size: int) -> ImportOptions:
    """How images are read, where the defaults do not fit."""
    with show_expander("How to read them", "import-options", ":material/tune:"):
        fit = st.segmented_control(
            "Images that are not square",
            list(FITS),
            default="squash",
            required=True,
            key="import-fit",
            help=" ".join(f"*{name}*: {text}" for name, text in FITS.items()),
        )
        color = st.color_picker(
            "Background",
            "#ffffff",
            key="import-background",
            help="Colour below transparent parts and around padded images.",
        )
        has_range = st.checkbox(
            "Give the values of black and white",
            key="import-has-range",
            help="By default, they are detected from the values of all images.",
        )
        value_range = None
        if has_range:
            with st.container(horizontal=True):
                ends = [
                    _number(name, st.text_input(name, default, key=f"import-{name}", width=160))
                    for name, default in (("Black", "0"), ("White", "255"))
                ]
            value_range = (ends[0], ends[1])
        with st.container(horizontal=True):
            images = st.text_input("Array of images", key="import-images", width=200)
            factors = st.text_input("Array of factors", key="import-factors", width=200)
            bins = whole_number(
                "Bins for continuous factors",
                2,
                MAX_BINS,
                key="import-bins",
                placeholder="none",
                help="Without bins, every value is kept. A factor with many values for few images "
                "is continuous.",
            )
        keep_one_hot = st.checkbox("Keep one-hot columns apart", key="import-one-hot")
    background = int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)
    return ImportOptions(
        image_size=size,
        fit=fit,
        background=background,
        value_range=value_range,
        images=images.strip(),
        factors=factors.strip(),
        bins=bins or 0,
        keep_one_hot=keep_one_hot,
    )


def _saved(files: "Sequence[UploadedFile]", folder: Path) -> Path:
    """The uploaded files in a folder, under names that are safe there: the browser's could be any
    path. The source of the import: the folder, or the one file that is a whole data set."""
    for file in files:
        name = Path(file.name.replace("\\", "/")).name
        path = folder / re.sub(r'[\x00-\x1f<>:"|?*]', "_", name)[-60:].lstrip(".")
        if path.exists():
            raise DataError(f"two of the files are called {path.name}: rename one of them")
        path.write_bytes(file.getbuffer())
    whole = [path for path in folder.iterdir() if path.suffix.lower() in WHOLE]
    if not whole:
        return _with_table(folder)
    if len(files) > 1:
        raise DataError(
            f"{whole[0].name} is a data set by itself: choose it alone, or pictures with a "
            f"{TABLE} at most"
        )
    return whole[0]


def _with_table(folder: Path) -> Path:
    tables = [path for path in folder.iterdir() if path.suffix.lower() == ".csv"]
    if len(tables) > 1:
        raise DataError(f"{len(tables)} tables are chosen: choose one .csv file at most")
    for table in tables:
        table.rename(folder / TABLE)
    return folder
