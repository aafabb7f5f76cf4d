"""Which latents of a large model have room on a board, and with which values."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from dvae_core.analysis.latent_profile import LatentProfile
from dvae_core.models.latents import CategoricalLatents, GaussianLatents, Latents
from dvae_core.models.vae import VAE
from dvae_core.web.rows import board_rows
from ui.boards import BoardView, values_on_board

Shape = tuple[int, int, int]


def view(latents: Latents, shape: Shape, chosen: int | None = None) -> BoardView:
    """Of a model with these latents whose last latent has the greatest KL."""
    n = latents.num_latents
    values: list[Tensor] = [latents.traversal_values(latent) for latent in range(n)]
    arrays = tuple(row.numpy() for row in values)
    profile = LatentProfile(
        span=latents.spans[0],
        values=arrays,
        aggregate=arrays,
        kl=np.arange(n, dtype=np.float32),
        held=np.arange(n, dtype=np.float64),
        image_information=np.arange(n, dtype=np.float64),
        spread=np.ones(n),
        factor_names=(),
        information=np.zeros((n, 0)),
        num_points=0,
        visited=tuple(np.ones(len(row), dtype=bool) for row in arrays),
    )
    code = torch.zeros(n)
    model = VAE(shape, None, latents, nn.Identity())
    return BoardView(model, profile, profile.by_kl(), code, code, None, chosen)


@pytest.mark.parametrize("shape", [(1, 32, 32), (3, 64, 64)])
def test_all_latents_of_a_model_trained_here_have_all_values(shape: Shape) -> None:
    for latents in (GaussianLatents(64), CategoricalLatents(64, 64)):
        values = values_on_board(view(latents, shape))
        assert list(values) == list(range(64))[::-1]
        assert {len(row) for row in values.values()} == {64}


@pytest.mark.parametrize(
    ("num_latents", "shape", "on_board", "each"),
    [
        (128, (3, 64, 64), 128, 42),
        (512, (3, 64, 64), 341, 16),
        (10, (3, 256, 256), 10, 34),
        (512, (3, 256, 200), 27, 16),
    ],
)
def test_values_are_thinned_and_the_most_informative_latents_kept(
    num_latents: int, shape: Shape, on_board: int, each: int
) -> None:
    large = view(GaussianLatents(num_latents), shape)
    values = values_on_board(large)
    assert list(values) == list(range(num_latents))[::-1][:on_board]
    assert {len(row) for row in values.values()} == {each}
    first = board_rows(
        large.profile, large.model.latents, values, start_code=large.start_code, code=large.code
    )[0]
    assert (first.latent, len(first.values)) == (num_latents - 1, each)
    assert list(first.aggregate) == list(first.values)  # heights of the same places


def test_categories_are_never_thinned_and_the_chosen_latent_is_kept() -> None:
    values = values_on_board(view(CategoricalLatents(20, 64), (3, 256, 256), chosen=3))
    assert list(values) == [19, 18, 17, 16, 3]
    assert {len(row) for row in values.values()} == {64}
