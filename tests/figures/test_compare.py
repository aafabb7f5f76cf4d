from typing import Any

import numpy as np

from dvae_core.analysis.rotation import GridMass
from dvae_core.figures.compare import (
    Curve,
    angle_curves,
    distance_curve,
    distance_heatmap,
    distribution_bars,
    frame_cells,
    mass_heatmap,
    seed_boxes,
)
from dvae_core.figures.information import information_heatmap


def test_the_current_angle_is_marked_among_the_curves() -> None:
    degrees = (0.0, 45.0, 90.0)
    values = np.array(degrees)
    curves = [Curve("a", "#000000", values), Curve("b", "#000000", values, "dot")]
    figure = angle_curves(degrees, curves, 30.0, "KL, nats")
    assert [trace.name for trace in figure.data] == ["a", "b"]
    assert figure.layout.shapes[0].x0 == figure.layout.shapes[0].x1 == 30.0


def test_the_first_latent_of_a_mass_runs_to_the_right() -> None:
    mass = np.array([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0]])  # the first latent high, the second low
    picture = GridMass(mass, (np.array([-1.0, 1.0]), np.array([-1.0, 0.0, 1.0]))).picture()
    figure = mass_heatmap(picture, (3, 5))
    np.testing.assert_array_equal(figure.data[0].z, [[0.0, 1.0], [0.0, 0.0], [0.0, 0.0]])
    assert (len(figure.data[0].x), len(figure.data[0].y)) == (2, 3)
    assert figure.layout.xaxis.title.text == "latent 3"


def test_the_axes_show_where_a_rotation_takes_them() -> None:
    mass = np.full((4, 4), 1 / 16)
    values = np.linspace(-1, 1, 4)
    figure = mass_heatmap(GridMass(mass, (values, values)).picture(), (0, 1), 90.0)
    first, second = figure.data[1:]
    # The first axis points up then, and the second to the left.
    np.testing.assert_allclose([first.x[1], first.y[1]], [0.0, 0.9], atol=1e-9)
    np.testing.assert_allclose([second.x[1], second.y[1]], [-0.9, 0.0], atol=1e-9)


def test_frames_lie_on_the_rows_of_their_latents() -> None:
    order = [2, 0, 1]
    figure = information_heatmap(np.zeros((3, 2)), ("x", "y"), order, unit="nats")
    frames = frame_cells(figure, order, [(0, 1), (2, 0)]).layout.shapes
    for frame, x, y in zip(frames, (1, 0), (1, 0), strict=True):
        assert frame.x0 < x < frame.x1
        assert frame.y0 < y < frame.y1


def test_every_run_is_a_point_of_its_family() -> None:
    values = {"gaussian": [(0.1, "a"), (0.2, "b")], "categorical": [(0.7, "c")]}
    figure = seed_boxes(values, "MIG")
    assert [(list(box.y), list(box.text)) for box in figure.data] == [
        ([0.1, 0.2], ["a", "b"]),
        ([0.7], ["c"]),
    ]


def test_distances_are_drawn_as_measured() -> None:
    distances = np.array([[0.0, 2.0], [2.0, 0.0]])
    np.testing.assert_array_equal(distance_heatmap(distances).data[0].z, distances)
    curve = distance_curve(np.array([2.0, 3.0])).data[0]
    assert list(curve.x) == [1, 2]


def test_bars_have_a_group_for_each_name() -> None:
    figure = distribution_bars(np.array([0.0, 1.0]), {"q": np.array([0.3, 0.7])}, unit="q")
    assert [trace.name for trace in figure.data] == ["q"]


def test_curves_far_from_0_are_drawn_on_an_axis_of_their_own() -> None:
    def axis(*values: float) -> Any:
        curve = Curve("loss", "#000000", np.array(values))
        return angle_curves([0.0, 45.0], [curve], 0.0, "nats").layout.yaxis

    assert axis(3.0, 9.0).rangemode == "tozero"
    low, high = axis(934.57, 934.83).range
    assert 900 < low < 934.57
    assert 934.83 < high < 970
