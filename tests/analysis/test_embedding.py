import sys
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.typing import NDArray

from dvae_core.analysis.embedding import latent_plane, principal_components, umap_embedding
from dvae_core.errors import EvaluationError
from tests.analysis.made import made_set, random_set


def test_components_of_an_ellipse_are_its_axes() -> None:
    # Long axis along (3, 4) / 5, short axis along (4, -3) / 5, both around the mean (10, 20, 7).
    along, across = np.array([2.0, -2.0, 0.0, 0.0]), np.array([0.0, 0.0, 1.0, -1.0])
    codes = np.outer(along, [0.6, 0.8, 0]) + np.outer(across, [0.8, -0.6, 0]) + [10, 20, 7]
    found = principal_components(made_set(codes))
    np.testing.assert_allclose(found.points, np.stack([along, across], 1), atol=1e-6)
    np.testing.assert_allclose(found.explained, [0.8, 0.2], atol=1e-6)  # type: ignore[arg-type]


def test_components_are_those_of_a_singular_value_decomposition() -> None:
    encoded = random_set(100, 5)
    codes = encoded.codes.astype(float)
    _, singular, rows = np.linalg.svd(codes - codes.mean(0), full_matrices=False)
    found = principal_components(encoded)
    np.testing.assert_allclose(np.abs(found.points), np.abs((codes - codes.mean(0)) @ rows[:2].T))
    assert found.explained is not None
    np.testing.assert_allclose(found.explained, (singular**2 / (singular**2).sum())[:2])


def test_one_latent_lies_on_a_line() -> None:
    found = principal_components(made_set([[1.0], [3.0]]))
    np.testing.assert_allclose(found.points, [[-1, 0], [1, 0]])
    np.testing.assert_allclose(found.explained, [1, 0])  # type: ignore[arg-type]


def test_equal_codes_have_no_components() -> None:
    for rows in (1, 3):
        with pytest.raises(EvaluationError, match="need codes that differ"):
            principal_components(made_set(np.ones((rows, 2))))


def test_without_the_package_the_error_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(EvaluationError, match="pip install umap-learn"):
        umap_embedding(random_set(30, 2))


def test_the_package_gets_scaled_codes_of_active_latents(monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, object] = {}

    class Reducer:
        def __init__(self, **settings: object) -> None:
            given.update(settings)

        def fit_transform(self, codes: NDArray[np.float64]) -> NDArray[np.float32]:
            given["codes"] = codes
            return codes[:, :2].astype(np.float32)

    monkeypatch.setitem(sys.modules, "umap", SimpleNamespace(UMAP=Reducer))
    codes = np.random.default_rng(0).normal(size=(20, 3)) * [1, 50, 1]
    encoded = made_set(codes, kl=[1.0, 1.0, 0.01])
    found = umap_embedding(encoded, num_neighbours=4, seed=3)
    passed = given["codes"]
    assert isinstance(passed, np.ndarray)
    np.testing.assert_allclose(passed, encoded.codes[:, :2] / encoded.spread[:2])
    assert (given["n_neighbors"], given["random_state"]) == (4, 3)
    assert found.points.shape == (20, 2)
    assert found.explained is None


def test_umap_of_too_few_images_or_dead_latents_is_refused() -> None:
    with pytest.raises(EvaluationError, match="from 2 to 9"):
        umap_embedding(random_set(10, 2), num_neighbours=10)
    with pytest.raises(EvaluationError, match="no latent is active"):
        umap_embedding(made_set(np.eye(20), kl=0.01))


def test_points_of_categories_stay_apart_and_move_the_same_way_each_time() -> None:
    draw = np.random.default_rng(1)
    categories = draw.integers(0, 5, (400, 2))
    encoded = made_set(categories / 2 - 1, categories=categories, counts=[5, 5])
    plane = latent_plane(encoded, 1, 0)
    assert plane.axes == ("latent 1", "latent 0")
    assert len(np.unique(plane.points, axis=0)) == 400
    np.testing.assert_array_equal((plane.points[:, 0] / 0.5 + 2).round(), categories[:, 1])
    np.testing.assert_array_equal(plane.points, latent_plane(encoded, 1, 0).points)


def test_points_of_codes_stay_where_they_are() -> None:
    encoded = made_set([[0.0, 1.0], [2.0, 3.0]])
    np.testing.assert_array_equal(latent_plane(encoded, 0, 1).points, [[0, 1], [2, 3]])
    with pytest.raises(EvaluationError, match="no latent 2"):
        latent_plane(encoded, 0, 2)
