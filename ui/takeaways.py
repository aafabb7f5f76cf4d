"""What a person can carry away from a board: pictures, animations, codes, a link."""

import io

import numpy as np
import streamlit as st
import torch
from numpy.typing import NDArray

from dvae_core.reconstruction import reconstruct
from dvae_core.sheets import traversal_sheet
from dvae_core.traversal import film_strip, to_pixels, traverse_all
from ui.boards import BoardView
from ui.images import to_gif, to_png
from ui.starts import Begun

SHEET_IMAGES = 11
STRIP_IMAGES = 16
SCALE = 2


def show_takeaways(view: BoardView, begun: Begun, run_id: str) -> None:
    """Download buttons for the board as it stands. The address bar holds the link."""
    latent = st.selectbox(
        "Latent", list(view.order), format_func=lambda latent: f"latent {latent}", width=160
    )
    values = torch.from_numpy(view.profile.values)
    frames = traverse_all(view.model, view.code, values)  # (N, P, C, H, W)
    pixels = to_pixels(frames)
    name = f"{run_id}-latent-{latent}"
    with st.container(horizontal=True):
        _download("Strip", "png", name, to_png(film_strip(_thinned(frames[latent])), SCALE))
        row = [_enlarged(frame) for frame in pixels[latent]]
        _download("Animation", "gif", name, to_gif(row))
    with st.container(horizontal=True):
        sheet = _sheet(view, begun, pixels)
        _download("All traversals", "png", f"{run_id}-traversals", to_png(sheet))
        _download("All, moving", "gif", f"{run_id}-traversals", to_gif(_side_by_side(view, pixels)))
        _download("Codes", "csv", f"{run_id}-codes", _codes_as_csv(view).encode())
        _download("Codes and values", "npz", f"{run_id}-codes", _codes_as_npz(view))
    st.caption(
        "The address of this page restores run, start and code in another browser; an uploaded "
        "image is not part of it."
    )
    st.image(to_png(sheet), output_format="PNG")


def _download(label: str, kind: str, name: str, content: bytes) -> None:
    st.download_button(
        f"{label} ({kind.upper()})",
        content,
        file_name=f"{name}.{kind}",
        icon=":material/download:",
        on_click="ignore",
        key=f"{label}-{kind}",
    )


def _sheet(view: BoardView, begun: Begun, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    heads = []
    if begun.image is not None:
        back = reconstruct(view.model, begun.image, view.code)
        heads = [
            ("original", to_pixels(begun.image)),
            ("decoded", to_pixels(back.image)),
        ]
    places = _places(pixels.shape[1], SHEET_IMAGES)
    labels = [f"latent {latent}   {view.kl_of(latent):.2f} nats" for latent in view.order]
    return traversal_sheet(
        pixels[list(view.order)][:, places], labels, heads, scale=max(1, 64 // pixels.shape[3])
    )


def _side_by_side(view: BoardView, pixels: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    active = [latent for latent in view.order if view.profile.active[latent]] or [view.order[0]]
    rows = pixels[active]  # (rows, P, H, W, C)
    return [
        np.concatenate([_enlarged(frame) for frame in column], axis=1)
        for column in rows.swapaxes(0, 1)
    ]


def _codes_as_csv(view: BoardView) -> str:
    lines = ["latent,start,code,kl_nats"]
    for latent in range(len(view.code)):
        start, code = view.start_code[latent].item(), view.code[latent].item()
        lines.append(f"{latent},{start:.9g},{code:.9g},{view.kl_of(latent):.6g}")
    return "\n".join(lines) + "\n"


def _codes_as_npz(view: BoardView) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        start=view.start_code.numpy(),
        code=view.code.numpy(),
        values=view.profile.values,
        kl_nats=np.array([view.kl_of(latent) for latent in range(len(view.code))]),
    )
    return buffer.getvalue()


def _thinned(frames: torch.Tensor) -> torch.Tensor:
    return frames[_places(len(frames), STRIP_IMAGES)]


def _places(count: int, wanted: int) -> NDArray[np.int64]:
    return np.unique(np.linspace(0, count - 1, wanted).round().astype(np.int64))


def _enlarged(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return pixels.repeat(SCALE, axis=0).repeat(SCALE, axis=1)
