import pytest
import torch
from torch import nn

from dvae_core.data import load_dataset
from dvae_core.data.base import Dataset
from dvae_core.errors import DataError


@pytest.mark.parametrize("size", [40, 96, 128])
@pytest.mark.parametrize("name", ["circles", "digits"])
def test_other_sizes_are_the_same_set_scaled(name: str, size: int) -> None:
    original, scaled = load_dataset(name, 64), load_dataset(name, size)
    assert scaled.image_shape == (1, size, size)
    assert (scaled.name, scaled.factor_names) == (name, original.factor_names)
    assert len(scaled) == len(original)
    indices = torch.tensor([0, 5, len(original) - 1])
    factors = original.factors_at(indices)
    assert torch.equal(scaled.factors_at(indices), factors)

    def images(dataset: Dataset) -> torch.Tensor:
        return dataset.images(factors, torch.Generator().manual_seed(3))

    made = images(scaled)
    assert made.shape == (3, 1, size, size)
    assert made.min() >= 0
    assert made.max() <= 1 + 1e-6
    pooled = nn.functional.adaptive_avg_pool2d(made, 8)
    expected = nn.functional.adaptive_avg_pool2d(images(original), 8)
    assert (pooled - expected).abs().max() < 0.1


def test_draws_are_those_of_the_original() -> None:
    original, scaled = load_dataset("circles", 64), load_dataset("circles", 96)
    draws = [
        dataset.sample_factors(9, torch.Generator().manual_seed(1), {0: 4})
        for dataset in (original, scaled)
    ]
    assert torch.equal(*draws)
    assert scaled.sample_images(2, torch.Generator().manual_seed(1)).shape == (2, 1, 96, 96)
    with pytest.raises(DataError, match="has values 0 to 31"):
        scaled.images(torch.tensor([[0, 32]]))


@pytest.mark.parametrize("size", [31, 129])
def test_sizes_beyond_are_refused(size: int) -> None:
    with pytest.raises(DataError, match="32 to 128"):
        load_dataset("circles", size)
