import numpy as np
import pytest
import torch

from dvae_core.config import ModelConfig
from dvae_core.evaluation.neighbourhood import category_distances, distance_by_steps
from dvae_core.models.vae import build_model
from dvae_core.traversal import decode_codes


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
