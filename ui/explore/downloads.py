"""What a person can carry away from a board: pictures, animations, codes, a link."""

import io
from collections.abc import Callable

import numpy as np
import streamlit as st
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from dvae_core.analysis.reconstruction import reconstruct
from dvae_core.analysis.traversal import film_strip, to_pixels, traverse_all, traverse_latent
from dvae_core.figures.traversal_sheet import traversal_sheet
from ui.boards import BoardView, spaced, values_on_board
from ui.images import to_gif, to_png
from ui.start_picker import ResolvedStart

SHEET_IMAGES = 11
STRIP_IMAGES = 16
GIF_FRAMES = 24
SCALE = 2


def show_downloads(view: BoardView, resolved: ResolvedStart, run_id: str) -> None:
    """Download buttons for the board as it stands. The address bar holds the link."""
    latent = st.selectbox("Latent", list(view.order), format_func=view.names.words, width=320)
    sheet = _sheet(view, resolved)

    def row(count: int) -> Tensor:
        return traverse_latent(view.model, view.code, latent, spaced(view.values[latent], count))

    name = f"{run_id}-latent-{latent}"
    with st.container(horizontal=True):
        _download("Strip", "png", name, lambda: to_png(film_strip(row(STRIP_IMAGES)), SCALE))
        _download("Animation", "gif", name, lambda: to_gif(_enlarged(to_pixels(row(GIF_FRAMES)))))
    with st.container(horizontal=True):
        _download("All traversals", "png", f"{run_id}-traversals", lambda: to_png(sheet))
        _download("All, animated", "gif", f"{run_id}-traversals", lambda: to_gif(_all_moving(view)))
        _download("Codes", "csv", f"{run_id}-codes", lambda: _codes_as_csv(view).encode())
        _download("Codes and values", "npz", f"{run_id}-codes", lambda: _codes_as_npz(view))
    st.caption(
        "The address of this page restores run, start and code in another browser, but not an "
        "uploaded image."
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


def _sheet(view: BoardView, resolved: ResolvedStart) -> NDArray[np.uint8]:
    latents = list(values_on_board(view))
    values = [spaced(view.values[latent], SHEET_IMAGES) for latent in latents]
    traversals = traverse_all(view.model, view.code, values, latents)
    heads = []
    if resolved.image is not None:
        back = reconstruct(view.model, resolved.image, view.code)
        heads = [
            ("original", to_pixels(resolved.image)),
            ("decoded", to_pixels(back.image)),
        ]
    labels = [f"{view.names.short_words(i)}   {view.kl_of(i):.2f} nats" for i in latents]
    scale = max(1, 64 // view.model.image_shape[2])
    return traversal_sheet([to_pixels(row) for row in traversals], labels, heads, scale)


def _all_moving(view: BoardView) -> NDArray[np.uint8]:
    """All active rows of the board side by side, uint8 (frames, H, W, C). A latent of few values
    stays longer at each."""
    values = values_on_board(view)
    active = [latent for latent in values if view.profile.active[latent]] or [view.order[0]]
    rows = [to_pixels(traverse_latent(view.model, view.code, i, values[i])) for i in active]
    count = min(GIF_FRAMES, max(len(row) for row in rows))
    moving = [row[np.linspace(0, len(row) - 1, count).round().astype(int)] for row in rows]
    return _enlarged(np.concatenate(moving, axis=2))


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
        # (N, P), rows of fewer values filled up with NaN.
        values=pad_sequence(view.values, batch_first=True, padding_value=np.nan).numpy(),
        kl_nats=np.array([view.kl_of(latent) for latent in range(len(view.code))]),
    )
    return buffer.getvalue()


def _enlarged(frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return frames.repeat(SCALE, axis=-3).repeat(SCALE, axis=-2)
