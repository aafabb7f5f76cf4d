import numpy as np
import pytest

from dvae_core.figures.style import PALETTE
from dvae_core.figures.training import (
    RunCurve,
    curve_figure,
    downsample,
    series,
    smooth,
)


def curve(name: str = "a", count: int = 100) -> RunCurve:
    values = np.random.default_rng(len(name)).uniform(1, 2, count)
    return RunCurve(name, np.arange(count, dtype=float), values)


def test_one_run_is_one_line_without_a_legend() -> None:
    shown = curve()
    figure = curve_figure([shown], label="KL", unit="<b>nats")
    (line,) = figure.data
    np.testing.assert_array_equal(line.x, shown.steps)
    np.testing.assert_array_equal(line.y, shown.values)
    assert not line.showlegend
    assert figure.layout.title.text == "KL"
    assert figure.layout.title.subtitle.text == "&#60;b&#62;nats"


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
        ("first", PALETTE[0]),
        ("second", PALETTE[1]),
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
    assert (line.name, line.line.color) == ("b", PALETTE[1])


def test_a_column_passes_over_rows_that_lack_it() -> None:
    rows: list[dict[str, float]] = [{"step": 1, "mig": 0.5}, {"step": 2}, {"step": 3, "mig": 0.25}]
    steps, values = series(rows, "mig")
    assert steps.tolist() == [1, 3]
    assert values.tolist() == [0.5, 0.25]
    assert [len(part) for part in series(rows, "gap")] == [0, 0]


def test_a_short_curve_is_left_as_it_is() -> None:
    steps, values = np.arange(10.0), np.arange(10.0) ** 2
    for part, whole in zip(downsample(steps, values, 10), (steps, values), strict=True):
        np.testing.assert_array_equal(part, whole)


@pytest.mark.parametrize("count", [11, 1_000, 300_000])
@pytest.mark.parametrize("max_points", [4, 10, 2_000])
def test_thinning_keeps_ends_and_extremes_and_the_order(count: int, max_points: int) -> None:
    values = np.random.default_rng(0).normal(size=count)
    steps = np.arange(count, dtype=float) * 50
    shown_steps, shown = downsample(steps, values, max_points)
    assert len(shown) <= max(max_points, 4)
    assert (np.diff(shown_steps) > 0).all()
    assert set(zip(shown_steps, shown, strict=True)) <= set(zip(steps, values, strict=True))
    assert (shown_steps[0], shown_steps[-1]) == (steps[0], steps[-1])
    assert (shown.min(), shown.max()) == (values.min(), values.max())


def test_no_spike_of_a_long_curve_is_lost() -> None:
    values = np.zeros(300_000)
    spikes = [5, 77_777, 150_000, 299_990]
    values[spikes] = [1, -1, 2, -2]
    steps, shown = downsample(np.arange(300_000.0), values)
    assert len(shown) <= 2_000
    for spike in spikes:
        assert shown[steps == spike].tolist() == [values[spike]]


def test_every_bucket_shows_its_range() -> None:
    values = np.sin(np.linspace(0, 40 * np.pi, 100_000))  # 20 whole turns
    steps, shown = downsample(np.arange(100_000.0), values, 1_000)
    for turn in range(20):
        inside = shown[(steps >= turn * 5_000) & (steps < (turn + 1) * 5_000)]
        assert inside.max() > 0.999
        assert inside.min() < -0.999


def by_definition(values: list[float], weight: float) -> list[float]:
    smoothed = []
    for t in range(len(values)):
        weights = [weight**i for i in range(t + 1)]
        past = [values[t - i] for i in range(t + 1)]
        smoothed.append(sum(w * v for w, v in zip(weights, past, strict=True)) / sum(weights))
    return smoothed


@pytest.mark.parametrize("weight", [0.0, 0.5, 0.9, 0.999])
def test_smoothing_is_the_weighted_mean_of_what_came_before(weight: float) -> None:
    values = np.random.default_rng(1).normal(size=50)
    expected = by_definition(values.tolist(), weight)
    np.testing.assert_allclose(smooth(values, weight), expected, rtol=1e-9)


def test_smoothing_leaves_a_constant_alone_from_its_first_point() -> None:
    np.testing.assert_allclose(smooth(np.full(1_000, 7.0), 0.99), 7.0)


def test_a_weight_that_would_forget_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="weight is 1"):
        smooth(np.ones(3), 1.0)


def test_nothing_is_smoothed_to_nothing() -> None:
    assert len(smooth(np.array([]), 0.9)) == 0
