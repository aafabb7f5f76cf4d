from dataclasses import replace

import numpy as np

from dvae_core.figures.selection import (
    Axis,
    Line,
    Points,
    band_lines,
    gap_scatter,
    group_boxes,
    parallel_coordinates,
)

LINE = Line(
    "a", np.array([2.0, 16.0]), np.array([0.5, 0.7]), np.array([0.4, 0.6]), np.array([0.6, 0.9])
)


def test_every_point_names_its_run_and_the_picked_one_stands_in_a_ring() -> None:
    points = Points("a", np.array([1.0, 2.0]), np.array([0.3, 0.4]), ("one", "two"), "two")
    figure = gap_scatter([points], "gap", "MIG")
    assert [tuple(entry) for entry in figure.data[0].customdata] == [("one",), ("two",)]
    assert (list(figure.data[1].x), list(figure.data[1].y)) == ([2.0], [0.4])
    assert figure.data[1].marker.symbol == "circle-open"


def test_groups_differ_in_colour_and_in_sign() -> None:
    points = [Points(name, np.ones(1), np.ones(1), ("run",)) for name in "abcd"]
    markers = [trace.marker for trace in gap_scatter(points, "gap", "MIG").data[::2]]
    assert len({marker.color for marker in markers}) == 4
    assert len({marker.symbol for marker in markers}) == 4


def test_a_band_goes_there_on_top_and_back_below() -> None:
    band, middle = band_lines([LINE], "K", "MIG").data
    assert list(band.x) == [2, 16, 16, 2]
    assert list(band.y) == [0.6, 0.9, 0.6, 0.4]
    assert list(middle.y) == [0.5, 0.7]
    assert not middle.error_y.visible


def test_a_range_at_one_value_is_a_bar() -> None:
    single = Line("a", np.array([2.0]), np.array([0.5]), np.array([0.4]), np.array([0.7]))
    bar = band_lines([single], "K", "MIG").data[1].error_y
    assert bar.visible
    assert np.allclose([bar.array[0], bar.arrayminus[0]], [0.2, 0.1])


def test_a_single_small_value_is_a_tick_of_its_own() -> None:
    single = Line("fsq", np.array([0.0005]), np.ones(1), np.zeros(1), np.ones(1))
    axis = band_lines([single], "learning_rate", "MIG").layout.xaxis
    assert (axis.tickvals, axis.ticktext) == ((0.0005,), ("0.0005",))


def test_many_groups_make_the_figure_higher_for_their_legend() -> None:
    heights = [band_lines([LINE] * count, "K", "MIG").layout.height for count in (1, 2, 6)]
    assert heights[0] == heights[1] < heights[2]
    points = Points("a", np.ones(1), np.ones(1), ("run",))
    heights = [gap_scatter([points] * count, "gap", "MIG").layout.height for count in (2, 6)]
    assert heights[0] < heights[1]


def test_a_logarithmic_axis_is_marked_at_its_values() -> None:
    axis = band_lines([LINE], "K", "MIG", logarithmic=True).layout.xaxis
    assert axis.type == "log"
    assert list(axis.ticktext) == ["2", "16"]


def test_parallel_axes_of_texts_have_a_tick_for_each_in_order() -> None:
    figure = parallel_coordinates(
        [Axis("gamma", [30.0, "none", 10.0]), Axis("K", [4.0, 8.0, 4.0])], np.arange(3.0), "MIG"
    )
    gamma, count = figure.data[0].dimensions
    assert list(gamma.ticktext) == ["none", "10", "30"]
    assert list(gamma.values) == [2, 0, 1]
    assert list(count.values) == [4, 8, 4]


def test_boxes_show_every_run() -> None:
    figure = group_boxes({"a": (np.array([0.1, 0.2]), ["one", "two"])}, "MIG")
    assert figure.data[0].boxpoints == "all"
    assert list(figure.data[0].text) == ["one", "two"]


def test_a_group_keeps_its_colour_and_symbol_where_others_are_missing() -> None:
    def drawn(*groups: str) -> tuple[str, str]:
        lines = [replace(LINE, group=group) for group in groups]
        trace = band_lines(lines, "K", "MIG", order=["a", "b", "c"]).data[-1]
        return trace.line.color, trace.marker.symbol

    assert drawn("a", "b", "c") == drawn("a", "c") == drawn("c")
    assert drawn("a") != drawn("b")
