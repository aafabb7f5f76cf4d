"""What a person can carry away from a board: pictures, animations, codes, a link."""

import io
from collections.abc import Callable

import numpy as np
import streamlit as st
import torch
from numpy.typing import NDArray

from dvae_core.reconstruction import reconstruct
from dvae_core.sheets import traversal_sheet
from dvae_core.traversal import film_strip, to_pixels, traverse_all, traverse_latent
from ui.boards import BoardView
from ui.images import to_gif, to_png
from ui.starts import Begun

SHEET_IMAGES = 11
STRIP_IMAGES = 16
GIF_FRAMES = 24
SCALE = 2


def show_takeaways(view: BoardView, begun: Begun, run_id: str) -> None:
    """Download buttons for the board as it stands. The address bar holds the link."""
    latent = st.selectbox(
        "Latent", list(view.order), format_func=lambda latent: f"latent {latent}", width=160
    )
    values = torch.from_numpy(view.profile.values)
    places = _places(values.shape[1], SHEET_IMAGES)
    sheet = _sheet(view, begun, to_pixels(traverse_all(view.model, view.code, values[:, places])))

    def row(count: int) -> torch.Tensor:
        return traverse_latent(
            view.model, view.code, latent, values[latent][_places(values.shape[1], count)]
        )

    name = f"{run_id}-latent-{latent}"
    with st.container(horizontal=True):
        _download("Strip", "png", name, lambda: to_png(film_strip(row(STRIP_IMAGES)), SCALE))
        _download("Animation", "gif", name, lambda: to_gif(_enlarged(to_pixels(row(GIF_FRAMES)))))
    with st.container(horizontal=True):
        _download("All traversals", "png", f"{run_id}-traversals", lambda: to_png(sheet))
        _download("All, moving", "gif", f"{run_id}-traversals", lambda: to_gif(_all_moving(view)))
        _download("Codes", "csv", f"{run_id}-codes", lambda: _codes_as_csv(view).encode())
        _download("Codes and values", "npz", f"{run_id}-codes", lambda: _codes_as_npz(view))
    st.caption(
        "The address of this page restores run, start and code in another browser; an uploaded "
        "image is not part of it."
    )
    st.image(to_png(sheet), output_format="PNG")


def _download(label: str, kind: str, name: str, content: Callable[[], bytes]) -> None:
    st.download_button(
        f"{label} ({kind.upper()})",
        content,
        file_name=f"{name}.{kind}",
        icon=":material/download:",
        on_click="ignore",
        key=f"{name}-{kind}",
    )


def _sheet(view: BoardView, begun: Begun, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    heads = []
    if begun.image is not None:
        back = reconstruct(view.model, begun.image, view.code)
        heads = [
            ("original", to_pixels(begun.image)),
            ("decoded", to_pixels(back.image)),
        ]
    labels = [f"latent {latent}   {view.kl_of(latent):.2f} nats" for latent in view.order]
    return traversal_sheet(
        pixels[list(view.order)], labels, heads, scale=max(1, 64 // pixels.shape[3])
    )


def _all_moving(view: BoardView) -> NDArray[np.uint8]:
    """All active rows side by side, uint8 (frames, H, W, C)."""
    active = [latent for latent in view.order if view.profile.active[latent]] or [view.order[0]]
    values = torch.from_numpy(view.profile.values)
    frames = traverse_all(view.model, view.code, values[:, _places(values.shape[1], GIF_FRAMES)])
    rows = to_pixels(frames[active])  # (rows, frames, H, W, C)
    return _enlarged(np.concatenate(list(rows), axis=2))


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


def _places(count: int, wanted: int) -> NDArray[np.int64]:
    return np.unique(np.linspace(0, count - 1, wanted).round().astype(np.int64))


def _enlarged(frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return frames.repeat(SCALE, axis=-3).repeat(SCALE, axis=-2)
