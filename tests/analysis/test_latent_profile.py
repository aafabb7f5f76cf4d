import numpy as np
import pytest
import torch
from torch import Tensor, nn

from dvae_core.analysis.latent_profile import (
    LatentProfile,
    aggregate_density,
    latent_profile,
)
from dvae_core.analysis.traversal import traversal_rows
from dvae_core.config import ModelConfig
from dvae_core.data.procedural.circles import Circles
from dvae_core.models.vae import VAE, build_model

CONFIGS = {
    "categorical": ModelConfig(num_latents=3, num_categories=6),
    "masked": ModelConfig(num_latents=3, num_categories=6, cardinalities=(2, 4)),
    "gaussian": ModelConfig(latents="gaussian", num_latents=3),
}


@pytest.fixture(scope="module", params=CONFIGS)
def model(request: pytest.FixtureRequest) -> VAE:
    config = CONFIGS[request.param]
    return build_model(config, (1, 32, 32), torch.Generator().manual_seed(0)).eval()


def test_a_profile_describes_every_latent(model: VAE) -> None:
    profile = latent_profile(model, Circles(32))
    assert [len(row) for row in profile.values] == [len(row) for row in profile.aggregate]
    assert profile.kl.shape == (3,)
    assert profile.information.shape == (3, 2)
    assert (profile.information >= 0).all()
    assert (profile.information <= 1).all()


def test_the_spread_is_the_deviation_of_the_codes(model: VAE) -> None:
    profile = latent_profile(model, None, num_images=50)
    drawn = model.latents.sample_prior(50, torch.Generator().manual_seed(0))
    with torch.inference_mode():
        codes = model.encode(model.decode_images(drawn)).mean_code().numpy()
    np.testing.assert_allclose(profile.spread, codes.std(0), rtol=1e-4)


def test_the_aggregate_is_the_mean_of_the_posteriors(model: VAE) -> None:
    images = Circles(32).images_at(torch.arange(300))
    rows = traversal_rows(model)
    with torch.inference_mode():
        expected = [density.mean(0) for density in model.encode(images).density(rows)]
    posteriors = map(model.encode, images.split(256))
    torch.testing.assert_close(aggregate_density(posteriors, rows), expected)


def test_the_aggregate_of_categories_sums_to_one() -> None:
    model = build_model(CONFIGS["masked"], (1, 32, 32), torch.Generator().manual_seed(0)).eval()
    profile = latent_profile(model, Circles(32))
    assert [len(row) for row in profile.aggregate] == [2, 4, 6]
    np.testing.assert_allclose([row.sum() for row in profile.aggregate], 1, atol=1e-5)


def test_without_a_data_set_the_prior_stands_in(model: VAE) -> None:
    profile = latent_profile(model, None)
    assert profile.factor_names == ()
    assert profile.carries(0) == ("", None)
    assert all(np.isfinite(row).all() for row in profile.aggregate)


class ConstantEncoder(nn.Module):
    """Gives all images the same posterior."""

    def __init__(self, output: Tensor) -> None:
        super().__init__()
        self.output = output

    def forward(self, images: Tensor) -> Tensor:
        return self.output.expand(len(images), -1)


def test_values_that_hardly_occur_in_the_data_are_told() -> None:
    circles = Circles(32)
    model = build_model(CONFIGS["categorical"], (1, 32, 32))
    logits = torch.zeros(3, 6)
    logits[0, 2] = 20.0  # nearly all of the mass
    logits[1, 2] = np.log(45)  # leaves 0.02 for each other category, and the prior has 0.167
    logits[2, 2] = np.log(65)  # leaves 0.0143, less than a tenth of 0.167
    model.encoder = ConstantEncoder(logits.flatten()[None])
    assert [row.tolist() for row in latent_profile(model, circles).visited] == [
        [False, False, True, False, False, False],
        [True] * 6,
        [False, False, True, False, False, False],
    ]
    model = build_model(CONFIGS["gaussian"], (1, 32, 32))
    model.encoder = ConstantEncoder(torch.tensor([[0.0] * 3 + [-2 * np.log(4.0)] * 3]))
    profile = latent_profile(model, circles, "prior ±2 sd")
    # A normal of standard deviation 1/4 is a tenth of the prior where 4 exp(-7.5 z^2) is 0.1.
    expected = np.abs(profile.values[0]) <= np.sqrt(np.log(40) / 7.5)
    np.testing.assert_array_equal(profile.visited[0], expected)
    assert 0 < expected.sum() < len(expected)


def test_without_data_nothing_is_rare(model: VAE) -> None:
    assert all(visited.all() for visited in latent_profile(model, None).visited)


def profile_of(kl: list[float], information: list[list[float]]) -> LatentProfile:
    rows = tuple(np.zeros((len(kl), 2), np.float32))
    return LatentProfile(
        "categories",
        rows,
        rows,
        np.array(kl, np.float32),
        np.array(kl),
        np.array(kl),
        np.arange(len(kl), dtype=np.float64),
        ("x", "y"),
        np.array(information),
        num_points=1024,
        visited=tuple(np.ones((len(kl), 2), dtype=bool)),
    )


def test_latents_are_ordered_by_kl_or_by_a_factor() -> None:
    profile = profile_of([0.01, 2.0, 1.0], [[0.0, 0.1], [0.2, 0.9], [0.5, 0.3]])
    assert profile.by_kl() == [1, 2, 0]
    assert profile.by_information(0) == [2, 1, 0]
    assert profile.carries(1) == ("y", 0.9)
    assert profile.carries(1, 0) == ("x", 0.2)
    assert profile_of([1.0], [[np.nan, 0.5]]).carries(0, 0) == ("", None)
    assert profile.active.tolist() == [False, True, True]
    assert profile.scales().tolist() == [0, 1, 0.5]


def test_without_an_active_latent_all_that_vary_have_a_scale() -> None:
    # As without an encoder; the spreads are 0, 1 and 2.
    assert profile_of([0.0, 0.0, 0.0], [[0.0, 0.0]] * 3).scales().tolist() == [0, 1, 0.5]
