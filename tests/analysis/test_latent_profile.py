import numpy as np
import pytest
import torch

from dvae_core.analysis.latent_profile import LatentProfile, aggregate_density, latent_profile
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


def profile_of(kl: list[float], information: list[list[float]]) -> LatentProfile:
    rows = tuple(np.zeros((len(kl), 2), np.float32))
    return LatentProfile(
        "categories",
        rows,
        rows,
        np.array(kl, np.float32),
        np.arange(len(kl), dtype=np.float64),
        ("x", "y"),
        np.array(information),
    )


def test_latents_are_ordered_by_kl_or_by_a_factor() -> None:
    profile = profile_of([0.01, 2.0, 1.0], [[0.0, 0.1], [0.2, 0.9], [0.5, 0.3]])
    assert profile.by_kl() == [1, 2, 0]
    assert profile.by_information(0) == [2, 1, 0]
    assert profile.carries(1) == ("y", 0.9)
    assert profile.active.tolist() == [False, True, True]
    assert profile.scales().tolist() == [0, 1, 0.5]


def test_without_an_active_latent_all_that_vary_have_a_scale() -> None:
    # As without an encoder; the spreads are 0, 1 and 2.
    assert profile_of([0.0, 0.0, 0.0], [[0.0, 0.0]] * 3).scales().tolist() == [0, 1, 0.5]
