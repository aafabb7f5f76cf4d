from pathlib import Path

import numpy as np
import pytest

from dvae_core.config import RunConfig
from dvae_core.data import load_dataset
from dvae_core.errors import EvaluationError
from dvae_core.evaluation.metrics import udr
from dvae_core.evaluation.metrics.udr import (
    one_to_one,
    unsupervised_disentanglement_ranking,
)
from dvae_core.evaluation.protocol import evaluate
from dvae_core.evaluation.results import EvaluationSettings, Score
from dvae_core.runs.run import Run
from dvae_core.training.trainer import train

ACTIVE = np.ones(3)


def random(seed: int, points: int = 1_000) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(points, 3))


@pytest.mark.parametrize(
    ("importance", "expected"),
    [
        (np.eye(3), 1.0),
        # The published tests of the reference: between 0.6 and 0.7, between 0.3 and 0.4, and 0.
        (np.array([[1.0, 1, 0], [1, 1, 0], [0, 0, 1]]), 2 / 3),
        (np.ones((3, 3)), 1 / 3),
        (np.zeros((3, 3)), 0.0),
        (np.zeros((0, 2)), 0.0),
    ],
)
def test_one_counterpart_for_each_latent_is_full_agreement(
    importance: np.ndarray, expected: float
) -> None:
    assert one_to_one(importance) == pytest.approx(expected)


def test_runs_that_differ_by_order_sign_and_scale_agree() -> None:
    codes = random(0)
    alike = [codes, -codes[:, [2, 0, 1]], codes * np.array([5, 0.2, 1])]
    scores = unsupervised_disentanglement_ranking(alike, [ACTIVE] * 3)
    assert (scores > 0.85).all()  # the lasso shrinks 1 to 0.9


def test_rotated_and_unrelated_runs_do_not_agree() -> None:
    codes = random(0)
    turn = np.linalg.qr(random(1, 3))[0]
    turned = unsupervised_disentanglement_ranking([codes, codes @ turn], [ACTIVE] * 2)
    unrelated = unsupervised_disentanglement_ranking([codes, random(2)], [ACTIVE] * 2)
    assert (turned < 0.6).all()
    assert (unrelated < 0.05).all()


def test_the_odd_one_out_scores_lowest() -> None:
    codes = random(0)
    scores = unsupervised_disentanglement_ranking(
        [codes, codes[:, ::-1], codes + 0.1 * random(3), random(4)], [ACTIVE] * 4
    )
    assert scores.argmin() == 3
    assert scores[:3].min() > 0.8


def test_latents_with_little_kl_are_left_out() -> None:
    codes = random(0)
    others = [np.column_stack([codes[:, 0], random(seed)[:, :2]]) for seed in (1, 2)]
    inactive = np.array([1.0, 0.001, 0.001])
    assert (unsupervised_disentanglement_ranking(others, [ACTIVE] * 2) < 0.5).all()
    assert (unsupervised_disentanglement_ranking(others, [inactive] * 2) > 0.85).all()
    dead = unsupervised_disentanglement_ranking(others, [0 * ACTIVE] * 2)
    assert dead.tolist() == [0, 0]


def test_one_run_or_other_images_are_refused() -> None:
    with pytest.raises(EvaluationError, match="there is 1: give at least two seeds"):
        unsupervised_disentanglement_ranking([random(0)], [ACTIVE])
    with pytest.raises(EvaluationError, match="the same points"):
        unsupervised_disentanglement_ranking([random(0), random(0, 50)], [ACTIVE] * 2)


@pytest.fixture
def seeds(tmp_path: Path, tiny_config: RunConfig) -> list[Run]:
    """Three seeds of the same settings, and a run of others."""
    changes = [
        {"seed": 0},
        {"seed": 1},
        {"seed": 2, "threads": 2},
        {"seed": 3, "num_categories": 7},
    ]
    runs = []
    for number, change in enumerate(changes):
        run = Run.create(
            tmp_path / f"run-{number}", tiny_config.model_copy(update=change), (1, 32, 32)
        )
        train(run)
        runs.append(run)
    return runs


def score_of(run: Run) -> Score:
    settings = EvaluationSettings(points=100, test_points=50)
    measured = evaluate(run, load_dataset("circles", 32), "paper", ("udr",), settings)
    (score,) = measured.scores
    return score


def test_a_run_is_compared_with_the_other_seeds_in_its_folder(seeds: list[Run]) -> None:
    score = score_of(seeds[0])
    seeds_used = "1 (12 steps), 2 (12 steps)"
    assert score.estimator == f"mean code; lasso, median over the seeds {seeds_used}"
    assert score.points == 1_000
    assert score.value is not None
    assert 0 <= score.value <= 1


def test_many_seeds_are_counted_not_listed(
    seeds: list[Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(udr, "MOST_NAMED", 1)
    estimator = score_of(seeds[0]).estimator
    assert "median over 2 other seeds (" in estimator
    status = seeds[1].status()
    seeds[1].write_status(status.model_copy(update={"step": status.step + 1}))
    assert score_of(seeds[0]).estimator != estimator


def test_a_run_without_other_seeds_has_no_udr(seeds: list[Run]) -> None:
    score = score_of(seeds[3])
    assert score.value is None
    assert "UDR needs other seeds of the same settings in the folder of run-3" in score.reason
