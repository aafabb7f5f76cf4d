"""The import of one's own images: upload, look at what they would become, name them, import."""

import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from dvae_core.data.imported.dataset import import_images, plan_import
from dvae_core.data.imported.folder_labels import TABLE
from dvae_core.errors import DataError
from ui.errors import errors_shown, plain
from ui.images import show_grid

if TYPE_CHECKING:
    from streamlit.runtime.uploaded_file_manager import UploadedFile

MAX_FILES = 5_000
WHOLE = (".npz", ".h5", ".hdf5", ".zip")
"""Files that are a data set by themselves."""


def show_import() -> None:
    """Upload, look at what it would become, name it, import it."""
    st.subheader("Your own images")
    st.write(
        "Pictures, or a zip file of pictures: folders in it become classes, and a table "
        "`labels.csv` beside the pictures gives each its factors. Or one .npz or .h5 file with "
        "`images` and, optionally, `factors` and `factor_names`. Import larger data sets from the "
        "command line:"
    )
    st.code("python -m dvae_core import FOLDER_OR_FILE --name mine", language=None)
    files = st.file_uploader(
        "Files",
        type=[*(suffix[1:] for suffix in WHOLE), "png", "jpg", "jpeg", "csv"],
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
    size = st.segmented_control("Pixels", [32, 64], default=64, required=True, key="import-size")
    with tempfile.TemporaryDirectory() as folder:
        try:
            source = _saved(files, Path(folder))
        except DataError as error:
            st.error(plain(str(error)), icon=":material/error:")
            return
        with errors_shown():
            plan = plan_import(source, size)
            st.write(f"{plan.kind}: {plan.num_images:,} images")
            show_grid(plan.preview[None], "preview")
            for factor, count in zip(plan.factor_names, plan.factor_sizes, strict=True):
                st.caption(f"factor {plain(factor)}: {count} values")
            for note in plan.notes:
                st.caption(plain(note))
            with st.form("import-form", border=False):
                name = st.text_input("Name", placeholder="mine", key="import-name", width=240)
                if st.form_submit_button("Import", type="primary", key="import"):
                    bar = st.progress(0.0, "importing")

                    def show(done: int, total: int) -> None:
                        bar.progress(done / max(1, total))

                    import_images(source, name, size, show)
                    st.session_state["imports"] = st.session_state.get("imports", 0) + 1
                    st.session_state["imported"] = name
                    st.rerun()


def _saved(files: "Sequence[UploadedFile]", folder: Path) -> Path:
    """The uploaded files in a folder, under names that are safe there: the browser's could be any
    path. The source of the import: the folder, or the one file that is a whole data set."""
    for file in files:
        name = Path(file.name.replace("\\", "/")).name
        path = folder / re.sub(r'[\x00-\x1f<>:"|?*]', "_", name)[-120:].lstrip(".")
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
