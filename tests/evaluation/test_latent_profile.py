import numpy as np
import pytest
import torch

from dvae_core.config import ModelConfig
from dvae_core.data.circles import Circles
from dvae_core.evaluation.aggregate_posterior import aggregate_density
from dvae_core.evaluation.latent_profile import LatentProfile, latent_profile
from dvae_core.models.vae import VAE, build_model


@pytest.fixture(scope="module", params=["categorical", "gaussian"])
def model(request: pytest.FixtureRequest) -> VAE:
    config = ModelConfig(latents=request.param, num_latents=3, num_categories=6)
    return build_model(config, (1, 32, 32), torch.Generator().manual_seed(0)).eval()


def test_a_profile_describes_every_latent(model: VAE) -> None:
    profile = latent_profile(model, Circles(32))
    assert profile.values.shape == profile.aggregate.shape
    assert profile.kl.shape == (3,)
    assert profile.information.shape == (3, 2)
    assert (profile.information >= 0).all()
    assert (profile.information <= 1).all()


def test_the_aggregate_is_the_mean_of_the_posteriors(model: VAE) -> None:
    images = Circles(32).images_at(torch.arange(300))
    values = torch.linspace(-1, 1, 6).repeat(3, 1)
    with torch.inference_mode():
        expected = model.encode(images).density(values).mean(0)
    torch.testing.assert_close(aggregate_density(model, images, values), expected)


def test_without_a_data_set_the_prior_stands_in(model: VAE) -> None:
    profile = latent_profile(model, None)
    assert profile.factor_names == ()
    assert profile.carries(0) == ("", None)
    assert np.isfinite(profile.aggregate).all()


def profile_of(kl: list[float], information: list[list[float]]) -> LatentProfile:
    shape = (len(kl), 2)
    return LatentProfile(
        "categories",
        np.zeros(shape, np.float32),
        np.zeros(shape, np.float32),
        np.array(kl, np.float32),
        ("x", "y"),
        np.array(information),
    )


def test_latents_are_ordered_by_kl_or_by_a_factor() -> None:
    profile = profile_of([0.01, 2.0, 1.0], [[0.0, 0.1], [0.2, 0.9], [0.5, 0.3]])
    assert profile.by_kl() == [1, 2, 0]
    assert profile.by_information(0) == [2, 1, 0]
    assert profile.carries(1) == ("y", 0.9)
    assert profile.active.tolist() == [False, True, True]
