from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from dvae_core.config import RunConfig
from dvae_core.errors import EvaluationError
from dvae_core.selection.gap import expected_picks, gap_correlations, gap_picks, pick_by_gap
from dvae_core.selection.study import GAP, GROUP_BY, RECONSTRUCTION_GAP, Study, read_study
from tests.selection.planted import changed, planted_run

SEEDS = 5


@pytest.fixture
def study(tmp_path: Path, tiny_config: RunConfig) -> Study:
    """ELBO runs whose MIG falls with the gap, and runs of two gammas. Within each gamma the MIG
    falls with the whole gap, but the greater gamma has both the greater gaps and the greater MIG;
    the reconstruction part tells the MIG across both."""
    for seed in range(SEEDS):
        config = changed(tiny_config, seed=seed)
        elbo = {"mig": 0.9 - 0.1 * seed, GAP: 1.0 + seed, RECONSTRUCTION_GAP: 1.0 + seed}
        planted_run(tmp_path / f"elbo-{seed}", config, elbo)
        for gamma in (10.0, 100.0):
            mig = gamma / 1000 - 0.01 * seed
            scores = {"mig": mig, GAP: gamma + seed, RECONSTRUCTION_GAP: 1 - mig}
            config = changed(tiny_config, seed=seed, objective="factor", gamma=gamma)
            planted_run(tmp_path / f"factor-{gamma:g}-{seed}", config, scores)
        gaussian = changed(tiny_config, seed=seed, latents="gaussian")
        planted_run(tmp_path / f"gaussian-{seed}", gaussian, {"mig": 0.1, GAP: None})
    return read_study(tmp_path, "paper")


def rhos(study: Study, gap: str) -> dict[str, tuple[int, float | None]]:
    return {
        found.group: (found.correlation.count, found.correlation.value)
        for found in gap_correlations(study, GROUP_BY, gap, resamples=50)
    }


def test_the_whole_gap_is_compared_within_one_gamma_only(study: Study) -> None:
    assert rhos(study, GAP) == {
        "circles · categorical · elbo": (5, pytest.approx(-1)),
        "circles · categorical · factor · gamma 10": (5, pytest.approx(-1)),
        "circles · categorical · factor · gamma 100": (5, pytest.approx(-1)),
    }


def test_the_reconstruction_part_is_compared_across_gammas(study: Study) -> None:
    assert rhos(study, RECONSTRUCTION_GAP) == {
        "circles · categorical · elbo": (5, pytest.approx(-1)),
        "circles · categorical · factor": (10, pytest.approx(-1)),
    }


def test_groups_are_the_callers_choice(study: Study) -> None:
    found = gap_correlations(study, [], RECONSTRUCTION_GAP, resamples=50)
    counted = [run for run in study.counted if run.score(GAP, "paper") is not None]
    columns = np.array(
        [[run.score(name, "paper") for name in (RECONSTRUCTION_GAP, "mig")] for run in counted]
    )
    assert found[0].group == "all runs"
    assert found[0].correlation.value == pytest.approx(spearmanr(*columns.T).statistic)


def test_what_is_pooled_is_said(study: Study) -> None:
    by_group = {
        found.group: found.pooled
        for found in gap_correlations(study, GROUP_BY, RECONSTRUCTION_GAP, resamples=50)
    }
    assert by_group["circles · categorical · factor"] == ("gamma", "seed")
    assert by_group["circles · categorical · elbo"] == ("seed",)


def test_the_pick_of_each_group_has_its_best_score(study: Study) -> None:
    picks = gap_picks(study, GROUP_BY, RECONSTRUCTION_GAP, ["mig"])
    assert [(found.group, found.pick and found.pick.picked_runs) for found in picks] == [
        ("circles · categorical · elbo", ("elbo-0",)),
        ("circles · categorical · factor", ("factor-100-0",)),
    ]
    assert all(found.pick and found.pick.regret == 0 for found in picks)


def test_a_score_without_a_better_direction_has_no_pick(study: Study) -> None:
    assert gap_picks(study, GROUP_BY, GAP, ["kl", "active_latents"]) == []


def test_a_single_run_has_no_pick_and_says_why(tmp_path: Path, tiny_config: RunConfig) -> None:
    planted_run(tmp_path / "only", tiny_config, {"mig": 0.5, GAP: 1.0})
    study = read_study(tmp_path, "paper")
    (found,) = gap_picks(study, GROUP_BY, GAP, ["mig"])
    assert found.pick is None
    assert "1 of at least 2 runs" in found.undefined
    (correlation,) = gap_correlations(study, GROUP_BY, GAP)
    assert correlation.correlation.undefined == "1 of at least 3 runs"


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
