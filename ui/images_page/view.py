"""What of the page Images is in its link."""

import base64
import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dvae_core.analysis.conditions import join_conditions, split_condition
from dvae_core.errors import ConfigError
from ui.link import current_view, set_view

PAGE = "images"
MAP_POINTS = 5_000
"""Most points of the map: a browser draws 10,000 in two seconds. Rows are in random order, so the
first are a sample."""
MAX_CONDITIONS = 12


def conditions() -> list[str]:
    """The conditions of the slice, all of which its images meet."""
    try:
        return split_condition(current_view().get("where", ""))
    except ConfigError:  # shown as one condition that cannot be read
        return [current_view()["where"]]


def keep_conditions(parts: Sequence[str]) -> None:
    """Make these the conditions, and show the first page of the table."""
    set_view(PAGE, where=_joined([part for part in parts if part.strip()]), page="")


def _joined(parts: Sequence[str]) -> str:
    try:
        return join_conditions(parts)
    except ConfigError:
        return " and ".join(parts)


def chosen_points(total: int) -> NDArray[np.bool_] | None:
    """The points that a person chose on the map, among the first rows of `total`, bool (points,);
    None without any, or where the link's are those of another number of images."""
    text = current_view().get("points", "")
    count = min(total, MAP_POINTS)
    size = (count + 7) // 8
    try:
        packed = zlib.decompressobj().decompress(base64.urlsafe_b64decode(text), size + 1)
    except (ValueError, zlib.error):
        return None
    if len(packed) != size:
        return None
    return np.unpackbits(np.frombuffer(packed, np.uint8), count=count).astype(bool)


def keep_points(rows: Sequence[int], total: int) -> None:
    """Keep the points of these rows as a part of the slice, as bits: at most 900 characters of the
    link for 5,000 points."""
    bits = np.zeros(min(total, MAP_POINTS), bool)
    bits[list(rows)] = True
    packed = zlib.compress(np.packbits(bits).tobytes(), 9)
    set_view(PAGE, points=base64.urlsafe_b64encode(packed).decode(), page="")


def forget_points() -> None:
    """Take the points out of the slice."""
    set_view(PAGE, points="", page="")


def sorting() -> tuple[str, bool]:
    """By which quantity the table is sorted, "" for none, and whether in descending order."""
    text = current_view().get("sort", "")
    return text.removeprefix("-"), text.startswith("-")


def keep_sorting(quantity: str, descending: bool) -> None:
    """Sort the table, and show its first page."""
    set_view(PAGE, sort="-" * descending + quantity if quantity else "", page="")
