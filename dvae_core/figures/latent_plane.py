"""The grid of two factors in the plane of two latents, drawn as SVG for pages and files."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from numpy.typing import NDArray

from dvae_core.figures.style import PALETTE
from dvae_core.runs.names import NO_NAMES, LatentNames

SIDE = 320
_MARGIN = 30
# One hue per factor, equally visible on light and dark backgrounds.
FACTOR_COLORS = PALETTE[:2]

_Place = Callable[[NDArray[np.floating]], NDArray[np.float64]]


@dataclass(frozen=True)
class PlanePicture:
    """A drawn grid.

    Attributes:
        svg: the drawing, 320 x 320, in the text colour of its surroundings.
        points: position of each image of the grid in the drawing, (rows, columns, 2).
    """

    svg: str
    points: NDArray[np.float64]


def draw_plane(
    codes: NDArray[np.floating],
    latents: tuple[int, int],
    factor_names: tuple[str, str],
    *,
    bounded: bool,
    arrows: NDArray[np.floating] | None = None,
    centre: NDArray[np.floating] | tuple[float, float] = (0.0, 0.0),
    latent_names: LatentNames = NO_NAMES,
) -> PlanePicture:
    """Draw lines of constant factor values, with the first latent on the x axis, the second on y.

    A line has the colour of the factor that varies along it; its opacity grows with the value of
    the other factor.

    Args:
        codes: (rows, columns, 2); the first factor varies over rows, the second over columns.
        latents: indices for the axis labels.
        factor_names: of the two factors.
        bounded: whether codes lie in [-1, 1]; the border is then drawn.
        arrows: (2, 2); column f is the change of the latents over the whole range of factor f.
        centre: (2,), where the arrows cross.
        latent_names: what people call the latents.
    """
    reach = 1.2 * (1.0 if bounded else max(1.0, float(np.abs(codes).max())))
    scale = (SIDE / 2 - _MARGIN) / reach

    def place(points: NDArray[np.floating]) -> NDArray[np.float64]:
        return SIDE / 2 + scale * np.asarray(points, np.float64) * (1.0, -1.0)

    points = place(codes)
    across, up = (escape(latent_names.short_words(latent)) for latent in latents)
    parts = [_axes(place, reach, bounded, across, up)]
    for factor, lines in ((1, points), (0, points.swapaxes(0, 1))):
        parts += _lines(lines, FACTOR_COLORS[factor])
    if arrows is not None:
        middle = np.asarray(centre)
        ends = [np.stack([middle - arrow / 2, middle + arrow / 2]) for arrow in arrows.T]
        for factor, end in enumerate(ends):
            parts.append(_arrow(place(end), FACTOR_COLORS[factor], factor_names[factor]))
    label = (
        f"grid of {factor_names[0]} and {factor_names[1]} over latents {latents[0]}, {latents[1]}"
    )
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {SIDE} {SIDE}" role="img" '
        f'aria-label="{escape(label)}" font-family="sans-serif" font-size="11">'
        + "".join(parts)
        + "</svg>"
    )
    return PlanePicture(svg, points)


def side_by_side(pictures: Sequence[PlanePicture], titles: Sequence[str], columns: int) -> str:
    """Several drawings with titles as one SVG file, dark on white."""
    height = SIDE + 24
    rows = -(-len(pictures) // columns)
    parts = []
    for index, (picture, title) in enumerate(zip(pictures, titles, strict=True)):
        x, y = index % columns * SIDE, index // columns * height
        inner = picture.svg.replace("<svg ", f'<svg x="{x}" y="{y + 24}" width="{SIDE}" ', 1)
        parts.append(
            f'<text x="{x + SIDE / 2}" y="{y + 18}" text-anchor="middle" fill="#0f1516" '
            f'font-size="13">{escape(title)}</text>'
            + inner.replace("viewBox", f'height="{SIDE}" viewBox', 1)
        )
    width = columns * SIDE
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {rows * height}" '
        f'width="{width}" height="{rows * height}" font-family="sans-serif" color="#0f1516">'
        f'<rect width="100%" height="100%" fill="#ffffff"/>' + "".join(parts) + "</svg>\n"
    )


def _axes(place: _Place, reach: float, bounded: bool, across: str, up: str) -> str:
    (left, bottom), (right, top) = place(np.array([[-1.0, -1.0], [1.0, 1.0]]) * reach)
    middle = SIDE / 2
    lines = [
        f'<path d="M{left:.1f} {middle}H{right:.1f}M{middle} {top:.1f}V{bottom:.1f}" '
        'stroke="currentColor" stroke-opacity=".25" fill="none"/>'
    ]
    if bounded:
        (x0, y1), (x1, y0) = place(np.array([[-1.0, -1.0], [1.0, 1.0]]))
        lines.append(
            f'<rect x="{x0:.1f}" y="{y0:.1f}" width="{x1 - x0:.1f}" height="{y1 - y0:.1f}" '
            'fill="none" stroke="currentColor" stroke-opacity=".45" stroke-dasharray="3 3"/>'
        )
    lines.append(
        f'<text x="{middle}" y="{SIDE - 9}" text-anchor="middle" fill="currentColor">'
        f"{across} →</text>"
        f'<text x="13" y="{middle}" text-anchor="middle" fill="currentColor" '
        f'transform="rotate(-90 13 {middle})">{up} →</text>'
    )
    return "".join(lines)


def _lines(lines: NDArray[np.float64], color: str) -> list[str]:
    """A polyline for each row of points (rows, columns, 2), with increasing opacity."""
    drawn = []
    for line, opacity in zip(lines, np.linspace(0.3, 1.0, len(lines)), strict=True):
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in line)
        drawn.append(
            f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="1.3" '
            f'stroke-opacity="{opacity:.2f}" stroke-linejoin="round"/>'
        )
    return drawn


def _arrow(ends: NDArray[np.float64], color: str, name: str) -> str:
    (x0, y0), (x1, y1) = ends
    length = max(1e-9, float(np.hypot(x1 - x0, y1 - y0)))
    along = np.array([x1 - x0, y1 - y0]) / length
    across = np.array([-along[1], along[0]])
    tip = np.array([x1, y1])
    left, right = tip - 9 * along + 4.5 * across, tip - 9 * along - 4.5 * across
    shape = (
        f"M{x0:.1f} {y0:.1f}L{x1:.1f} {y1:.1f}"
        f"M{left[0]:.1f} {left[1]:.1f}L{x1:.1f} {y1:.1f}L{right[0]:.1f} {right[1]:.1f}"
    )
    text = np.clip(tip + 13 * along, 16, SIDE - 16)
    return (
        # An outline in the background colour separates the arrow from the lines below it.
        f'<path d="{shape}" fill="none" stroke="var(--paper, #ffffff)" stroke-width="6" '
        'stroke-linecap="round"/>'
        f'<path d="{shape}" fill="none" stroke="{color}" stroke-width="3" '
        'stroke-linecap="round" stroke-linejoin="round"/>'
        f'<text x="{text[0]:.1f}" y="{text[1] + 4:.1f}" text-anchor="middle" '
        'fill="currentColor" '
        'stroke="var(--paper, #ffffff)" stroke-width="4" paint-order="stroke" font-weight="700" '
        f'font-size="13">{escape(name)}</text>'
    )
