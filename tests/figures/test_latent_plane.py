from xml.etree import ElementTree

import numpy as np

from dvae_core.figures.latent_plane import SIDE, draw_plane, side_by_side

SVG = "{http://www.w3.org/2000/svg}"
CODES = np.stack(np.meshgrid([-1.0, 0.0, 1.0], [-1.0, 1.0], indexing="ij"), axis=-1)


def test_every_value_of_each_factor_has_a_line() -> None:
    drawing = ElementTree.fromstring(draw_plane(CODES, (0, 1), ("x", "y"), bounded=True).svg)
    assert len(drawing.findall(f"{SVG}polyline")) == 3 + 2


def test_the_first_latent_runs_to_the_right_and_the_second_up() -> None:
    points = draw_plane(CODES, (0, 1), ("x", "y"), bounded=True).points
    assert points[2, 0, 0] > points[0, 0, 0]
    assert points[0, 1, 1] < points[0, 0, 1]


def test_far_codes_stay_within_the_picture() -> None:
    points = draw_plane(100 * CODES, (0, 1), ("x", "y"), bounded=False).points
    assert points.min() > 0
    assert points.max() < SIDE


def test_names_are_text_and_never_markup() -> None:
    name = '<script>alert("x")</script>'
    picture = draw_plane(CODES, (0, 1), (name, "y"), bounded=True, arrows=np.eye(2))
    drawing = ElementTree.fromstring(picture.svg)
    assert not list(drawing.iter(f"{SVG}script"))
    assert name in [text.text for text in drawing.iter(f"{SVG}text")]


def test_drawings_stand_side_by_side_in_one_file() -> None:
    picture = draw_plane(CODES, (0, 1), ("x", "y"), bounded=True)
    drawing = ElementTree.fromstring(side_by_side([picture] * 3, ["a", "b", "c"], columns=2))
    places = {(svg.get("x"), svg.get("y")) for svg in drawing.findall(f"{SVG}svg")}
    assert places == {("0", "24"), (str(SIDE), "24"), ("0", str(SIDE + 48))}
