from pathlib import Path

import numpy as np
import pytest

from dvae_core.config import RunConfig
from dvae_core.errors import RunError
from dvae_core.runs.run import Run
from dvae_core.selection.training_curves import (
    Band,
    TrainingCurve,
    band,
    reaches,
    read_training_curves,
)


def curve(steps: list[float], values: list[float], pace: float = 1.0) -> TrainingCurve:
    at = np.array(steps, float)
    return TrainingCurve(at, at * pace, np.array(values, float))


@pytest.fixture
def run(tmp_path: Path, tiny_config: RunConfig) -> Run:
    run = Run.create(tmp_path / "run", tiny_config, (1, 32, 32))
    for step, seconds in ((4, 2.0), (8, 4.0), (12, 10.0)):
        run.metrics.append({"step": step, "kl": step / 4, "seconds": seconds})
    run.scores.append({"step": 2, "mig": 0.1})
    run.scores.append({"step": 10, "mig": 0.5, "straight_through_gap": 3.0})
    return run


def test_scores_take_their_seconds_from_the_clock_of_the_losses(run: Run) -> None:
    curves = read_training_curves(run)
    assert set(curves) == {"mig", "straight_through_gap", "kl"}
    np.testing.assert_allclose(curves["mig"].steps, [2, 10])
    np.testing.assert_allclose(curves["mig"].seconds, [1.0, 7.0])
    np.testing.assert_allclose(curves["mig"].values, [0.1, 0.5])
    np.testing.assert_allclose(curves["kl"].seconds, [2, 4, 10])


def test_a_run_that_wrote_nothing_has_no_courses(tmp_path: Path, tiny_config: RunConfig) -> None:
    assert read_training_curves(Run.create(tmp_path / "new", tiny_config, (1, 32, 32))) == {}


def test_a_damaged_file_is_an_error_in_words(run: Run) -> None:
    with open(run.scores.path, "a") as file:
        file.write("what is this\n")
    with pytest.raises(RunError, match=r"scores\.jsonl"):
        read_training_curves(run)


def test_a_band_is_median_and_range_where_all_courses_are() -> None:
    found = band(
        [
            curve([0, 10, 20], [0, 1, 2]),
            curve([0, 20, 30], [0, 4, 4]),  # 2 at step 10, by interpolation
            curve([10, 20], [6, 9]),
        ],
        "steps",
    )
    assert found is not None
    assert found.count == 3
    np.testing.assert_allclose(found.at, [10, 20])
    np.testing.assert_allclose(found.low, [1, 2])
    np.testing.assert_allclose(found.median, [2, 4])
    np.testing.assert_allclose(found.high, [6, 9])


def test_against_seconds_a_slower_run_is_later() -> None:
    found = band([curve([0, 10], [0, 1]), curve([0, 10], [0, 1], pace=2.0)], "seconds")
    assert found is not None
    assert found.at[-1] == 10
    assert (found.low[-1], found.high[-1]) == (0.5, 1.0)


def test_courses_that_never_meet_have_no_band() -> None:
    assert band([curve([0, 1], [0, 0]), curve([2, 3], [0, 0])], "steps") is None
    assert band([], "steps") is None


def test_long_courses_are_thinned_but_keep_their_ends() -> None:
    steps = list(range(5000))
    found = band([curve([float(s) for s in steps], [float(s) for s in steps])], "steps")
    assert found is not None
    assert len(found.at) <= 200
    assert (found.median[0], found.median[-1]) == (0, 4999)


@pytest.mark.parametrize(
    ("values", "expected"),
    [([0, 5, 9.5, 10], 2), ([0, 10, 0, 10], 3), ([10, 4, 0.5, 0], 2), ([3, 3, 3, 3], 0)],
)
def test_nine_tenths_are_reached_when_they_are_kept(values: list[float], expected: int) -> None:
    line = np.array(values, float)
    assert reaches(Band(np.arange(4.0), line, line, line, 1)) == expected
