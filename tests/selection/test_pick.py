from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dvae_core.errors import EvaluationError
from dvae_core.selection.pick import expected_picks, pick_by_gap

GAPS = np.array([2.0, 1.0, 3.0, 4.0])
SCORES = np.array([0.9, 0.6, 0.1, 0.2])
IDS = ["a", "b", "c", "d"]


def test_the_least_gap_is_picked_and_weighed_against_the_others() -> None:
    pick = pick_by_gap(GAPS, SCORES, IDS, "higher")
    assert (pick.picked_runs, pick.picked) == (("b",), 0.6)
    assert (pick.best_runs, pick.best) == (("a",), 0.9)
    assert (pick.median, pick.random) == pytest.approx((0.4, 0.45))
    assert (pick.regret, pick.random_regret) == pytest.approx((0.3, 0.45))


def test_the_best_of_a_score_that_should_be_low_is_its_least() -> None:
    pick = pick_by_gap(GAPS, SCORES, IDS, "lower")
    assert (pick.best_runs, pick.best) == (("c",), 0.1)
    assert pick.regret == pytest.approx(0.5)


def test_runs_that_share_the_least_gap_are_picked_together() -> None:
    pick = pick_by_gap(np.array([1.0, 1.0, 2.0, 2.0]), SCORES, IDS, "higher")
    assert pick.picked_runs == ("a", "b")
    assert pick.picked == pytest.approx(0.75)


@pytest.mark.parametrize("count", [0, 1])
def test_fewer_than_two_runs_are_no_choice(count: int) -> None:
    for choose in (
        lambda: pick_by_gap(GAPS[:count], SCORES[:count], IDS[:count], "higher"),
        lambda: expected_picks(GAPS[:count], SCORES[:count], "higher"),
    ):
        with pytest.raises(EvaluationError, match=f"{count} of at least 2 runs"):
            choose()


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9)), min_size=2, max_size=6),
    st.sampled_from(["higher", "lower"]),
)
def test_expected_picks_are_means_over_all_sets(pairs: list[tuple[int, int]], better: str) -> None:
    gaps, scores = np.array(pairs, float).T
    found = expected_picks(gaps, scores, better)
    best = max if better == "higher" else min
    for size, by_gap, by_score, random in zip(
        found.sizes, found.by_gap, found.by_score, found.random, strict=True
    ):
        sets = [list(chosen) for chosen in combinations(range(len(gaps)), int(size))]
        picked = [scores[s][gaps[s] == gaps[s].min()].mean() for s in sets]
        assert by_gap == pytest.approx(np.mean(picked))
        assert by_score == pytest.approx(np.mean([best(scores[s]) for s in sets]))
        assert random == pytest.approx(scores.mean())


def test_hundreds_of_runs_keep_their_precision() -> None:
    generator = np.random.default_rng(0)
    gaps, scores = generator.normal(size=(2, 500))
    found = expected_picks(gaps, scores, "higher")
    assert found.by_gap[0] == pytest.approx(scores.mean())
    assert found.by_gap[-1] == pytest.approx(scores[gaps.argmin()])
    assert found.by_score[-1] == pytest.approx(scores.max())
