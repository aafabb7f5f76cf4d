import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from dvae_core.errors import EvaluationError
from dvae_core.evaluation.metrics.beta_vae import beta_vae_score
from tests.evaluation.known import CategoricalModel, GaussianModel, Plain


def score(model: GaussianModel | CategoricalModel, dataset: Plain, seed: int = 0) -> float:
    return beta_vae_score(model, dataset, seed, num_train=300, num_test=200)


@pytest.mark.parametrize("noise", [0.0, 0.05])
def test_one_latent_a_factor_gives_1(noise: float) -> None:
    assert score(GaussianModel(lambda x: 5 * x), Plain(5, 6, 7, noise=noise)) == 1.0


def test_permuted_latents_give_1() -> None:
    assert score(GaussianModel(lambda x: -5 * x.flip(1)), Plain(5, 6, 7)) == 1.0


def test_constant_codes_give_what_guessing_gives() -> None:
    assert score(GaussianModel(torch.zeros_like), Plain(6, 6, 6)) == pytest.approx(1 / 3, abs=0.1)


def test_a_latent_of_one_factor_names_that_one_alone() -> None:
    model = GaussianModel(lambda x: 5 * x * torch.tensor([1.0, 0.0, 0.0]))
    # It is sure of one factor of three, and cannot tell the other two apart.
    assert score(model, Plain(6, 6, 6)) == pytest.approx(2 / 3, abs=0.1)


def test_categorical_latents_are_scored_alike() -> None:
    assert score(CategoricalModel(8), Plain(8, 8)) == 1.0


def test_the_seed_decides_the_score() -> None:
    model = GaussianModel(lambda x: x @ torch.tensor([[1.0, 0.9], [-0.9, 1.0]]))
    scores = [score(model, Plain(4, 4), seed) for seed in (0, 0, 1, 2, 3)]
    assert scores[0] == scores[1]
    assert len(set(scores)) > 1


def test_pairs_agree_in_the_fixed_factor() -> None:
    class Watching:
        def codes_of(self, factors: Tensor) -> NDArray[np.float32]:
            asked.append(factors)
            return np.zeros((len(factors), 1), dtype=np.float32)

    asked: list[Tensor] = []
    beta_vae_score(GaussianModel(), Plain(9, 9), 0, source=Watching(), num_train=30, num_test=10)
    for firsts, seconds in zip(asked[::2], asked[1::2], strict=True):
        assert (firsts == seconds).all(dim=0).any()


def test_points_that_all_fix_the_same_factor_are_too_few() -> None:
    with pytest.raises(EvaluationError, match="1 training points fix the same factor: draw more"):
        beta_vae_score(GaussianModel(), Plain(5, 5), 0, num_train=1, num_test=5)


@pytest.mark.parametrize("sizes", [(5,), (5, 1)])
def test_fewer_than_two_factors_are_refused(sizes: tuple[int, ...]) -> None:
    with pytest.raises(EvaluationError, match="there is one factor"):
        score(GaussianModel(), Plain(*sizes))
