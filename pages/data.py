"""Every data set with its factors and sample images, and the way in for one's own."""

import pandas as pd
import streamlit as st
import torch

from dvae_core.analysis.traversal import to_pixels
from dvae_core.data import dataset_states
from dvae_core.data.dataset import Dataset, factor_variation
from dvae_core.data.imported.dataset import read_imported_header, remove_imported
from dvae_core.data.listing import DatasetInfo, dataset_info
from ui.cached import st_load_dataset
from ui.data.downloads import show_download, start_download
from ui.data.imports import show_import
from ui.errors import errors_shown, plain
from ui.expander import show_expander
from ui.images import show_grid
from ui.link import current_view, set_view
from ui.routing import PAGES
from ui.tables import choose_rows
from ui.titles import show_title
from ui.train.draft import change
from ui.train.draft import choose_dataset as choose_training_data
from ui.widgets import when_changed, widget_key

SHEET_IMAGES = 12
_DOWNLOAD = ":material/download: Download"


def show_list(infos: list[DatasetInfo]) -> DatasetInfo:
    """The table of all data sets, and the chosen one."""
    st.subheader("All data sets", anchor=False)
    names = [info.name for info in infos]
    chosen = current_view().get("set", "")
    chosen = chosen if chosen in names else names[0]
    choose_rows(
        pd.DataFrame(
            {
                "data set": names,
                "state": [info.state for info in infos],
                "images": [info.num_images for info in infos],
                "factors": [
                    ", ".join(
                        f"{name} {size}"
                        for name, size in zip(info.factor_names, info.factor_sizes, strict=True)
                    )
                    or "none"
                    for info in infos
                ],
                "origin": [info.origin for info in infos],
                "": [_DOWNLOAD if info.state == "file missing" else None for info in infos],
            }
        ),
        [names.index(chosen)],
        name="data-table",
        take=lambda rows: _choose_row(infos, rows),
        column_config={
            "data set": st.column_config.TextColumn(width=150),
            "images": st.column_config.NumberColumn(format="localized", width=90),
            "factors": st.column_config.TextColumn(width=300),
            "": st.column_config.ButtonColumn(
                width=110,
                type="tertiary",
                key="data-download-in-table",
                on_click=lambda: _download_row(infos),
            ),
        },
    )
    key = widget_key("data-name", chosen)
    name = st.selectbox(
        "Data set",
        names,
        names.index(chosen),
        key=key,
        on_change=when_changed(key, choose_dataset),
        width=300,
    )
    return infos[names.index(name)]


def _choose_row(infos: list[DatasetInfo], rows: list[int]) -> None:
    if rows and rows[0] < len(infos):
        choose_dataset(infos[rows[0]].name)


def _download_row(infos: list[DatasetInfo]) -> None:
    name = infos[st.session_state["data-download-in-table"]["row"]].name
    choose_dataset(name)
    start_download(name)


def choose_dataset(name: str) -> None:
    """Look at another data set, which the link says."""
    set_view("data", set=name)


def show_sheet(dataset: Dataset, seed: int) -> None:
    """A row a factor, in which it alone varies; random images where there are no factors."""
    generator = torch.Generator(dataset.device).manual_seed(seed)
    if not dataset.factor_sizes:
        images = to_pixels(dataset.sample_images(2 * SHEET_IMAGES, generator))
        rows = images.reshape(2, SHEET_IMAGES, *images.shape[1:])
        show_grid(rows, "random images")
        return
    factors = dataset.sample_factors(1, generator)[0]
    for factor, name in enumerate(dataset.factor_names):
        varying, _ = factor_variation(dataset, factors, factor, SHEET_IMAGES)
        show_grid(to_pixels(varying)[None], f"{plain(name)}: {dataset.factor_sizes[factor]} values")


def show_one(info: DatasetInfo) -> None:
    """One set: its sheet, or how to get it."""
    if info.state != "ready":
        st.info(plain(info.detail), icon=":material/download:")
    else:
        st.caption(plain(info.detail))
    if info.state == "file missing":
        show_download(info.name)
    if info.state == "ready":
        seed = st.session_state.setdefault("data-seed", 0)
        dataset = st_load_dataset(info.name, 64 if info.image_shape[1] != 32 else 32)
        show_sheet(dataset, seed)
        if dataset.noise:
            st.caption(
                f"Random in each image, and no factor: {dataset.noise}. The rows keep it fixed."
            )
        st.button("Another image", icon=":material/shuffle:", on_click=next_seed, key="data-next")
    if info.origin == "imported":
        show_changes(info.name)
        with st.popover("Remove this data set", icon=":material/delete:"):
            st.write("This deletes the imported copy. Runs trained on it are kept.")
            st.button("Remove it", on_click=remove, args=(info.name,), key="data-remove")


def show_changes(name: str) -> None:
    """What the import changed, and which pictures it left out."""
    with errors_shown():
        about = read_imported_header(name).about
        if about.remarks or about.skipped:
            with show_expander("What the import changed", "data-changes", ":material/info:"):
                for remark in about.remarks:
                    st.caption(plain(remark))
                if about.skipped:
                    st.caption(plain(f"Skipped: {', '.join(about.skipped)}"))


def next_seed() -> None:
    """Show the sheet around another image."""
    st.session_state["data-seed"] += 1


def remove(name: str) -> None:
    """Remove an imported set, and forget what was cached of it."""
    with errors_shown():
        remove_imported(name)
        st.cache_resource.clear()


def train_on(name: str) -> None:
    """Go to the form of a new run on a data set."""
    with errors_shown():
        choose_training_data(name)
        change({"image_size": dataset_info(name).image_shape[1]})
        set_view("train", view="new")
        st.session_state["data-train"] = True


show_title(
    "Data",
    "The data sets that models train on, with their true factors, and an import for your own "
    "images.",
)
if st.session_state.pop("data-train", False):
    st.switch_page(PAGES / "train.py")
if imported := st.session_state.pop("imported", None):
    choose_dataset(imported)
    st.success(f"{imported} was imported.", icon=":material/check:")
    st.button(
        "Train on it",
        icon=":material/model_training:",
        type="primary",
        on_click=train_on,
        args=(imported,),
        key="data-train-on-it",
    )
show_import()
with errors_shown():
    show_one(show_list(dataset_states()))
