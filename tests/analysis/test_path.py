import numpy as np
import pytest
import torch
from torch import Tensor, nn

from dvae_core.analysis import path as module
from dvae_core.analysis.path import (
    image_distances,
    latent_changes,
    leading_changes,
    path_between,
)
from dvae_core.config import ModelConfig
from dvae_core.errors import ConfigError
from dvae_core.models.latents import GaussianLatents
from dvae_core.models.vae import VAE, build_model


class Linear(nn.Module):
    """Image logits (B, 1, 2, 2) as weighted sums of the code."""

    def __init__(self, weights: Tensor) -> None:
        super().__init__()
        self.weights = weights  # (N, 4)

    def forward(self, codes: Tensor) -> Tensor:
        return (codes @ self.weights).reshape(-1, 1, 2, 2)


def linear_model(weights: Tensor) -> VAE:
    return VAE((1, 2, 2), None, GaussianLatents(len(weights)), Linear(weights))


def path_by_loop(model: VAE, start: Tensor, end: Tensor) -> tuple[list[int], list[float]]:
    """Latents and distances, one decoded image at a time."""

    def distance(code: Tensor) -> float:
        with torch.inference_mode():
            pair = model.decode_images(torch.stack([code, end])).double()
        return float(((pair[0] - pair[1]) ** 2).mean())

    code, latents, distances = start.clone(), [], [distance(start)]
    while differing := [i for i in range(len(code)) if code[i] != end[i]]:
        best = None
        for latent in differing:
            changed = code.clone()
            changed[latent] = end[latent]
            if best is None or distance(changed) < best[0] - 1e-12:
                best = (distance(changed), latent)
        assert best is not None
        code[best[1]] = end[best[1]]
        latents.append(best[1])
        distances.append(best[0])
    return latents, distances


@pytest.mark.parametrize("seed", range(3))
def test_the_path_is_that_of_a_loop(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    model = build_model(ModelConfig(num_latents=5, num_categories=4), (1, 32, 32), generator).eval()
    start, end = model.latents.sample_prior(2, generator)
    path = path_between(model, start, end)
    latents, distances = path_by_loop(model, start, end)
    assert path.latents.tolist() == latents
    np.testing.assert_allclose(path.distances, distances, atol=1e-7)
    assert path.images.shape == (len(latents) + 1, 1, 32, 32)


def test_each_code_changes_one_latent_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "DECODE_BATCH", 2)
    # Latent 1 moves all four pixels, latent 0 one of them; latent 2 stays.
    model = linear_model(torch.tensor([[1.0, 0, 0, 0], [1, 1, 1, 1], [5, 5, 5, 5], [0, 0, 0, 0]]))
    start = torch.tensor([0.0, 0, 1, 0])
    end = torch.tensor([1.0, 2, 1, 7])
    path = path_between(model, start, end)
    assert path.latents.tolist() == [1, 0, 3]
    assert path.codes.tolist() == [[0, 0, 1, 0], [0, 2, 1, 0], [1, 2, 1, 0], [1, 2, 1, 7]]
    sigmoid = 1 / (1 + np.exp(-np.array([5.0, 7.0, 8.0])))
    first = ((sigmoid[2] - sigmoid[0]) ** 2 + 3 * (sigmoid[1] - sigmoid[0]) ** 2) / 4
    second = (sigmoid[2] - sigmoid[1]) ** 2 / 4
    np.testing.assert_allclose(path.distances, [first, second, 0, 0], atol=1e-7)
    assert path.distances[-1] == 0
    torch.testing.assert_close(path.images, model.decode_images(path.codes))


def test_of_equal_latents_the_lower_goes_first() -> None:
    path = path_between(linear_model(torch.ones(3, 4)), torch.zeros(3), torch.ones(3))
    assert path.latents.tolist() == [0, 1, 2]


def test_latents_that_are_not_asked_for_change_together_at_the_end() -> None:
    model = linear_model(torch.tensor([[5.0, 5, 5, 5], [1, 1, 1, 1], [2, 2, 2, 2], [1, 0, 0, 0]]))
    start, end = torch.zeros(4), torch.tensor([1.0, 1, 1, 1])
    path = path_between(model, start, end, [1, 2])
    assert path.latents.tolist() == [2, 1, -1]
    assert path.codes.tolist() == [[0, 0, 0, 0], [0, 0, 1, 0], [0, 1, 1, 0], [1, 1, 1, 1]]
    assert path.distances[-1] == 0
    # Without others that differ there is no last step, and equal latents are no step either.
    end = torch.tensor([0.0, 1, 0, 0])
    assert path_between(model, start, end, [1, 2]).latents.tolist() == [1]
    with pytest.raises(ConfigError, match="no latent 4"):
        path_between(model, start, end, [4])


def test_distances_of_images_are_mean_squares() -> None:
    images = torch.tensor([[[[0.0, 1.0]]], [[[0.5, 0.5]]]])
    assert image_distances(images, torch.tensor([[[0.0, 0.5]]])).tolist() == [0.125, 0.125]


def test_equal_codes_are_a_path_without_steps() -> None:
    path = path_between(linear_model(torch.ones(3, 4)), torch.ones(3), torch.ones(3))
    assert (path.codes.shape, path.latents.shape, path.distances.tolist()) == ((1, 3), (0,), [0])


def test_changes_are_ordered_by_their_share() -> None:
    start, end = torch.tensor([0.0, 1, 5, 2]), torch.tensor([1.0, 1, 3, 1])
    changes = latent_changes(start, end)
    assert [(c.latent, c.change) for c in changes] == [(2, -2), (0, 1), (3, -1)]
    np.testing.assert_allclose([c.share for c in changes], [4 / 6, 1 / 6, 1 / 6])
    scaled = latent_changes(start, end, np.array([3.0, 1.0, 1.0, 0.0]))
    assert [c.latent for c in scaled] == [0, 2, 3]
    np.testing.assert_allclose([c.share for c in scaled], [9 / 13, 4 / 13, 0])
    assert latent_changes(start, start) == []


def test_leading_changes_are_the_fewest_with_the_share() -> None:
    changes = latent_changes(torch.zeros(3), torch.tensor([1.0, 3.0, 2.0]))  # 9, 4 and 1 of 14
    for share, latents in ((0.0, [1]), (9 / 14, [1]), (0.9, [1, 2]), (1.0, [1, 2, 0])):
        assert [change.latent for change in leading_changes(changes, share)] == latents
    assert leading_changes([]) == []
    with pytest.raises(ConfigError, match=r"the share is 1\.5"):
        leading_changes(changes, 1.5)


def test_codes_that_do_not_fit_are_refused() -> None:
    model = linear_model(torch.ones(3, 4))
    for start, end in ((torch.ones(2), torch.ones(3)), (torch.ones(1, 3), torch.ones(1, 3))):
        with pytest.raises(ConfigError, match="but must be"):
            path_between(model, start, end)
        with pytest.raises(ConfigError, match="but must be"):
            latent_changes(start, end)
    with pytest.raises(ConfigError, match="2 latents, but the model has 3"):
        path_between(model, torch.ones(2), torch.zeros(2))
    with pytest.raises(ConfigError, match="not finite"):
        path_between(model, torch.ones(3), torch.full((3,), torch.nan))
    with pytest.raises(ConfigError, match="scales are"):
        latent_changes(torch.ones(3), torch.zeros(3), np.ones(2))
