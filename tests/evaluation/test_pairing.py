import numpy as np

from dvae_core.evaluation.pairing import diagonal_order, latents_of_factors


def test_latents_go_to_factors_by_the_best_sum_not_greedily() -> None:
    # Latent 0 tells most about factor 0, but factor 1 has nobody else.
    information = np.array([[0.9, 0.8], [0.7, 0.0], [0.1, 0.1]])
    assert latents_of_factors(information) == [1, 0]


def test_factors_beyond_the_latents_are_carried_by_none() -> None:
    assert latents_of_factors(np.array([[0.1, 0.9, 0.2]])) == [None, 0, None]


def test_the_order_shows_the_diagonal_and_then_what_tells_most() -> None:
    information = np.array([[0.0, 0.1], [0.3, 0.9], [0.8, 0.0], [0.2, 0.4]])
    assert diagonal_order(information) == [2, 1, 3, 0]


def test_without_factors_all_latents_remain() -> None:
    assert diagonal_order(np.zeros((3, 0))) == [0, 1, 2]
