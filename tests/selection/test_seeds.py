from math import sqrt
from pathlib import Path
from typing import Any

import pytest

from dvae_core.config import RunConfig
from dvae_core.runs.run import Run
from dvae_core.selection.seeds import SeedScores, read_seed_scores, same_but_seed
from dvae_core.selection.study import read_study_run
from tests.selection.planted import changed, planted_run


@pytest.fixture
def runs(tmp_path: Path, tiny_config: RunConfig) -> list[Run]:
    values: dict[str, list[float | None]] = {
        "gaussian": [0.3, 0.1, 0.2, 0.9],
        "categorical": [0.5, 0.7, 0.9, None],
    }
    return [
        planted_run(
            tmp_path / f"{family}-{seed}", changed(tiny_config, latents=family), {"mig": value}
        )
        for family, of_family in values.items()
        for seed, value in enumerate(of_family)
    ]


def scores(runs: list[Run]) -> SeedScores:
    return read_seed_scores(by_family(runs), "paper")


def by_family(runs: list[Run]) -> dict[str, list[Run]]:
    families = ("gaussian", "categorical")
    return {name: [run for run in runs if run.record.latents == name] for name in families}


def test_worst_median_and_best_are_ranked_by_the_score(runs: list[Run]) -> None:
    picked = scores(runs).worst_median_best("gaussian", "mig")
    assert [(name, run.id) for name, run in picked] == [
        ("worst", "gaussian-1"),
        ("median", "gaussian-2"),
        ("best", "gaussian-3"),
    ]


def test_a_run_without_the_score_is_left_out(runs: list[Run]) -> None:
    assert len(scores(runs).ranked("categorical", "mig")) == 3


def test_one_run_is_no_best_of_many(runs: list[Run]) -> None:
    assert [name for name, _ in scores(runs[:1]).worst_median_best("gaussian", "mig")] == ["worst"]


def test_the_spread_is_twice_the_deviation_of_a_difference(runs: list[Run]) -> None:
    spread = scores(runs).spread(("categorical", "categorical"), "mig")
    assert spread == pytest.approx(2 * 0.2 * sqrt(2))


def test_two_seeds_tell_no_spread(runs: list[Run]) -> None:
    assert scores(runs[:2]).spread(("gaussian", "gaussian"), "mig") is None


def test_another_protocol_has_no_scores_here(runs: list[Run]) -> None:
    assert read_seed_scores(by_family(runs), "native").values["gaussian"] == {}


def test_a_run_that_cannot_be_read_is_left_out(runs: list[Run]) -> None:
    (runs[0].path / "evaluation.json").write_text("{")
    assert len(scores(runs).runs["gaussian"]) == 3


def test_runs_are_alike_that_differ_only_in_seed_and_machine(
    tmp_path: Path, tiny_config: RunConfig
) -> None:
    changes: list[dict[str, Any]] = [
        {},
        {"seed": 1},
        {"seed": 2, "threads": 3},
        {"learning_rate": 0.5},
        {"noise_scale_end": 0.7},
    ]
    runs = [
        planted_run(tmp_path / f"run-{place}", changed(tiny_config, **change), {})
        for place, change in enumerate(changes)
    ]
    alike = same_but_seed(runs[0].record, map(read_study_run, runs))
    assert [run.id for run in alike] == ["run-0", "run-1", "run-2"]


def test_copies_of_a_run_are_one_seed(tmp_path: Path, tiny_config: RunConfig) -> None:
    runs = [planted_run(tmp_path / f"run-{place}", tiny_config, {}) for place in range(3)]
    alike = same_but_seed(runs[0].record, map(read_study_run, runs))
    assert [run.id for run in alike] == ["run-0"]
