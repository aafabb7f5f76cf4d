import pytest

from benchmarks.metric_table import DOCUMENT, metric_table
from dvae_core.errors import ConfigError
from dvae_core.evaluation.catalog import (
    FAST_METRICS,
    MEANINGS,
    METRIC_SPECS,
    METRICS,
    PAPER_METRICS,
    estimated_seconds,
    metrics_named,
    split_by_time,
)
from dvae_core.evaluation.metric_spec import ScoreSpec


@pytest.mark.parametrize("score", MEANINGS.values(), ids=MEANINGS)
def test_each_score_has_a_label_a_direction_and_one_sentence(score: ScoreSpec) -> None:
    assert score.label
    assert score.better in ("higher", "lower", "")
    assert score.meaning[0].isupper()
    assert score.meaning.endswith(".")
    assert ". " not in score.meaning


def test_no_two_metrics_share_a_score() -> None:
    scores = [score.name for spec in METRIC_SPECS.values() for score in spec.scores]
    assert sorted(scores) == sorted(MEANINGS)


def test_an_arrow_tells_the_better_direction() -> None:
    assert MEANINGS["mig"].label_with_arrow == "MIG ↑"
    assert MEANINGS["reconstruction"].label_with_arrow == "Reconstruction, nats ↓"
    assert MEANINGS["kl"].label_with_arrow == "KL, nats"


def test_the_documentation_lists_every_score() -> None:
    """After a change: python -m benchmarks.metric_table"""
    assert metric_table() in DOCUMENT.read_text()


def test_quick_metrics_come_first_and_exact_dci_last() -> None:
    assert METRICS[0] == "mutual_information"
    assert METRICS[: len(FAST_METRICS)] == FAST_METRICS
    assert METRICS[-1] == "dci"


def test_the_fast_set_leaves_out_what_is_slow() -> None:
    assert "dci_fast" in FAST_METRICS
    assert not {"dci", "factor_vae", "beta_vae", "straight_through_gap"} & set(FAST_METRICS)


def test_the_set_of_the_paper_has_its_six() -> None:
    assert set(PAPER_METRICS) == {"mig", "modularity", "sap", "factor_vae", "beta_vae", "dci"}


def test_metrics_are_named_one_by_one_or_as_a_set() -> None:
    assert metrics_named("sap, mig") == ("mig", "sap")
    assert metrics_named("paper") == PAPER_METRICS
    with pytest.raises(ConfigError, match=r"'fid': there are .* and the sets all, fast, paper"):
        metrics_named("mig,fid")


def test_exact_dci_of_many_values_is_long_and_everything_else_is_not() -> None:
    dsprites, continuous = (3, 6, 40, 32, 32), (5_000,)
    assert split_by_time(METRICS, dsprites) == (METRICS, ())
    quick, long = split_by_time(METRICS, continuous)
    assert long == ("dci",)
    assert set(quick) == set(METRICS) - {"dci"}
    assert estimated_seconds("dci", dsprites) == pytest.approx(METRIC_SPECS["dci"].seconds, rel=0.1)
