import numpy as np
import pytest
import torch

from dvae_core.analysis.encoded import encode_set
from dvae_core.analysis.latent_profile import (
    LatentProfile,
    aggregate_density,
    latent_profile,
    visited_values,
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


def test_a_category_is_visited_by_images_whose_most_likely_one_it_is() -> None:
    codes, values = np.array([-1.0, -1.0, 0.5]), np.array([-1.0, -0.5, 0.0, 0.5, 1.0])
    visited = visited_values(codes, values, continuous=False)
    assert visited.tolist() == [True, False, False, True, False]
    # A latent without categories is visited as far as the codes reach.
    visited = visited_values(codes, values, continuous=True)
    assert visited.tolist() == [True, True, True, True, False]


def test_visits_of_the_profile_and_of_all_encoded_images_agree(model: VAE) -> None:
    circles = Circles(32)  # has 1,024 images: the profile draws some of them
    profile = latent_profile(model, circles, num_images=4096)
    encoded = encode_set(model, circles)
    of_all = profile.with_visits(encoded)
    assert (profile.visit_points, of_all.visit_points) == (4096, 1024)
    for few, all_, row in zip(profile.visited, of_all.visited, profile.values, strict=True):
        assert few.shape == row.shape
        assert few.dtype == bool
        assert not (few & ~all_).any()
    assert all(np.all(visited) for visited in latent_profile(model, None).visited)


def profile_of(kl: list[float], information: list[list[float]]) -> LatentProfile:
    rows = tuple(np.zeros((len(kl), 2), np.float32))
    return LatentProfile(
        "categories",
        rows,
        rows,
        np.array(kl, np.float32),
        ("x", "y"),
        np.array(information),
        num_points=1024,
        visited=tuple(np.ones((len(kl), 2), dtype=bool)),
        visit_points=1024,
    )


def test_latents_are_ordered_by_kl_or_by_a_factor() -> None:
    profile = profile_of([0.01, 2.0, 1.0], [[0.0, 0.1], [0.2, 0.9], [0.5, 0.3]])
    assert profile.by_kl() == [1, 2, 0]
    assert profile.by_information(0) == [2, 1, 0]
    assert profile.carries(1) == ("y", 0.9)
    assert profile.active.tolist() == [False, True, True]
