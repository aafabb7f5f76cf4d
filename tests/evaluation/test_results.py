import math

import pytest
from pydantic import ValidationError

from dvae_core.errors import RunError
from dvae_core.evaluation.results import (
    Evaluation,
    Metric,
    ProtocolName,
    Score,
    Table,
    read_evaluation,
)
from dvae_core.runs.run import Run


def score(metric: Metric, protocol: ProtocolName = "paper", value: float | None = 0.5) -> Score:
    return Score(metric=metric, name=metric, protocol=protocol, value=value, **COMMON)


COMMON = {
    "points": 100,
    "test_points": 0,
    "seed": 0,
    "step": 12,
    "estimator": "mean code",
    "seconds": 0.1,
}
TABLE = Table(metric="kl", name="kl", protocol="paper", values=[[1.0, 2.0]], columns=[], **COMMON)


def test_comes_back_from_the_run_as_it_was_written(tiny_run: Run) -> None:
    evaluation = Evaluation(scores=[score("mig"), score("sap", value=None)], tables=[TABLE])
    tiny_run.write_evaluation(evaluation.model_dump(mode="json"))
    assert read_evaluation(tiny_run) == evaluation


def test_a_run_never_evaluated_has_no_scores(tiny_run: Run) -> None:
    assert read_evaluation(tiny_run) == Evaluation()


@pytest.mark.parametrize(
    "content", [{"format_version": 2}, {"scores": [{}]}, {"scores": 3}, {"surplus": 1}]
)
def test_a_foreign_file_is_refused_in_one_line(tiny_run: Run, content: dict) -> None:
    tiny_run.write_evaluation(content)
    with pytest.raises(RunError, match=r"evaluation\.json: ") as caught:
        read_evaluation(tiny_run)
    assert "\n" not in str(caught.value)


def test_a_metric_of_a_later_version_is_refused_by_its_name(tiny_run: Run) -> None:
    tiny_run.write_evaluation({"scores": [score("mig").model_dump() | {"metric": "fid"}]})
    with pytest.raises(RunError, match=r"scores\.0\.metric is 'fid', but input should be .*sap"):
        read_evaluation(tiny_run)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_numbers_that_are_none_cannot_be_scores(value: float) -> None:
    with pytest.raises(ValidationError, match="finite"):
        score("mig", value=value)


def test_replacing_leaves_other_metrics_and_protocols(tiny_run: Run) -> None:
    kept = [score("mig", "native"), score("sap")]
    before = Evaluation(scores=[score("mig"), *kept], tables=[TABLE])
    after = before.replaced("mig", "paper", [score("mig", value=0.7)], [])
    assert after.scores == [*kept, score("mig", value=0.7)]
    assert after.tables == [TABLE]


def test_scores_and_tables_are_found_by_name_and_protocol() -> None:
    evaluation = Evaluation(scores=[score("mig"), score("mig", "native", 0.7)], tables=[TABLE])
    found = evaluation.score("mig", "native")
    assert found is not None
    assert found.value == 0.7
    assert evaluation.score("sap", "native") is None
    assert evaluation.table("kl", "paper") == TABLE
    assert evaluation.table("kl", "native") is None
