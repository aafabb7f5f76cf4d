"""A latent board for a model, a start and a code: shared by every page that slides latents."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import streamlit as st
import torch
from torch import Tensor

from dvae_core.analysis.latent_profile import LatentProfile
from dvae_core.analysis.traversal import decode_codes, to_pixels, traverse_all
from dvae_core.models.latents import Posterior
from dvae_core.models.vae import VAE
from ui.cached import COMPUTING
from ui.latent_board import BoardEvent, BoardRow, encode_frames, latent_board


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
        shown: active latents to show at first, the others fold away; None shows all.
    """

    model: VAE
    profile: LatentProfile
    order: Sequence[int]
    start_code: Tensor
    code: Tensor
    posterior: Posterior | None
    chosen: int | None = None
    shown: int | None = None

    @property
    def values(self) -> list[Tensor]:
        """That the handles may take, N times (P_j,)."""
        return [torch.from_numpy(values) for values in self.profile.values]

    def kl_of(self, latent: int) -> float:
        """Nats of the start image, or on average where there is none."""
        if self.posterior is None:
            return float(self.profile.kl[latent])
        return self.posterior.kl()[0, latent].item()


def show_board(
    view: BoardView,
    *,
    key: str,
    on_release: Callable[[BoardEvent], None],
    label: str = "latents",
    side: str = "",
) -> None:
    """Decode all frames of the current code and show the board; arguments as in `latent_board`.
    Call it inside a fragment."""
    with COMPUTING:
        frames = [to_pixels(row) for row in traverse_all(view.model, view.code, view.values)]
        image = to_pixels(decode_codes(view.model, view.code))
    latent_board(
        _rows(view),
        encode_frames(frames, image, _fingerprint(view)),
        key=key,
        on_release=on_release,
        label=label,
        side=side,
        shown=view.shown,
    )


def show_legend(profile: LatentProfile) -> None:
    """What the marks of a board mean."""
    marks = [
        "**bars or curve**: where the encoder places the start image (posterior)",
        "**grey**: all images of the data set",
        "**▴**: the start",
        "**nats**: KL of the start image from the prior",
    ]
    if profile.factor_names:
        marks.insert(3, "**%**: how much of a true factor's entropy the latent encodes")
    st.caption(" · ".join(marks))


def spaced(values: Tensor, count: int) -> Tensor:
    """As many of the values (P,), evenly chosen and both ends among them, or all that there are."""
    return values[torch.linspace(0, len(values) - 1, min(count, len(values))).round().long()]


def _fingerprint(view: BoardView) -> str:
    # The frames follow from model, code and values. Hashing these is quicker than hashing frames;
    # of the model the first tensor of the decoder will do.
    digest = hashlib.sha256(view.code.numpy().tobytes())
    for values in view.profile.values:
        digest.update(values.tobytes())
    first = next(iter(view.model.decoder.state_dict().values()))
    digest.update(first.numpy().tobytes())
    return digest.hexdigest()


def _rows(view: BoardView) -> list[BoardRow]:
    profile = view.profile
    densities = None
    if view.posterior is not None:
        densities = view.posterior.density(view.values)  # N times (1, P_j)
    rows = []
    for latent in view.order:
        carries, information = profile.carries(latent)
        rows.append(
            BoardRow(
                latent=latent,
                values=profile.values[latent].tolist(),
                start=view.start_code[latent].item(),
                value=view.code[latent].item(),
                kl_nats=view.kl_of(latent),
                kl_of="the data, on average" if view.posterior is None else "the start image",
                chosen=latent == view.chosen,
                posterior=() if densities is None else densities[latent][0].tolist(),
                aggregate=profile.aggregate[latent].tolist(),
                continuous=view.model.latents.num_categories is None,
                carries=carries,
                information=information,
                num_points=profile.num_points,
                # Where none is active, folding all would leave an empty board.
                active=bool(profile.active[latent] or not profile.active.any()),
            )
        )
    return rows
