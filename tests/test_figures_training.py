import numpy as np
import pytest

from dvae_core.curves import smooth
from dvae_core.figures_training import RUN_COLORS, RunCurve, curve_figure


def curve(name: str = "a", count: int = 100) -> RunCurve:
    values = np.random.default_rng(len(name)).uniform(1, 2, count)
    return RunCurve(name, np.arange(count, dtype=float), values)


def test_one_run_is_one_line_without_a_legend() -> None:
    shown = curve()
    figure = curve_figure([shown], label="KL, nats")
    (line,) = figure.data
    np.testing.assert_array_equal(line.x, shown.steps)
    np.testing.assert_array_equal(line.y, shown.values)
    assert not line.showlegend
    assert figure.layout.title.text == "KL, nats"


def test_smoothing_leaves_the_raw_curve_faint_behind() -> None:
    shown = curve()
    raw, smoothed = curve_figure([shown], label="loss", smoothing=0.9).data
    np.testing.assert_array_equal(raw.y, shown.values)
    np.testing.assert_allclose(smoothed.y, smooth(shown.values, 0.9))
    assert raw.opacity < 0.5
    assert smoothed.opacity == 1
    assert raw.line.color == smoothed.line.color


def test_runs_keep_their_colours_and_are_named() -> None:
    figure = curve_figure([curve("first"), curve("second")], label="loss", smoothing=0.5)
    named = [line for line in figure.data if line.showlegend]
    assert [(line.name, line.line.color) for line in named] == [
        ("first", RUN_COLORS[0]),
        ("second", RUN_COLORS[1]),
    ]


def test_a_long_curve_is_thinned_after_it_was_smoothed() -> None:
    shown = curve(count=300_000)
    (raw, smoothed) = curve_figure([shown], label="loss", smoothing=0.99).data
    assert max(len(raw.x), len(smoothed.x)) <= 2_000
    assert raw.y.max() == shown.values.max()
    whole = smooth(shown.values, 0.99)
    np.testing.assert_array_equal(smoothed.y, whole[smoothed.x.astype(int)])


def test_a_logarithmic_scale_leaves_a_gap_where_there_is_no_logarithm() -> None:
    shown = RunCurve("a", np.arange(3.0), np.array([1.0, -1.0, 2.0]))
    figure = curve_figure([shown], label="total correlation", logarithmic=True)
    assert figure.layout.yaxis.type == "log"
    np.testing.assert_array_equal(np.isnan(figure.data[0].y), [False, True, False])


@pytest.mark.parametrize("logarithmic", [False, True])
def test_bounds_hold_on_a_linear_axis(logarithmic: bool) -> None:
    figure = curve_figure([curve()], label="MIG", bounds=(0, 1), logarithmic=logarithmic)
    assert figure.layout.yaxis.range == (None if logarithmic else (0, 1))


def test_a_run_without_points_leaves_no_line_and_keeps_its_colour() -> None:
    assert len(curve_figure([], label="MIG").data) == 0
    empty = RunCurve("a", np.array([]), np.array([]))
    (line,) = curve_figure([empty, curve("b")], label="MIG").data
    assert (line.name, line.line.color) == ("b", RUN_COLORS[1])
