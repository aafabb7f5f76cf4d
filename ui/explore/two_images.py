"""Two images in one model: A, the start of the page, and B beside it, with linked boards."""

from dataclasses import dataclass
from functools import partial
from typing import Literal

import streamlit as st

from dvae_core.data.dataset import Dataset
from dvae_core.runs.names import LatentNames
from ui.boards import BoardView, show_board
from ui.explore.second_image import Explorations, move, pin, pin_random, swap, unpin
from ui.link import current_view, set_view
from ui.reconstruction import show_reconstruction
from ui.selection import Code
from ui.start_picker import ResolvedStart, choose_start
from ui.widgets import when_changed, widget_key

TITLES = {"A": "A, the start", "B": "B, the second image"}
SHOWN = 4
"""Rows of a board at first, so that the page stays short."""


@dataclass(frozen=True)
class ImagePair:
    """Image A, the start of the page, and image B, each with its board.

    Attributes:
        explorations: of A and B.
        starts: of A and B, looked up.
        views: boards of A and B.
        dataset: of the run, or None.
    """

    explorations: Explorations
    starts: tuple[ResolvedStart, ResolvedStart]
    views: tuple[BoardView, BoardView]
    dataset: Dataset | None

    @property
    def codes(self) -> tuple[Code, Code]:
        """Where the handles stand."""
        first, second = (tuple(view.code.tolist()) for view in self.views)
        return first, second

    @property
    def names(self) -> LatentNames:
        """What people call the latents."""
        return self.views[0].names

    @property
    def key(self) -> str:
        """Begins the keys of the widgets."""
        return f"{self.explorations[0].address}-pair"


def show_boards(pair: ImagePair) -> None:
    """The boards of A and B side by side, each above its reconstruction."""
    linked = current_view().get("linked") != "no"
    for index, (column, side) in enumerate(zip(st.columns(2, gap="medium"), TITLES, strict=True)):
        with column:
            st.markdown(f"#### {TITLES[side]}")
            show_board(
                pair.views[index],
                key=f"board-{side}-{pair.explorations[0].address}",
                on_release=partial(move, pair.explorations, pair.codes, index, linked),
                label=f"latents of image {side}",
                side=side,
            )
            show_reconstruction(pair.views[index].model, pair.starts[index])


def _choose_second(pair: ImagePair) -> None:
    first, second = pair.explorations
    with st.popover("Choose B", icon=":material/image_search:", key=f"{pair.key}-choose"):
        choose_start(
            second,
            pair.views[0].model,
            pair.dataset,
            key=f"{first.address}-other",
            label="Image B from",
            shortcut=None,
        )


def show_actions(pair: ImagePair) -> bool:
    """What changes both images at once. Returns whether A is another now, which the side bar
    shows."""
    key = pair.key
    _choose_second(pair)
    swapped = st.button(
        "Swap A and B",
        icon=":material/swap_horiz:",
        key=f"{key}-swap",
        on_click=swap,
        args=(pair.explorations,),
    )
    st.button(
        "Unpin B",
        icon=":material/keep_off:",
        key=f"{key}-unpin",
        on_click=unpin,
        args=(pair.explorations,),
    )
    is_linked = current_view().get("linked") != "no"
    linked_key = widget_key(f"{key}-linked", is_linked)
    st.toggle(
        "Link the boards",
        is_linked,
        key=linked_key,
        on_change=when_changed(linked_key, lambda on: set_view(linked="" if on else "no")),
        help="Moving a latent on one board also sets it to the same value on the other.",
    )
    return swapped


def show_nothing_pinned(explorations: Explorations, dataset: Dataset | None) -> None:
    """What to do without an image B."""
    st.markdown("#### Pin an image to compare it with another")
    st.write(
        "The pinned image stays as B while you choose another start. Both get a board, and the "
        "page shows which latents differ and a path from one image to the other."
    )
    with st.container(horizontal=True):
        show_pin(explorations, "pin-first", type="primary")
        st.button(
            "Sample of the prior as B" if dataset is None else "Random image as B",
            icon=":material/shuffle:",
            key="pin-random",
            on_click=pin_random,
            args=(explorations, dataset),
        )


def show_pin(
    explorations: Explorations, key: str, type: Literal["primary", "secondary"] = "secondary"
) -> None:
    """The button that keeps the image of the page as B."""
    st.button(
        "Pin this image",
        icon=":material/keep:",
        key=key,
        on_click=pin,
        args=(explorations,),
        help="Keeps the start and its code as image B, beside the next start that you choose.",
        type=type,
    )
