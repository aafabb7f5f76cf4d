"""Strip plots of the studies, as SVG: a point for each run, the median and its interval."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10
from xml.sax.saxutils import escape

from dvae_core.figures.style import GROUND, INK, LINE, PALETTE

_PANEL, _HEIGHT = 250, 230  # pixels
_STRIP, _LETTER = 48, 6.5  # width of a strip at least, and of a letter of its label
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 12, 34, 40
_MOST_TICKS = 6


@dataclass(frozen=True)
class Strip:
    """Values of the runs of one group, with the interval of their median."""

    label: str
    values: Sequence[float]
    low: float
    median: float
    high: float


@dataclass(frozen=True)
class Panel:
    """Strips on one axis; `perfect` is the score of a perfect code, or None, and `across` says what
    the strips are."""

    title: str
    strips: Sequence[Strip]
    perfect: float | None = None
    across: str = ""


def strips_svg(
    panels: Sequence[Panel], colors: Sequence[str] = PALETTE, columns: int | None = None
) -> str:
    """The panels in so many columns, by default in one row, with the colors of their strips in
    turn."""
    columns = columns or len(panels)
    each = max(_PANEL, *(_LEFT + _RIGHT + _strips_width(panel.strips) for panel in panels))
    width, height = each * columns, _HEIGHT * ceil(len(panels) / columns)
    drawn = [
        f'<g transform="translate({place % columns * each} {place // columns * _HEIGHT})">\n'
        f"{_panel(panel, each, colors)}\n</g>"
        for place, panel in enumerate(panels)
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12" fill="{INK}">\n'
        f'<rect width="{width}" height="{height}" fill="{GROUND}"/>\n'
        + "\n".join(drawn)
        + "\n</svg>\n"
    )


def _strips_width(strips: Sequence[Strip]) -> int:
    longest = max(len(strip.label) for strip in strips)
    return len(strips) * max(_STRIP, ceil(_LETTER * longest))


def _panel(panel: Panel, width: float, colors: Sequence[str]) -> str:
    values = [value for strip in panel.strips for value in strip.values]
    if panel.perfect is not None:
        values.append(panel.perfect)
    low, high = min(values), max(values)
    if low >= 0 and high <= 1:
        low, high = 0.0, 1.0
    pad = 0.05 * (high - low) or 1.0
    low, high = low - pad, high + pad
    bottom = _HEIGHT - _BOTTOM

    def y(value: float) -> float:
        return bottom - (value - low) / (high - low) * (bottom - _TOP)

    first, last = _LEFT, width - _RIGHT
    parts = [f'<text x="{first}" y="20" font-size="13">{escape(panel.title)}</text>']
    for value in _ticks(low + pad, high - pad):
        parts.append(
            f'<line x1="{first}" x2="{last}" y1="{y(value):.1f}" y2="{y(value):.1f}" '
            f'stroke="{LINE}"/><text x="{first - 6}" y="{y(value) + 4:.1f}" '
            f'text-anchor="end">{value:,.4g}</text>'
        )
    if panel.perfect is not None:
        parts.append(
            f'<line x1="{first}" x2="{last}" y1="{y(panel.perfect):.1f}" '
            f'y2="{y(panel.perfect):.1f}" stroke="{INK}" stroke-dasharray="4 3"/>'
        )
    step = (last - first) / len(panel.strips)
    for place, strip in enumerate(panel.strips):
        color = colors[place % len(colors)]
        middle = first + (place + 0.5) * step
        parts.append(_strip(strip, middle, min(1.0, step / 93), y, color, bottom))
    if panel.across:
        parts.append(
            f'<text x="{(first + last) / 2:.1f}" y="{bottom + 36}" text-anchor="middle">'
            f"{escape(panel.across)}</text>"
        )
    return "\n".join(parts)


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers from low to high."""
    rough = (high - low) / (_MOST_TICKS - 1) or 1.0
    power = 10 ** floor(log10(rough))
    step = next(
        power * times for times in (1, 2, 2.5, 5, 10) if power * times >= rough * (1 - 1e-9)
    )
    return [place * step for place in range(ceil(low / step - 1e-9), floor(high / step + 1e-9) + 1)]


def _strip(
    strip: Strip, middle: float, scale: float, y: Callable[[float], float], color: str, low: float
) -> str:
    half = 3 * min(len(strip.values), 10) + 5
    parts = [
        # In the order of the seeds, so that points of equal height stand beside one another.
        f'<circle cx="{middle + scale * (6 * (place % 10) - half):.1f}" cy="{y(value):.1f}" '
        f'r="3.5" fill="{color}" fill-opacity="0.75"/>'
        for place, value in enumerate(strip.values)
    ]
    side = f"{middle + half * scale:.1f}"
    parts.append(
        f'<line x1="{side}" x2="{side}" y1="{y(strip.low):.1f}" y2="{y(strip.high):.1f}" '
        f'stroke="{color}" stroke-width="2"/>'
        f'<circle cx="{side}" cy="{y(strip.median):.1f}" r="4.5" fill="{GROUND}" '
        f'stroke="{color}" stroke-width="2"/>'
        f'<text x="{middle:.1f}" y="{low + 20}" text-anchor="middle">'
        f"{escape(strip.label)}</text>"
    )
    return "\n".join(parts)
