import pytest
import torch

from dvae_core.errors import EvaluationError
from dvae_core.evaluation.metrics.factor_vae import factor_vae_score
from tests.evaluation.known import CategoricalModel, GaussianModel, Plain

TURNED = GaussianModel(lambda x: x @ torch.tensor([[1.0, 1.0], [-1.0, 1.0]]))


def score(model: GaussianModel | CategoricalModel, dataset: Plain, seed: int = 0) -> float:
    return factor_vae_score(model, dataset, seed, num_train=200, num_test=200, num_variance=1_000)


@pytest.mark.parametrize("noise", [0.0, 0.05])
def test_one_latent_a_factor_gives_1(noise: float) -> None:
    assert score(GaussianModel(), Plain(5, 6, 7, noise=noise)) == 1.0


def test_permuted_and_scaled_latents_give_1() -> None:
    assert score(GaussianModel(lambda x: 1 - 3 * x.flip(1)), Plain(5, 6, 7)) == 1.0


def test_a_collapsed_latent_has_no_vote() -> None:
    model = GaussianModel(lambda x: torch.cat([x, 0.01 * x], dim=1))
    assert score(model, Plain(5, 6)) == 1.0


def test_all_latents_collapsed_give_0() -> None:
    assert score(GaussianModel(lambda x: 0.01 * x), Plain(5, 6)) == 0.0


def test_latents_of_the_sum_alone_give_what_guessing_gives() -> None:
    model = GaussianModel(lambda x: x.sum(1, keepdim=True))
    assert score(model, Plain(6, 6, 6)) == pytest.approx(1 / 3, abs=0.1)


def test_categorical_latents_are_scored_alike() -> None:
    assert score(CategoricalModel(8), Plain(8, 8)) == 1.0


def test_latents_turned_by_45_degrees_give_what_guessing_gives() -> None:
    assert score(TURNED, Plain(6, 6)) == pytest.approx(1 / 2, abs=0.1)


def test_the_seed_decides_the_score() -> None:
    scores = [score(TURNED, Plain(6, 6), seed) for seed in (0, 0, 1, 2, 3)]
    assert scores[0] == scores[1]
    assert len(set(scores)) > 1


def test_factors_of_one_value_are_left_out() -> None:
    assert score(GaussianModel(), Plain(5, 1, 6)) == 1.0


@pytest.mark.parametrize("sizes", [(5,), (5, 1)])
def test_fewer_than_two_factors_are_refused(sizes: tuple[int, ...]) -> None:
    with pytest.raises(EvaluationError, match="there is one factor"):
        score(GaussianModel(), Plain(*sizes))
