from pathlib import Path

import pytest

from dvae_core.config import RunConfig
from dvae_core.errors import EvaluationError
from dvae_core.selection.criteria import CriterionResult, compare_criteria
from dvae_core.selection.report import criteria_sheet
from dvae_core.selection.study import GAP, GROUP_BY, Study, read_study
from tests.selection.planted import changed, planted_run

SEEDS = 5


@pytest.fixture
def study(tmp_path: Path, tiny_config: RunConfig) -> Study:
    """Runs whose MIG falls with the gap, rises with UDR and with the reconstruction loss, and does
    not follow the KL. One more run lacks UDR."""
    for seed, kl in enumerate([3.0, 1.0, 4.0, 2.0, 5.0]):
        scores = {
            "mig": 0.9 - 0.1 * seed,
            GAP: 1.0 + seed,
            "udr": 0.8 - 0.1 * seed,
            "reconstruction": 50.0 - seed,
            "kl": kl,
        }
        planted_run(tmp_path / f"run-{seed}", changed(tiny_config, seed=seed), scores)
    incomplete = {"mig": 0.99, GAP: 0.1, "reconstruction": 1.0, "kl": 0.1}
    planted_run(tmp_path / "incomplete", changed(tiny_config, seed=9), incomplete)
    return read_study(tmp_path, "paper")


def results(study: Study, score: str = "mig") -> dict[str, CriterionResult]:
    found = compare_criteria(study, GROUP_BY, GAP, score, resamples=50)
    return {result.criterion: result for result in found}


def test_a_criterion_that_orders_runs_as_the_score_has_rho_1_and_no_regret(study: Study) -> None:
    for criterion in ("smallest gap", "highest UDR"):
        result = results(study)[criterion]
        assert result.correlation.value == pytest.approx(1)
        assert result.pick is not None
        assert result.pick.picked_runs == ("run-0",)
        assert result.pick.regret == 0


def test_a_criterion_that_misleads_has_rho_minus_1_and_the_greatest_regret(study: Study) -> None:
    result = results(study)["lowest reconstruction loss"]
    assert result.correlation.value == pytest.approx(-1)
    assert result.pick is not None
    assert result.pick.picked_runs == ("run-4",)
    assert result.pick.regret == pytest.approx(0.4)
    assert result.pick.random_regret == pytest.approx(0.2)


def test_all_criteria_choose_among_the_same_runs(study: Study) -> None:
    assert {result.correlation.count for result in results(study).values()} == {SEEDS}


def test_a_score_of_which_less_is_better_turns_the_order(study: Study) -> None:
    result = results(study, "latent_information")
    assert result["smallest gap"].pick is None  # no run has it
    assert "there is no choice" in result["smallest gap"].undefined
    assert results(study, "reconstruction")["smallest gap"].correlation.value == pytest.approx(-1)


def test_a_score_without_a_direction_is_refused(study: Study) -> None:
    with pytest.raises(EvaluationError, match="kl has no better direction"):
        compare_criteria(study, GROUP_BY, GAP, "kl")


def test_the_sheet_has_a_row_for_each_criterion(study: Study) -> None:
    sheet = criteria_sheet(study, GROUP_BY, GAP, "mig")
    assert [row[1] for row in sheet.rows] == [
        "smallest gap",
        "lowest reconstruction loss",
        "lowest KL",
        "highest UDR",
    ]
    assert all(len(row) == len(sheet.columns) for row in sheet.rows)
