"""Pictures for a page: PNG, enlarged without smoothing."""

import base64
import html
import io
from collections.abc import Sequence

import numpy as np
import streamlit as st
from numpy.typing import NDArray
from PIL import Image


def to_png(pixels: NDArray[np.uint8], scale: int = 1, *, quick: bool = False) -> bytes:
    """PNG of uint8 (H, W, C), every pixel `scale` wide and high; `quick` for many that are shown
    once, as larger files in less time."""
    large = pixels.repeat(scale, axis=0).repeat(scale, axis=1)
    buffer = io.BytesIO()
    image = Image.fromarray(large.squeeze(-1) if large.shape[-1] == 1 else large)
    image.save(buffer, "PNG", compress_level=1 if quick else 6)
    return buffer.getvalue()


def montage(grid: NDArray[np.uint8], gap: int = 1) -> NDArray[np.uint8]:
    """One picture of a grid of images, uint8 (rows, columns, H, W, C), with grey gaps."""
    padded = np.pad(grid, ((0, 0), (0, 0), (0, gap), (0, gap), (0, 0)), constant_values=128)
    rows, columns, height, width, channels = padded.shape
    # (rows, columns, H, W, C) -> (rows, H, columns, W, C) -> (rows * H, columns * W, C)
    picture = padded.swapaxes(1, 2).reshape(rows * height, columns * width, channels)
    return picture[: rows * height - gap, : columns * width - gap]


def show_grid(grid: NDArray[np.uint8], caption: str, thumbnail: int = 64) -> None:
    """A grid of images, uint8 (rows, columns, H, W, C), each about `thumbnail` pixels wide."""
    picture = to_png(montage(grid), scale := max(1, thumbnail // grid.shape[3]))
    width = grid.shape[1] * (grid.shape[3] + 1) * scale
    with st.container(width=width):  # which a narrow window may shrink, unlike an image
        st.image(picture, caption, width="stretch", output_format="PNG")


def data_url(png: bytes) -> str:
    """A picture as an address."""
    return "data:image/png;base64," + base64.b64encode(png).decode()


def show_film(frames: NDArray[np.uint8], captions: Sequence[str], width: int = 64) -> None:
    """Images of uint8 (count, H, W, C) in a row that wraps, each with its caption below, plain text
    of one or two lines."""
    scale = max(1, width // frames.shape[2])
    figures = []
    for frame, caption in zip(frames, captions, strict=True):
        words = html.escape(caption)
        figures.append(
            f'<figure><img src="{data_url(to_png(frame, scale))}" alt="{words}" width="{width}">'
            f"<figcaption>{words}</figcaption></figure>"
        )
    with st.container(key="film"):
        st.html("".join(figures))


def show_image(pixels: NDArray[np.uint8], caption: str, width: int = 128) -> None:
    """One image of uint8 (H, W, C) with its caption below."""
    scale = max(1, width // pixels.shape[1])
    st.image(to_png(pixels, scale), caption=caption, width=width, output_format="PNG")
