"""A latent board for a model, a start and a code: shared by every page that slides latents."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import streamlit as st
import torch
from torch import Tensor

from dvae_core.analysis.latent_profile import LatentProfile
from dvae_core.analysis.traversal import decode_codes, to_pixels, traverse_all
from dvae_core.models.latents import Posterior
from dvae_core.models.vae import VAE
from dvae_core.runs.names import NO_NAMES, LatentNames
from dvae_core.web.board import (
    BoardFrames,
    BoardTarget,
    encode_frames,
)
from dvae_core.web.rows import all_values, board_rows, shown_nats
from ui.cached import COMPUTING
from ui.decoders import browser_decoder
from ui.errors import plain
from ui.latent_board import BoardEvent, can_decode, latent_board
from ui.selection import current_selection
from ui.widgets import when_changed, widget_key

FRAME_BYTES = 64 * 2**20
"""Of all frames of a board that the server renders. 64 latents of 64 categories need 48 MB at 64x64
in colour."""
OPEN_ROWS = 16
"""Of a board with more than twice as many."""
_LEAST_VALUES = 16  # of a continuous latent, if thinning them makes room for more latents


@dataclass(frozen=True)
class BoardView:
    """What a board shows.

    Attributes:
        model: decodes the frames.
        profile: what the data make of each latent.
        order: latents from top to bottom.
        start_code: (N,), where Escape and reset go back to.
        code: (N,), where the handles stand.
        posterior: of the start image; None where it began without an image.
        chosen: the latent to show first in the readout, or None.
        shown: active latents to show at first, the others fold away; None shows all, or
            `OPEN_ROWS` of many.
        factor: that the latents are ordered by, or None.
        names: what people call the latents.
        target: a second code to blend with, or None.
    """

    model: VAE
    profile: LatentProfile
    order: Sequence[int]
    start_code: Tensor
    code: Tensor
    posterior: Posterior | None
    chosen: int | None = None
    shown: int | None = None
    factor: int | None = None
    names: LatentNames = NO_NAMES
    target: BoardTarget | None = None

    @property
    def values(self) -> list[Tensor]:
        """That the handles may take, N times (P_j,)."""
        return [torch.from_numpy(values) for values in self.profile.values]

    def kl_of(self, latent: int) -> float:
        """As on its row."""
        return shown_nats(self.profile, self.model.latents, self.posterior, latent)


def show_board(
    view: BoardView,
    *,
    key: str,
    on_release: Callable[[BoardEvent], None],
    label: str = "latents",
    side: str = "",
) -> None:
    """Show the board of a view; arguments as in `latent_board`. Call it inside a fragment."""
    decoder = browser_decoder(view.model) if can_decode() else None
    values = values_on_board(view) if decoder is None else all_values(view.profile, view.order)
    shown = view.shown
    if shown is None and len(values) > 2 * OPEN_ROWS:
        shown = OPEN_ROWS
    latent_board(
        board_rows(
            view.profile,
            view.model.latents,
            values,
            start_code=view.start_code,
            code=view.code,
            posterior=view.posterior,
            chosen=view.chosen,
            factor=view.factor,
            names=view.names,
        ),
        decoder or _render(view, values),
        key=key,
        on_release=on_release,
        code=view.code.tolist(),
        label=label,
        side=side,
        shown=shown,
        within_data=current_selection().within_data,
        target=view.target,
    )
    if left_out := len(view.order) - len(values):
        st.caption(
            f"The board shows the first {len(values)} of {len(view.order)} latents in this order. "
            f"The images of the other {left_out} would take more than "
            f"{FRAME_BYTES // 2**20} MB."
        )


def _render(view: BoardView, values: Mapping[int, Tensor]) -> BoardFrames:
    """All frames of the current code."""
    latents = sorted(values)
    with COMPUTING:
        rows = [values[latent] for latent in latents]
        traversals = traverse_all(view.model, view.code, rows, latents)
        frames = [to_pixels(row) for row in traversals]
        image = to_pixels(decode_codes(view.model, view.code))
    return encode_frames(frames, image, _fingerprint(view, values))


def values_on_board(view: BoardView) -> dict[int, Tensor]:
    """Values (P_j,) of each latent that has room among rendered frames, in the board's order.

    Values of continuous latents are thinned to make room. Then the first latents of the order are
    kept, and the chosen one.
    """
    channels, height, width = view.model.image_shape
    room = FRAME_BYTES // (channels * height * width)  # frames
    values = view.values
    if view.model.latents.num_categories is None:
        each = max(_LEAST_VALUES, room // len(values))
        values = [spaced(row, each) for row in values]
    first = [] if view.chosen is None else [view.chosen]
    kept: set[int] = set()
    for latent in [*first, *view.order]:
        if latent in kept:
            continue
        room -= len(values[latent])
        if room < 0 and kept:
            break
        kept.add(latent)
    return {latent: values[latent] for latent in view.order if latent in kept}


def choose_within_data() -> None:
    """The switch that keeps the handles of all boards within what the data visit."""
    selection = current_selection()
    key = widget_key("within-data", selection.within_data)
    st.toggle(
        "Stay within the data",
        selection.within_data,
        key=key,
        on_change=when_changed(key, partial(setattr, selection, "within_data")),
        help="On: handles skip the dimmed values. They hardly occur in the data: their probability "
        "over all images is below a tenth of that under the prior, so the decoder has hardly been "
        "trained on them.",
    )


def show_legend(view: BoardView) -> None:
    """What the marks of a board mean."""
    profile, is_point = view.profile, view.model.latents.is_deterministic
    marks = ["**grey**: all images of the data set", "**▴**: the start"]
    if view.posterior is not None:
        posterior = "**bars or curve**: where the encoder places the start image (posterior)"
        if is_point:
            posterior = "**bar**: the category of the start image; a point, not a distribution"
        marks.insert(0, posterior)
    if profile.factor_names:
        factor = "a true factor" if view.factor is None else profile.factor_names[view.factor]
        marks.append(f"**%**: how much of {plain(factor)}'s entropy the latent encodes")
    nats = "**nats**: KL of the start image from the prior"
    if is_point:
        nats = "**nats**: entropy of the categories of all images"
    elif view.posterior is None:
        nats = "**nats**: mean KL of the data from the prior"
    st.caption(" · ".join([*marks, nats, "**dimmed**: hardly occurs in the data"]))


def spaced(values: Tensor, count: int) -> Tensor:
    """As many of the values (P,), evenly chosen and both ends among them, or all that there are."""
    return values[torch.linspace(0, len(values) - 1, min(count, len(values))).round().long()]


def _fingerprint(view: BoardView, values: Mapping[int, Tensor]) -> str:
    # The frames follow from model, code and values. Hashing these is quicker than hashing frames;
    # of the model the first tensor of the decoder will do.
    digest = hashlib.sha256(view.code.numpy().tobytes())
    for latent in sorted(values):
        digest.update(latent.to_bytes(4, "little"))
        digest.update(values[latent].numpy().tobytes())
    first = next(iter(view.model.decoder.state_dict().values()))
    digest.update(first.numpy().tobytes())
    return digest.hexdigest()
