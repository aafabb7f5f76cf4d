from math import pi

import numpy as np
import pytest
import torch

from dvae_core.analysis.axis_angles import (
    FactorPlane,
    axis_angles,
    best_latents,
    factor_grid,
    factor_plane,
)
from dvae_core.analysis.rotation import turn
from dvae_core.errors import EvaluationError
from dvae_core.evaluation.representation import encode_points
from tests.evaluation.known import GaussianModel, Plain


def grid(rows: int = 5, columns: int = 7) -> np.ndarray:
    down, across = np.meshgrid(np.linspace(-1, 1, rows), np.linspace(-2, 2, columns), indexing="ij")
    return np.stack([down, across], axis=-1)


@pytest.mark.parametrize("degrees", [0.0, 10.0, 30.0, 45.0])
def test_a_turned_grid_lies_at_the_angle_of_its_turn(degrees: float) -> None:
    measured = axis_angles(turn(grid(), np.radians(degrees)))
    np.testing.assert_allclose(np.degrees(measured.angles), degrees, atol=1e-6)
    assert measured.r_squared == pytest.approx(1.0)


@pytest.mark.parametrize("degrees", [60.0, 90.0, 120.0, 180.0])
def test_angles_are_to_the_nearest_axis(degrees: float) -> None:
    measured = axis_angles(turn(grid(), np.radians(degrees)))
    nearest = abs((degrees + 45) % 90 - 45)
    np.testing.assert_allclose(np.degrees(measured.angles), nearest, atol=1e-6)


def test_a_sheared_grid_has_an_angle_for_each_factor() -> None:
    codes = grid() @ np.array([[1.0, 0.0], [1.0, 1.0]])
    np.testing.assert_allclose(axis_angles(codes).angles, [0.0, pi / 4], atol=1e-9)


def test_columns_of_the_map_are_what_a_whole_range_does() -> None:
    codes = grid() + np.array([3.0, 4.0])
    measured = axis_angles(codes)
    np.testing.assert_allclose(measured.matrix, [[2.0, 0.0], [0.0, 4.0]], atol=1e-9)
    np.testing.assert_allclose(measured.centre, [3.0, 4.0])


def test_a_bent_grid_says_so_by_its_fit() -> None:
    bent = np.stack([grid()[..., 0] ** 2, grid()[..., 1] ** 2], axis=-1)
    assert axis_angles(bent).r_squared == pytest.approx(0.0, abs=1e-9)


def test_codes_that_do_not_vary_have_no_direction() -> None:
    with pytest.raises(EvaluationError, match="do not change"):
        axis_angles(np.ones((3, 3, 2)))


def test_the_grid_varies_its_two_factors_and_fixes_the_others() -> None:
    dataset = Plain(3, 4, 5)
    made = factor_grid(dataset, (2, 1, 0), (2, 0))
    pixels = made.images[:, :, 0, 0]  # (rows, columns, F)
    torch.testing.assert_close(pixels[:, 0, 2], torch.linspace(0, 1, 5))
    torch.testing.assert_close(pixels[0, :, 0], torch.linspace(0, 1, 3))
    assert (pixels[..., 1] == pixels[0, 0, 1]).all()


def test_long_factors_are_thinned_to_both_ends() -> None:
    made = factor_grid(Plain(40, 3), (0, 0), (0, 1), max_values=4)
    assert made.values == ([0, 13, 26, 39], [0, 1, 2])


def test_the_grid_is_encoded_in_its_shape() -> None:
    made = factor_grid(Plain(3, 4), (0, 0), (0, 1))
    codes = made.encoded(GaussianModel())
    np.testing.assert_allclose(codes[2, :, 1], np.linspace(0, 1, 4), atol=1e-6)
    assert codes.shape == (3, 4, 2)


@pytest.mark.parametrize(("pair", "said"), [((0, 0), "chosen twice"), ((0, 1), "single value")])
def test_factors_that_span_no_grid_are_refused(pair: tuple[int, int], said: str) -> None:
    with pytest.raises(EvaluationError, match=said):
        factor_grid(Plain(3, 1), (0, 0), pair)


def test_the_best_latents_are_one_for_each_factor() -> None:
    information = np.array([[0.9, 0.1, 0.8], [0.0, 0.9, 0.0], [0.7, 0.0, 0.0]])
    assert best_latents(information, (0, 2)) == (2, 0)
    assert best_latents(information[:1], (0, 2)) is None


def test_the_plane_of_a_grid_has_the_latents_of_its_factors() -> None:
    dataset = Plain(6, 7)
    model = GaussianModel(lambda pixels: pixels.flip(1) - 0.5)
    points = encode_points(model, dataset, 500, seed=0)
    plane = factor_plane(model, points, factor_grid(dataset, (0, 0), (0, 1)))
    assert plane.latents == (1, 0)
    np.testing.assert_allclose(plane.fitted.angles, 0.0, atol=1e-6)


def test_one_latent_has_no_plane() -> None:
    dataset = Plain(6, 7)
    model = GaussianModel(lambda pixels: pixels[:, :1])
    points = encode_points(model, dataset, 500, seed=0)
    with pytest.raises(EvaluationError, match="one latent"):
        factor_plane(model, points, factor_grid(dataset, (0, 0), (0, 1)))


def test_a_latent_that_follows_its_factor_in_any_order_is_its_own() -> None:
    order = np.array([3.0, 0.0, 4.0, 1.0, 2.0])
    first, second = np.meshgrid(order, np.arange(6.0), indexing="ij")
    shuffled = np.stack([first, second], axis=-1).astype(np.float32)
    turned = np.stack([first + second, first - second], axis=-1).astype(np.float32)
    own, mixed = (FactorPlane((0, 1), codes, axis_angles(codes)) for codes in (shuffled, turned))
    assert own.fitted.r_squared < 0.8
    np.testing.assert_allclose(own.own_shares, [1.0, 1.0])
    assert (mixed.own_shares < 0.65).all()
