"""The colours of figures, as people with and without colour blindness see them on both themes."""

import re
import tomllib
from html import unescape
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from dvae_core.config import FAMILIES
from dvae_core.figures.style import FAMILY_COLORS, PALETTE, literal, shortened

THEME = tomllib.loads((Path(__file__).parents[2] / ".streamlit" / "config.toml").read_text())[
    "theme"
]
GROUNDS = ("backgroundColor", "secondaryBackgroundColor")
# Full colour blindness of each kind, on linear RGB. Source: Machado et al. (2009), table 1.
VISIONS = {
    "usual": np.eye(3),
    "no long waves": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "no middle waves": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
    "no short waves": np.array(
        [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ]
    ),
}
TO_XYZ = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
)
WHITE = np.array([0.95047, 1.0, 1.08883])
APART = 20.0
"""Least distance in CIELAB; from about 10 on, two colours are told apart at a glance."""

Floats = NDArray[np.float64]


def linear(color: str) -> Floats:
    parts = np.array([int(color[place : place + 2], 16) for place in (1, 3, 5)]) / 255
    return np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)


def lab(rgb: Floats) -> Floats:
    xyz = TO_XYZ @ rgb.clip(0, 1) / WHITE
    x, y, z = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def contrast(one: str, other: str) -> float:
    low, high = sorted(float(linear(color) @ [0.2126, 0.7152, 0.0722]) for color in (one, other))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("vision", VISIONS)
def test_no_two_colours_look_alike(vision: str) -> None:
    seen = {color: lab(VISIONS[vision] @ linear(color)) for color in PALETTE}
    for one, other in combinations(PALETTE, 2):
        assert np.linalg.norm(seen[one] - seen[other]) >= APART, (one, other)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("color", PALETTE)
def test_marks_stand_out_from_the_ground(theme: str, color: str) -> None:
    assert contrast(color, THEME[theme]["backgroundColor"]) >= 3


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("ground", GROUNDS)
def test_texts_and_captions_stand_out_from_the_ground(theme: str, ground: str) -> None:
    colors = THEME[theme]
    assert contrast(colors["textColor"], colors[ground]) >= 7
    # Streamlit writes captions in the text's colour at an opacity of 60 %.
    mixed = [
        round(0.6 * int(colors["textColor"][place : place + 2], 16))
        + round(0.4 * int(colors[ground][place : place + 2], 16))
        for place in (1, 3, 5)
    ]
    assert contrast("#" + "".join(f"{part:02x}" for part in mixed), colors[ground]) >= 4.5


def test_each_family_has_a_colour_of_its_own() -> None:
    assert len(set(FAMILY_COLORS.values())) == len(FAMILIES)


@pytest.mark.parametrize("text", ["<b>x</b>", "$x$", "%{x}", "&lt;", "a & b", "plain words"])
def test_a_text_is_shown_as_it_stands(text: str) -> None:
    shown = literal(text)
    assert unescape(shown) == text
    assert not re.search(r"[<>$%{}]|&(?!#\d+;)", shown)


def test_a_long_name_is_cut_on_an_axis() -> None:
    assert shortened("x" * 30) == "x" * 30
    assert shortened("x" * 31) == "x" * 29 + "…"
