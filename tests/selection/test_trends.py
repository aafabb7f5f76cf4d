from dataclasses import astuple
from pathlib import Path

import pytest

from dvae_core.config import RunConfig
from dvae_core.selection.study import GROUP_BY, Study, read_study
from dvae_core.selection.trends import numeric_settings, trends
from tests.selection.planted import changed, planted_run


@pytest.fixture
def study(tmp_path: Path, tiny_config: RunConfig) -> Study:
    """MIG is K / 100 plus the seed's tenth; Gaussian runs have no K."""
    for seed in range(3):
        for count in (4, 16):
            config = changed(tiny_config, seed=seed, num_categories=count)
            planted_run(tmp_path / f"k{count}-{seed}", config, {"mig": count / 100 + seed / 10})
        gaussian = changed(tiny_config, seed=seed, latents="gaussian")
        planted_run(tmp_path / f"gaussian-{seed}", gaussian, {"mig": 0.1})
    return read_study(tmp_path, "paper")


def test_a_trend_has_median_and_range_at_each_value(study: Study) -> None:
    (trend,) = trends(study, GROUP_BY, "num_categories", lambda run: run.score("mig", "paper"))
    assert trend.group == "circles · categorical · elbo"
    assert trend.values == (4.0, 16.0)
    at_4, at_16 = (astuple(summary) for summary in trend.summaries)
    assert at_4 == pytest.approx((3, 0.14, 0.04, 0.24))
    assert at_16 == pytest.approx((3, 0.26, 0.16, 0.36))


def test_the_setting_itself_is_no_group(study: Study) -> None:
    number = len(trends(study, ["num_categories"], "num_categories", lambda run: run.seconds))
    assert number == 1


def test_runs_without_the_number_are_left_out(study: Study) -> None:
    assert trends(study, GROUP_BY, "num_categories", lambda run: run.categories_used) == []


def test_trends_run_over_numbers_but_not_over_seeds(study: Study) -> None:
    assert numeric_settings(study) == ("num_categories",)
