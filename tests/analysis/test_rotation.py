from math import log, pi

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dvae_core.analysis.reconstruction import reconstruct
from dvae_core.analysis.rotation import (
    GridMass,
    NormalMass,
    joint_mass,
    losses_of_codes,
    rotation_costs,
    round_normal,
    turn,
    turned_codes,
    uniform_grid,
)
from dvae_core.config import ModelConfig
from dvae_core.data import load_dataset
from dvae_core.errors import ConfigError
from dvae_core.models.latents import CategoricalLatents, CategoricalPosterior, GaussianPosterior
from dvae_core.models.vae import build_model
from dvae_core.runs.catalog import load_run

ANGLES = st.floats(-pi, pi)
SHIPPED = {family: f"checkpoints/circles-{family}" for family in ("gaussian", "categorical")}


def categorical(count: int = 3, num_categories: int = 8) -> CategoricalPosterior:
    logits = torch.randn(count, 4, num_categories, generator=torch.Generator().manual_seed(0))
    return CategoricalPosterior(logits, torch.linspace(-1, 1, num_categories).repeat(4, 1))


def gaussian(count: int = 3) -> GaussianPosterior:
    generator = torch.Generator().manual_seed(1)
    means, variances = torch.randn(2, count, 4, generator=generator)
    return GaussianPosterior(means, variances)


def one_cell(row: int, column: int, num_categories: int = 5) -> GridMass:
    mass = np.zeros((num_categories, num_categories))
    mass[row, column] = 1.0
    values = np.linspace(-1, 1, num_categories)
    return GridMass(mass, (values, values))


def test_a_turn_goes_from_the_first_axis_towards_the_second() -> None:
    np.testing.assert_allclose(turn(np.array([1.0, 0.0]), pi / 2), [0.0, 1.0], atol=1e-12)


def test_of_one_image_kl_and_code_are_those_of_both_latents() -> None:
    for posterior in (categorical(1), gaussian(1)):
        mass = joint_mass(posterior, (3, 1))
        assert mass.kl() == pytest.approx(posterior.kl()[0, [3, 1]].sum().item(), abs=1e-5)
        assert mass.dependence() == pytest.approx(0.0, abs=1e-6)
        expected = posterior.mean_code()[0, [3, 1]].numpy()
        np.testing.assert_allclose(mass.code(), expected, atol=1e-6)


def test_of_many_images_the_mass_is_the_mean_of_their_masses() -> None:
    posterior = categorical(3)
    single = [CategoricalPosterior(logits[None], posterior.values) for logits in posterior.logits]
    masses = [joint_mass(one, (0, 1)) for one in single]
    expected = np.mean([mass.mass for mass in masses if isinstance(mass, GridMass)], axis=0)
    aggregate = joint_mass(posterior, (0, 1))
    assert isinstance(aggregate, GridMass)
    np.testing.assert_allclose(aggregate.mass, expected, atol=1e-7)


def test_of_many_images_the_normal_has_the_covariance_of_samples() -> None:
    posterior = gaussian(2)
    generator = torch.Generator().manual_seed(2)
    samples = torch.cat([posterior.sample(generator)[:, [0, 2]] for _ in range(20_000)]).numpy()
    aggregate = joint_mass(posterior, (0, 2))
    assert isinstance(aggregate, NormalMass)
    np.testing.assert_allclose(aggregate.covariance, np.cov(samples.T), rtol=0.1, atol=0.05)


def test_the_same_latent_twice_is_refused() -> None:
    with pytest.raises(ConfigError, match="chosen twice"):
        joint_mass(gaussian(), (1, 1))


@given(ANGLES)
def test_a_turn_keeps_all_mass(angle: float) -> None:
    mass = joint_mass(categorical(), (0, 1))
    assert isinstance(mass, GridMass)
    turned = mass.turned(angle)
    assert turned.mass.sum() == pytest.approx(1.0)
    assert 0 <= turned.clipped <= 1


def test_a_quarter_turn_of_a_grid_takes_every_cell_to_a_cell() -> None:
    mass = joint_mass(categorical(), (0, 1))
    turned = mass.turned(pi / 2)
    assert isinstance(mass, GridMass)
    assert isinstance(turned, GridMass)
    np.testing.assert_allclose(turned.mass, mass.mass.T[::-1], atol=1e-12)
    assert turned.clipped == 0
    assert turned.kl() == pytest.approx(mass.kl())


def test_mass_moves_to_the_nearest_cell() -> None:
    turned = one_cell(4, 2).turned(pi / 6)  # (1, 0) goes to (0.87, 0.5): cells 3.73 and 3
    assert isinstance(turned, GridMass)
    assert turned.mass[4, 3] == 1.0
    assert turned.clipped == 0.0


def test_a_corner_turned_out_of_the_grid_is_clipped_to_its_border() -> None:
    turned = one_cell(4, 4).turned(pi / 4)  # (1, 1) goes to (0, 1.41)
    assert turned.mass[2, 4] == 1.0
    assert turned.clipped == 1.0


def test_a_rotated_grid_shrinks_until_its_corners_fit() -> None:
    grid = uniform_grid(9)
    scales = [grid.fitting(angle) for angle in np.radians([0, 30, 45, 90, 200])]
    expected = [1, 2 / (1 + 3**0.5), 0.5**0.5, 1, 1 / (np.cos(pi / 9) + np.sin(pi / 9))]
    assert scales == pytest.approx(expected)
    shrunk = grid.turned(pi / 4, scales[2])
    assert shrunk.clipped == 0
    assert shrunk.mass[0, 4] > 0  # where a corner arrives
    assert shrunk.mass[0, 0] == 0
    assert NormalMass(np.zeros(2), np.eye(2)).fitting(pi / 4) == 1


def test_a_grid_that_is_not_square_or_not_around_0_shrinks_as_far_as_it_can() -> None:
    wide = GridMass(np.full((2, 2), 0.25), (np.array([-2.0, 2.0]), np.array([-1.0, 1.0])))
    assert wide.fitting(pi / 2) == pytest.approx(0.5)
    beside = GridMass(np.full((2, 2), 0.25), (np.array([1.0, 2.0]), np.array([-1.0, 1.0])))
    assert beside.fitting(pi / 2) == 1.0


def test_a_scaled_normal_keeps_its_shape() -> None:
    scaled = NormalMass(np.ones(2), np.diag([4.0, 1.0])).turned(pi / 2, 0.5)
    np.testing.assert_allclose(scaled.mean, [-0.5, 0.5], atol=1e-12)
    np.testing.assert_allclose(scaled.covariance, np.diag([0.25, 1.0]), atol=1e-12)


def test_mass_moves_to_the_nearest_cell_where_cells_lie_unevenly() -> None:
    values = np.array([-1.0, -0.1, 0.1, 1.0])
    mass = np.zeros((4, 4))
    mass[3, 1] = 1.0
    turned = GridMass(mass, (values, values)).turned(pi / 4)  # (1, -0.1) goes to (0.78, 0.64)
    assert turned.mass[3, 3] == 1.0


def test_a_uniform_aggregate_costs_nothing_until_it_is_turned() -> None:
    turned = [uniform_grid(16).turned(angle) for angle in np.radians([0.0, 15.0, 45.0, 90.0])]
    kls = [mass.kl() for mass in turned]
    assert [kls[0], kls[3]] == pytest.approx([0.0, 0.0], abs=1e-9)
    assert min(kls[1:3]) > 0.1
    assert min(mass.clipped for mass in turned[1:3]) > 0.05


def test_a_rotation_costs_a_grid_reconstruction_and_a_normal_nothing() -> None:
    angles = np.radians([0.0, 45.0, 90.0])
    images = load_dataset("circles", 32).sample_images(8, torch.Generator().manual_seed(0))
    costs = {
        family: rotation_costs(load_run(address).load_model(), images, (0, 1), angles)
        for family, address in SHIPPED.items()
    }
    normal, grid = costs["gaussian"], costs["categorical"]
    np.testing.assert_allclose(normal.reconstruction[1:], normal.reconstruction[0], rtol=1e-4)
    assert grid.reconstruction[1] > 1.2 * grid.reconstruction[0]
    assert grid.reconstruction[2] == pytest.approx(grid.reconstruction[0])  # cells go to cells
    assert grid.kl[2] == pytest.approx(grid.kl[0])
    # Codes that fit within the border cost less, and a normal has no border.
    np.testing.assert_allclose(normal.fitted_reconstruction, normal.reconstruction)
    np.testing.assert_allclose(normal.fitted_kl, normal.kl)
    assert grid.fitted_reconstruction[[0, 2]] == pytest.approx(grid.reconstruction[0])
    assert grid.fitted_kl[[0, 2]] == pytest.approx(grid.kl[0])
    assert grid.reconstruction[0] < grid.fitted_reconstruction[1] < grid.reconstruction[1] - 10
    assert grid.kl[0] < grid.fitted_kl[1] < grid.kl[0] + log(2)  # half of the area
    # What an encoder would be charged for: no more than before, within a tenth.
    assert grid.kl[1] == pytest.approx(grid.kl[0], rel=0.1)


def test_the_kl_of_one_image_is_that_of_independent_latents() -> None:
    mass = NormalMass(np.zeros(2), np.diag([0.25, 4.0])).turned(pi / 4)
    assert mass.apart().dependence() == pytest.approx(0.0, abs=1e-9)
    assert mass.apart().kl() == pytest.approx(mass.kl() - mass.dependence())


@given(ANGLES)
def test_a_normal_of_equal_variances_keeps_kl_and_independence(angle: float) -> None:
    mass = round_normal()
    turned = mass.turned(angle)
    assert turned.kl() == pytest.approx(mass.kl())
    assert turned.dependence() == pytest.approx(0.0, abs=1e-9)


def test_unequal_variances_become_dependent_and_the_joint_kl_stays() -> None:
    mass = NormalMass(np.zeros(2), np.diag([0.25, 4.0]))
    turned = mass.turned(pi / 4)
    assert turned.kl() == pytest.approx(mass.kl())
    # Both variances become their mean, 2.125, while the determinant stays 1.
    assert turned.dependence() == pytest.approx(log(2.125))


def test_dependence_is_the_kl_that_marginals_leave_over() -> None:
    mass = joint_mass(categorical(1), (0, 1)).turned(0.5)
    assert isinstance(mass, GridMass)
    assert mass.dependence() == pytest.approx(mass.kl() - mass.apart().kl())
    assert mass.apart().dependence() == pytest.approx(0.0, abs=1e-9)
    assert mass.dependence() > 0.01


def test_the_picture_of_a_normal_integrates_to_one() -> None:
    mass = NormalMass(np.array([0.5, -0.2]), np.array([[0.5, 0.2], [0.2, 0.4]]))
    heights, (down, across) = mass.picture()
    assert heights.sum() * np.diff(down)[0] * np.diff(across)[0] == pytest.approx(1.0, abs=1e-3)


def test_two_latents_of_different_sizes_span_an_oblong_grid() -> None:
    latents = CategoricalLatents(3, 8, (3, 5))
    posterior = latents.posterior(torch.randn(1, 24, generator=torch.Generator().manual_seed(0)))
    mass = joint_mass(posterior, (1, 0))
    assert isinstance(mass, GridMass)
    assert mass.mass.shape == (5, 3)
    assert mass.kl() == pytest.approx(posterior.kl()[0, :2].sum().item(), abs=1e-5)
    expected = posterior.mean_code()[0, [1, 0]].numpy()
    np.testing.assert_allclose(mass.code(), expected, atol=1e-6)
    turned = mass.turned(pi)  # half a turn takes every cell to the one across the centre
    np.testing.assert_allclose(turned.mass, mass.mass[::-1, ::-1], atol=1e-12)
    assert uniform_grid(5, 3).kl() == pytest.approx(0.0, abs=1e-12)


def test_a_normal_turned_and_turned_back_gives_the_code_from_before() -> None:
    posterior = gaussian(1)
    code = posterior.mean_code()[0]
    mass = joint_mass(posterior, (2, 0))
    codes = turned_codes(code, (2, 0), mass, np.array([0.3, 1.0]))
    torch.testing.assert_close(codes.turned_back, code.repeat(2, 1))
    torch.testing.assert_close(codes.as_it_is[:, [1, 3]], code[[1, 3]].repeat(2, 1))
    assert not torch.allclose(codes.as_it_is, codes.turned_back)


def test_a_grid_turned_and_turned_back_has_lost_what_was_clipped() -> None:
    mass = one_cell(4, 4)
    codes = turned_codes(torch.tensor([1.0, 1.0]), (0, 1), mass, np.array([pi / 4, pi / 2]))
    # (0, 1.41) was clipped to (0, 1), which comes back as (0.71, 0.71).
    torch.testing.assert_close(codes.turned_back[0], torch.tensor([0.5, 0.5]).sqrt())
    torch.testing.assert_close(codes.turned_back[1], torch.tensor([1.0, 1.0]))


def test_losses_are_those_of_each_code() -> None:
    config = ModelConfig(latents="gaussian", num_latents=2)
    model = build_model(config, (1, 32, 32), torch.Generator().manual_seed(0)).eval()
    image = torch.rand(1, 32, 32, generator=torch.Generator().manual_seed(0))
    codes = torch.tensor([[0.0, 1.0], [2.0, -1.0]])
    expected = [reconstruct(model, image, code).loss for code in codes]
    np.testing.assert_allclose(losses_of_codes(model, image, codes), expected, rtol=1e-5)
