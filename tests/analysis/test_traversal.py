import numpy as np
import pytest
import torch

from dvae_core.analysis.traversal import (
    category_distances,
    decode_codes,
    distance_by_steps,
    film_strip,
    interpolate,
    interpolate_by_latent,
    to_pixels,
    traversal_rows,
    traverse_all,
    traverse_latent,
    traverse_pair,
)
from dvae_core.config import ModelConfig
from dvae_core.errors import ConfigError
from dvae_core.models.vae import VAE, build_model

N = 3


@pytest.fixture(scope="module")
def model() -> VAE:
    config = ModelConfig(num_latents=N, num_categories=5)
    return build_model(config, (1, 32, 32), torch.Generator().manual_seed(0)).eval()


@pytest.fixture
def code() -> torch.Tensor:
    return torch.tensor([0.1, -0.4, 0.7])


def decode_one(model: VAE, *code: float) -> torch.Tensor:
    with torch.inference_mode():
        return model.decode_images(torch.tensor([code]))[0]


def test_a_traversal_changes_its_latent_and_keeps_the_others(
    model: VAE, code: torch.Tensor
) -> None:
    images = traverse_latent(model, code, 1, torch.tensor([-1.0, 0.5]))
    torch.testing.assert_close(images[1], decode_one(model, 0.1, 0.5, 0.7))
    assert not torch.allclose(images[0], images[1], atol=1e-4)


def test_all_traversals_at_once_are_each_on_its_own(model: VAE, code: torch.Tensor) -> None:
    rows = [torch.tensor([-1.0, 0.0, 1.0]), torch.tensor([0.5]), torch.tensor([0.0, 0.2])]
    images = traverse_all(model, code, rows)
    assert [len(row) for row in images] == [3, 1, 2]
    for latent in range(N):
        torch.testing.assert_close(
            images[latent], traverse_latent(model, code, latent, rows[latent])
        )


def test_a_traversal_visits_the_categories_that_a_latent_has() -> None:
    config = ModelConfig(num_latents=N, num_categories=5, cardinalities=(2, 4))
    model = build_model(config, (1, 32, 32), torch.Generator().manual_seed(0))
    rows = traversal_rows(model)
    assert [len(row) for row in rows] == [2, 4, 5]
    for row, count in zip(rows, (2, 4, 5), strict=True):
        torch.testing.assert_close(row, torch.linspace(-1, 1, count))


def test_a_pair_spans_a_grid_first_latent_down_second_across(
    model: VAE, code: torch.Tensor
) -> None:
    rows, columns = torch.tensor([-1.0, 1.0]), torch.tensor([-0.5, 0.0, 0.5])
    grid = traverse_pair(model, code, (2, 0), rows, columns)
    assert grid.shape == (2, 3, 1, 32, 32)
    torch.testing.assert_close(grid[1, 0], decode_one(model, -0.5, -0.4, 1.0))


def test_a_pair_of_one_latent_is_refused(model: VAE, code: torch.Tensor) -> None:
    with pytest.raises(ConfigError, match="latent 1 is chosen twice"):
        traverse_pair(model, code, (1, 1), torch.zeros(2), torch.zeros(2))


@pytest.mark.parametrize("latent", [-1, N])
def test_a_latent_that_is_not_there_is_refused(model: VAE, code: torch.Tensor, latent: int) -> None:
    with pytest.raises(ConfigError, match=f"there is no latent {latent}: the model has 3"):
        traverse_latent(model, code, latent, torch.zeros(2))


def test_many_codes_are_decoded_as_one_by_one(model: VAE) -> None:
    codes = torch.rand(300, N, generator=torch.Generator().manual_seed(0))
    images = decode_codes(model, codes)
    torch.testing.assert_close(images[299], decode_one(model, *codes[299].tolist()))


def test_interpolation_is_straight_and_includes_both_ends() -> None:
    codes = interpolate(torch.tensor([0.0, 1.0]), torch.tensor([1.0, -1.0]), 3)
    torch.testing.assert_close(codes, torch.tensor([[0.0, 1.0], [0.5, 0.0], [1.0, -1.0]]))


def test_interpolation_by_latent_moves_one_at_a_time() -> None:
    codes = interpolate_by_latent(torch.zeros(3), torch.tensor([1.0, 2.0, 3.0]), [2, 0])
    assert codes.tolist() == [[0, 0, 0], [0, 0, 3], [1, 0, 3]]


def test_pixels_are_rounded_and_channels_last() -> None:
    pixels = to_pixels(torch.tensor([0.0, 0.5, 1.0]).reshape(1, 3, 1, 1))
    assert pixels.dtype == np.uint8
    assert pixels.tolist() == [[[[0, 128, 255]]]]


def test_a_film_strip_sets_images_side_by_side() -> None:
    strip = film_strip(torch.tensor([0.0, 0.4]).reshape(2, 1, 1, 1).expand(2, 1, 4, 3), gap=2)
    assert strip.shape == (4, 8, 1)
    assert strip[0, :, 0].tolist() == [0, 0, 0, 255, 255, 102, 102, 102]


def test_distances_are_those_between_decoded_images() -> None:
    config = ModelConfig(latents="categorical", num_latents=3, num_categories=6)
    model = build_model(config, (1, 32, 32), torch.Generator().manual_seed(0)).eval()
    code = torch.tensor([0.2, -0.4, 0.6])
    values = model.latents.traversal_values(1)
    distances = category_distances(model, code, 1, values)
    images = decode_codes(model, torch.tensor([[0.2, -1.0, 0.6], [0.2, 1.0, 0.6]]))
    expected = (images[0] - images[1]).square().mean().sqrt().item()
    assert distances[0, 5] == pytest.approx(expected, rel=1e-4)
    np.testing.assert_array_equal(np.diag(distances), 0.0)


def test_the_mean_is_over_all_pairs_as_many_steps_apart() -> None:
    distances = np.array([[0.0, 1.0, 5.0], [1.0, 0.0, 3.0], [5.0, 3.0, 0.0]])
    np.testing.assert_array_equal(distance_by_steps(distances), [2.0, 5.0])
