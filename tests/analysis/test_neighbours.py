import numpy as np
import pytest

from dvae_core.analysis.neighbours import nearest_images
from dvae_core.errors import EvaluationError
from tests.analysis.made import made_set, random_set


def test_the_nearest_images_are_those_of_a_loop() -> None:
    encoded = random_set(80, 3)
    code = np.array([0.3, -0.2, 1.0])
    spread = [np.std(column.astype(float)) for column in encoded.codes.T]
    distances = [
        sum(((float(row[i]) - code[i]) / spread[i]) ** 2 for i in range(3)) ** 0.5
        for row in encoded.codes
    ]
    expected = sorted(range(80), key=lambda row: distances[row])[:5]
    found = nearest_images(encoded, code, 5)
    assert found.rows.tolist() == expected
    np.testing.assert_allclose(found.distances, [distances[row] for row in expected])


def test_latents_count_in_units_of_their_spread() -> None:
    # The spread is 1 of latent 0 and 100 of latent 1; latent 2 is dead.
    codes = [[0, 0, 9], [2, 0, 0], [0, 200, 0], [2, 200, 0]]
    encoded = made_set(codes, kl=[1.0, 1.0, 0.01])
    found = nearest_images(encoded, np.array([0.0, 150.0, 0.0]))
    assert found.rows.tolist() == [2, 0, 3, 1]
    np.testing.assert_allclose(found.distances, [0.5, 1.5, 4.25**0.5, 6.25**0.5])


def test_the_image_itself_may_be_left_out_and_ties_keep_their_order() -> None:
    encoded = made_set([[0.0], [1.0], [-1.0], [1.0]])
    code = encoded.codes[0]
    assert nearest_images(encoded, code, 2).rows.tolist() == [0, 1]
    assert nearest_images(encoded, code, 9, without=0).rows.tolist() == [1, 2, 3]


def test_bad_codes_and_counts_are_refused() -> None:
    encoded = made_set([[0.0, 1.0], [1.0, 0.0]])
    for code in ([0.0], [0.0, np.nan], [[0.0, 1.0]]):
        with pytest.raises(EvaluationError, match="must be 2 finite numbers"):
            nearest_images(encoded, np.array(code))
    with pytest.raises(EvaluationError, match="count is 0"):
        nearest_images(encoded, encoded.codes[0], 0)
