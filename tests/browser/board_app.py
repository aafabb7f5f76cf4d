"""The latent board before a decoder made of arithmetic, for tests that drive a browser.

Query parameters: `channels` 1 or 3, `family` categorical or gaussian, `delay` seconds that the
decoder takes.
"""

import time
from pathlib import Path

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from dvae_core.web.board import BoardFrames, BoardRow, encode_frames
from ui.latent_board import BoardEvent, latent_board

NUM_LATENTS, NUM_VALUES, SIZE = 10, 64, 64
NUM_ACTIVE = 6
CARRIES = ("x position", "y position", "size", "stretch", "contrast", "ring")
INFORMATION = (0.97, 0.95, 0.81, 0.42, 0.66, 0.18)


def decode(codes: NDArray[np.float64], channels: int) -> NDArray[np.uint8]:
    """A blob whose place, size, stretch, contrast and ring are the first six latents.

    Codes (B, N) to images uint8 (B, H, W, C). The other latents do nothing.
    """
    y, x = np.mgrid[-1 : 1 : SIZE * 1j, -1 : 1 : SIZE * 1j].astype(np.float32)
    each = codes.T.clip(-1.5, 1.5).astype(np.float32)[..., None, None]  # (N, B, 1, 1)
    width, stretch = 0.2 + 0.1 * each[2], 1.6 ** each[3]
    u = (x - 0.55 * each[0]) / (width * stretch)  # (B, H, W)
    v = (y - 0.55 * each[1]) / (width / stretch)
    distance = np.sqrt(u * u + v * v)
    disc = (4 * (1 - distance) + 0.5).clip(0, 1)
    hole = (4 * (0.45 * (each[5] + 0.5) - distance) + 0.5).clip(0, 1)
    light = ((0.75 + 0.25 * each[4]) * disc * (1 - 0.8 * hole))[..., None]  # (B, H, W, 1)
    if channels == 3:
        ground = (0.16 + 0.1 * y[..., None]) + np.array([0.0, 0.08, 0.2], np.float32)
        light = light * np.array([1.0, 0.72, 0.3], np.float32) + (1 - light) * ground
    return (255 * light.clip(0, 1)).round().astype(np.uint8)


def render(code: NDArray[np.float64], values: NDArray[np.float64], channels: int) -> BoardFrames:
    codes = np.tile(code, (NUM_LATENTS, NUM_VALUES, 1))  # (N, K, N)
    for latent in range(NUM_LATENTS):
        codes[latent, :, latent] = values
    images = decode(codes.reshape(-1, NUM_LATENTS), channels)  # (N * K, H, W, C)
    frames = images.reshape(NUM_LATENTS, NUM_VALUES, SIZE, SIZE, channels)
    return encode_frames(frames, decode(code[None], channels)[0], f"{channels} {code.tolist()}")


def rows(
    code: NDArray[np.float64],
    start: NDArray[np.float64],
    values: NDArray[np.float64],
    gaussian: bool,
) -> list[BoardRow]:
    made = []
    for latent in range(NUM_LATENTS):
        active = latent < NUM_ACTIVE
        width = 0.03 + 0.05 * latent if active else 2.0
        made.append(
            BoardRow(
                latent=latent,
                values=values,
                start=start[latent],
                value=code[latent],
                kl_nats=3.4 - 0.55 * latent if active else 0.01,
                posterior=np.exp(-0.5 * ((values - start[latent]) / width) ** 2),
                aggregate=_aggregate(values / values[-1], latent),
                continuous=gaussian,
                carries=CARRIES[latent] if active else "",
                information=INFORMATION[latent] if active else None,
                active=active,
            )
        )
    return made


def _aggregate(places: NDArray[np.float64], latent: int) -> NDArray[np.float64]:
    bumps = np.cos(3 * places + latent) * 0.4 + np.cos(8 * places - 2 * latent) * 0.15
    return np.exp(bumps - (0.4 + 0.2 * latent) * places**2)


def release(event: BoardEvent) -> None:
    st.session_state.history.append(st.session_state.code)
    st.session_state.code = np.array(event.code)
    st.session_state.event = event


def undo() -> None:
    if st.session_state.history:
        st.session_state.code = st.session_state.history.pop()


@st.fragment
def board(channels: int, gaussian: bool, delay: float) -> None:
    values = np.linspace(-2, 2, NUM_VALUES) if gaussian else np.linspace(-1, 1, NUM_VALUES)
    state = st.session_state
    if "code" not in state:
        state.start = np.linspace(-0.613, 0.587, NUM_LATENTS)[[3, 8, 5, 1, 7, 0, 2, 4, 6, 9]]
        state.code = state.start.copy()
        state.history = []
        state.event = None
    event = state.event
    st.button("undo", on_click=undo)
    if event is not None:
        time.sleep(delay)
    frames = render(state.code, values, channels)
    shown = rows(state.code, state.start, values, gaussian)
    latent_board(shown, frames, key="board", on_release=release)
    moved = "" if event is None else " ".join(f"{at} {event.code[at]:.4f}" for at in event.moved)
    st.code("no event" if event is None else f"{event.sequence} {moved}")


if __name__ == "__main__":
    st.set_page_config(layout="wide", page_title=Path(__file__).stem)
    query = st.query_params
    board(
        int(query.get("channels", "1")),
        query.get("family") == "gaussian",
        float(query.get("delay", "0")),
    )
