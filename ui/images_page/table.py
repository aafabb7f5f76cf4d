"""The table of the images of a slice: a page of rows with thumbnails, sorted by any column."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import streamlit as st
import torch
from numpy.typing import NDArray

from dvae_core.analysis.code_files import code_file, posterior_source
from dvae_core.analysis.conditions import quantity_of
from dvae_core.analysis.encoded import EncodedSet, images_of
from dvae_core.analysis.traversal import decode_codes, to_pixels
from dvae_core.data.dataset import Dataset
from dvae_core.errors import ConfigError
from dvae_core.models.vae import VAE
from dvae_core.runs.names import LatentNames
from ui.cached import COMPUTING
from ui.encoding import MAX_POSTERIOR_BYTES, posterior_bytes
from ui.images import data_url, to_png
from ui.images_page import view
from ui.images_page.quantities import describe, quantities
from ui.link import current_view, set_view
from ui.tables import show_table
from ui.widgets import choose, parse_whole

# Of a page: three screens of rows. Thumbnails of all images would be tens of megabytes.
ROWS = 30
ROW_HEIGHT = 56
THUMBNAIL = 48
PICTURES = ("image", "reconstruction", "difference")
UNSORTED = "random order"
WORST = ("loss", True)


@dataclass(frozen=True)
class Images:
    """What the page shows: a model, its data set, and the encoded images.

    Attributes:
        model: that encoded them.
        dataset: whose images they are.
        encoded: their codes.
        choose: makes the image of a row the start everywhere.
        names: what people call the latents.
    """

    model: VAE
    dataset: Dataset
    encoded: EncodedSet
    choose: Callable[[int], None]
    names: LatentNames


def show_image_table(images: Images, rows: NDArray[np.int64], run_id: str) -> None:
    """A page of the table.

    Args:
        images: what there is.
        rows: of the slice.
        run_id: for the names of files.
    """
    _choose_order(images.encoded, images.names)
    ordered = _ordered(images.encoded, rows)
    page, pages = _page(len(ordered))
    _show_rows(images, ordered[(page - 1) * ROWS : page * ROWS])
    if pages > 1:
        _choose_page(page, pages, len(ordered))
    _show_downloads(images, rows, run_id)


def _choose_order(encoded: EncodedSet, names: LatentNames) -> None:
    quantity, descending = view.sorting()
    unsorted = {"": UNSORTED, "number": "number"}
    more = [] if quantity in unsorted else [quantity]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        choose(
            "Sort by",
            unsorted | quantities(encoded, names, *more),
            quantity,
            name="images-sort",
            take=lambda by: view.keep_sorting(by, by == "loss"),
            help="Or click the head of a column. A second click reverses the order.",
            width=200,
        )
        st.button(
            "",
            icon=":material/swap_vert:",
            key="images-reverse",
            help="Reverse the order",
            disabled=not quantity,
            on_click=lambda: view.keep_sorting(quantity, not descending),
        )
        st.button(
            "Worst reconstructions first",
            icon=":material/trending_down:",
            key="images-worst",
            disabled=(quantity, descending) == WORST,
            on_click=lambda: view.keep_sorting(*WORST),
            help="Sorts by reconstruction loss, and shows each image beside its reconstruction.",
        )


def _ordered(encoded: EncodedSet, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    quantity, descending = view.sorting()
    if not quantity:
        return rows
    try:
        values = encoded.numbers if quantity == "number" else quantity_of(encoded, quantity)
    except ConfigError:  # a link of another run
        view.keep_sorting("", False)
        return rows
    keys = values[rows]
    return rows[np.argsort(-keys if descending else keys, kind="stable")]


def _page(total: int) -> tuple[int, int]:
    """The number of the page that is shown, and the number of all."""
    pages = max(1, -(-total // ROWS))
    return min(max(parse_whole(current_view().get("page", "")) or 1, 1), pages), pages


def _choose_page(page: int, pages: int, total: int) -> None:
    def turn(to: int) -> None:
        set_view(view.PAGE, page=str(to) if to > 1 else "")

    with st.container(horizontal=True, vertical_alignment="center", key="images-pages"):
        for name, to, icon in (
            ("First page", 1, "first_page"),
            ("Previous page", page - 1, "chevron_left"),
            ("Next page", page + 1, "chevron_right"),
            ("Last page", pages, "last_page"),
        ):
            st.button(
                "",
                icon=f":material/{icon}:",
                key=f"images-{icon}",
                help=name,
                disabled=not 1 <= to <= pages or to == page,
                on_click=turn,
                args=(to,),
            )
        last = min(page * ROWS, total)
        st.caption(f"{(page - 1) * ROWS + 1:,} to {last:,} of {total:,}", width="content")


def _show_rows(images: Images, rows: NDArray[np.int64]) -> None:
    import pandas as pd

    encoded = images.encoded
    columns = _pictures(images, rows) | {"number": encoded.numbers[rows]}
    quantity, descending = view.sorting()
    known = quantities(encoded, images.names)
    if quantity not in ("", "number"):  # first, so that it is seen
        known = {quantity: describe(quantity, images.names)} | known
    for name in known:
        columns[name] = quantity_of(encoded, name)[rows]
    config: dict[str, Any] = {
        name: st.column_config.ImageColumn(name, width=76, pinned=name == "image")
        for name in PICTURES
    }
    config["number"] = st.column_config.NumberColumn("number", format="localized")
    arrow = " ↓" if descending else " ↑"
    for name, label in {"number": "number", **known}.items():
        short = {"loss": "loss, nats"}.get(name, label)
        places = "%.2f" if name.startswith(("loss", "kl", "latent")) else "localized"
        config[name] = st.column_config.NumberColumn(
            short + (arrow if name == quantity else ""), format=places
        )
    # Other rows make another table, in which nothing is selected.
    key = f"images-table-{hash((encoded.origin, rows.tobytes(), quantity, descending))}"

    def take() -> None:
        selection = st.session_state[key]["selection"]
        if selection["columns"]:
            _sort_by(selection["columns"][0])
        elif selection["cells"]:
            place = selection["cells"][0][0]
            if place < len(rows):
                images.choose(int(rows[place]))

    show_table(
        pd.DataFrame(columns),
        height=min(40 + ROW_HEIGHT * len(rows), 620),
        row_height=ROW_HEIGHT,
        column_config=config,
        key=key,
        on_select=take,
        selection_mode=("single-cell", "single-column"),
        alt="Images of the slice with their factors, loss, KL and categories",
    )
    inactive = encoded.num_latents - int(np.count_nonzero(encoded.active))
    left_out = f" {inactive} inactive latents are left out." if inactive else ""
    st.caption(
        "Click a row, or move with the arrow keys, to start from its image on every page. "
        "The menu of a column sorts this page alone. Factors and categories are numbered from "
        f"0.{left_out}"
    )


def _sort_by(column: str) -> None:
    if column in PICTURES:
        return
    quantity, descending = view.sorting()
    view.keep_sorting(column, not descending if column == quantity else column == "loss")


@torch.inference_mode()
def _pictures(images: Images, rows: NDArray[np.int64]) -> dict[str, list[str]]:
    """Thumbnails of rows, as data URLs; worst first, with the reconstruction and the difference."""
    found = images_of(images.dataset, images.encoded, rows)
    columns = {"image": _urls(to_pixels(found))}
    if view.sorting() == WORST:
        codes = torch.from_numpy(images.encoded.codes[rows]).to(found.device)
        with COMPUTING:
            decoded = decode_codes(images.model, codes)
        columns["reconstruction"] = _urls(to_pixels(decoded))
        columns["difference"] = _urls(to_pixels((1 + decoded - found) / 2))
    return columns


def _urls(pixels: NDArray[np.uint8]) -> list[str]:
    scale = max(1, THUMBNAIL // pixels.shape[2])
    return [data_url(to_png(each, scale, quick=True)) for each in pixels]


def _show_downloads(images: Images, rows: NDArray[np.int64], run_id: str) -> None:
    has_room = len(rows) * posterior_bytes(images.model) <= MAX_POSTERIOR_BYTES

    def content(ending: str, posteriors: bool) -> bytes:
        encoded = images.encoded
        source = posterior_source(images.model, images.dataset, encoded) if posteriors else None
        return code_file(ending, encoded, rows, source, run_id)

    with st.container(horizontal=True, vertical_alignment="center"):
        st.download_button(
            "Table (CSV)",
            lambda: content(".csv", False),
            f"{run_id}-images.csv",
            icon=":material/download:",
            on_click="ignore",
            key="images-csv",
            help="The images of the slice: number, factors, loss, KL, and all codes.",
        )
        st.download_button(
            "Codes (NPZ)",
            lambda: content(".npz", has_room),
            f"{run_id}-images.npz",
            icon=":material/download:",
            on_click="ignore",
            key="images-npz",
            help="The same as arrays, with the probability of every category; the array README "
            "describes them."
            if has_room
            else "The same as arrays; the array README describes them. The probabilities of all "
            "categories are too many for a download: `python -m dvae_core codes` writes them.",
        )
