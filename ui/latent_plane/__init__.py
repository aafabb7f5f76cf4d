"""Grids of two factors in the plane of two latents, side by side; the pointer asks for the image
behind a point, and the same image is marked in every panel."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from dvae_core.figures.latent_plane import PlanePicture
from ui.images import montage, to_png

_FOLDER = Path(__file__).parent
_mount = st.components.v2.component(
    "latent_plane",
    js=(_FOLDER / "latent_plane.js").read_text(encoding="utf-8"),
    css=(_FOLDER / "latent_plane.css").read_text(encoding="utf-8"),
)


@dataclass(frozen=True)
class Panel:
    """One drawing.

    Attributes:
        title: above it, text.
        note: below it, text.
        picture: drawing and places of the images, all panels over the same grid of images.
    """

    title: str
    note: str
    picture: PlanePicture


def latent_planes(
    panels: Sequence[Panel],
    images: NDArray[np.uint8],
    labels: Sequence[str],
    *,
    key: str,
    columns: int = 2,
) -> None:
    """Show panels.

    Args:
        panels: over the same grid.
        images: of the grid, uint8 (rows, columns, H, W, C).
        labels: what each image is, (rows * columns,), the second factor fastest.
        key: names the component.
        columns: panels in a row where there is room.
    """
    sprite = base64.b64encode(to_png(montage(images, gap=0))).decode("ascii")
    _mount(
        key=key,
        data={
            "panels": [
                {
                    "title": panel.title,
                    "note": panel.note,
                    # Drawn by the core, every word in it escaped there.
                    "svg": panel.picture.svg,
                    "points": panel.picture.points.reshape(-1, 2).round(1).tolist(),
                }
                for panel in panels
            ],
            "sprite": f"data:image/png;base64,{sprite}",
            "grid": list(images.shape[:2]),
            "labels": list(labels),
            "columns": columns,
        },
    )
