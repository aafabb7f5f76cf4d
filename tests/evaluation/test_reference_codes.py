import numpy as np
import pytest
import torch

from dvae_core.data import load_dataset
from dvae_core.errors import EvaluationError
from dvae_core.evaluation import reference_codes
from dvae_core.evaluation.inputs import takes_each_once
from dvae_core.evaluation.reference_codes import (
    INSTANT,
    SHIPPED,
    grid_factors,
    name_of_grid,
    reference_factors,
    reference_scores,
    reference_scores_of,
    shipped_scores,
)
from dvae_core.evaluation.results import EvaluationSettings, ProtocolName
from tests.evaluation.known import Plain

TRAIN, TEST = grid_factors((6, 5), 2_000, 0), grid_factors((6, 5), 1_000, 1)


def test_a_perfect_code_has_all_and_a_shuffled_one_nothing() -> None:
    scores = reference_scores(TRAIN, TEST, "native", SHIPPED)
    for name in ("mig", "modularity", "dci_fast_disentanglement", "infom", "infoc"):
        assert scores[name].perfect == pytest.approx(1.0, abs=0.01), name
    assert scores["infoe"].perfect == pytest.approx(1.0, abs=0.1)
    for name in ("mig", "sap", "infoe"):
        assert scores[name].shuffled == pytest.approx(0.0, abs=0.05), name


def test_twenty_bins_and_lines_keep_a_perfect_code_below_one() -> None:
    circles = shipped_scores((32, 32), "paper")
    assert circles is not None
    assert circles["mig"].perfect == pytest.approx(0.84, abs=0.01)
    assert circles["sap"].perfect == pytest.approx(0.03, abs=0.01)


@pytest.mark.parametrize("protocol", ["paper", "native"])
@pytest.mark.parametrize("name", ["circles", "sprites", "rooms"])
def test_the_shipped_scores_are_those_of_the_grid(name: str, protocol: ProtocolName) -> None:
    dataset, settings = load_dataset(name, 32), EvaluationSettings()
    found = reference_scores_of(dataset, protocol)
    assert "sap" in found
    if takes_each_once(dataset, protocol, settings):
        train, _ = reference_factors(dataset, protocol)
    else:
        train = grid_factors(dataset.factor_sizes, settings.points, 0)
    for score, value in reference_scores(train, train, protocol, INSTANT).items():
        assert found[score].perfect == pytest.approx(value.perfect, abs=1e-3)
        assert found[score].shuffled == pytest.approx(value.shuffled, abs=1e-3)


def test_another_data_set_has_the_scores_that_take_no_time() -> None:
    found = reference_scores_of(Plain(3, 4), "paper")
    assert found.keys() == {"mig", "modularity"}
    assert found["mig"].perfect == pytest.approx(1.0, abs=0.01)


def test_one_factor_leaves_scores_undefined() -> None:
    assert reference_scores(TRAIN[:, :1], TEST[:, :1], "paper")["mig"].perfect is None


def test_without_varying_factors_there_is_nothing_to_score() -> None:
    assert reference_scores(np.zeros((50, 2), np.int64), TEST, "paper") == {}


def test_a_grid_is_named_by_its_sizes() -> None:
    assert name_of_grid((3, 6, 40)) == "3x6x40"
    assert torch.from_numpy(grid_factors((3, 6), 100, 0)).amax(0).tolist() == [2, 5]


def test_a_metric_that_needs_a_model_is_refused() -> None:
    with pytest.raises(EvaluationError, match="'kl' is not a metric of codes alone"):
        reference_scores(TRAIN, TEST, "paper", ("kl",))


def test_an_unknown_protocol_is_refused() -> None:
    with pytest.raises(EvaluationError, match="'papier' is not a protocol: use paper or native"):
        reference_scores(TRAIN, TEST, "papier")  # type: ignore[arg-type]


def test_factors_of_another_number_are_refused() -> None:
    with pytest.raises(EvaluationError, match="give the same factors"):
        reference_scores(TRAIN, TEST[:, :1], "paper")


def test_malformed_factors_are_refused() -> None:
    with pytest.raises(EvaluationError, match="must be numbers"):
        reference_scores(TRAIN[:, 0], TEST, "paper")


def test_a_sample_gives_each_image_once_and_holds_a_third_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen = list[np.ndarray]()
    monkeypatch.setattr(
        reference_codes, "reference_scores", lambda fit, test, protocol: seen.extend((fit, test))
    )
    digits = load_dataset("digits", 32)
    reference_scores_of(digits, "native")
    assert [len(factors) for factors in seen] == [1_198, 599]
    drawn = np.bincount(np.concatenate(seen)[:, 0])
    expected = digits.points_at(torch.arange(digits.num_images))[0][:, 0].bincount()
    assert drawn.tolist() == expected.tolist()
