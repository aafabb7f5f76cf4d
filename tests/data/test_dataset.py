from dataclasses import dataclass

import pytest
import torch
from torch import nn

from dvae_core.data import load_dataset
from dvae_core.data.dataset import Dataset, factor_variation, known_cardinalities
from dvae_core.data.listing import dataset_info
from dvae_core.data.procedural.circles import Circles
from dvae_core.errors import ConfigError, DataError


@dataclass(frozen=True)
class Made:
    name: str
    factor_sizes: tuple[int, ...]


def test_a_set_and_what_is_known_of_it_unread_say_the_same() -> None:
    assert known_cardinalities(load_dataset("circles", 32)) == (32, 32)
    assert known_cardinalities(dataset_info("circles")) == (32, 32)
    assert known_cardinalities(dataset_info("dsprites")) == (3, 6, 40, 32, 32)


def test_a_factor_of_a_single_value_has_no_latent() -> None:
    assert known_cardinalities(Made("made", (4, 1, 7))) == (4, 7)


@pytest.mark.parametrize("sizes", [(), (1,)])
def test_a_set_whose_factors_do_not_vary_has_no_cardinalities(sizes: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError, match="made has no factors that give cardinalities"):
        known_cardinalities(Made("made", sizes))


@pytest.mark.parametrize(
    ("name", "size"), [("circles", 96), ("circles", (256, 48)), ("digits", 40)]
)
def test_other_sizes_are_the_same_set_scaled(name: str, size: int | tuple[int, int]) -> None:
    original, scaled = load_dataset(name, 64), load_dataset(name, size)
    shape = (1, size, size) if isinstance(size, int) else (1, *size)
    assert scaled.image_shape == shape
    assert (scaled.name, scaled.factor_names) == (name, original.factor_names)
    assert len(scaled) == len(original)
    indices = torch.tensor([0, 5, len(original) - 1])
    factors = original.factors_at(indices)
    assert torch.equal(scaled.factors_at(indices), factors)

    def images(dataset: Dataset) -> torch.Tensor:
        return dataset.images(factors, torch.Generator().manual_seed(3))

    made = images(scaled)
    assert made.shape == (3, *shape)
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


@pytest.mark.parametrize("size", [31, 257, (64, 300)])
def test_sizes_beyond_are_refused(size: int | tuple[int, int]) -> None:
    with pytest.raises(DataError, match="32 to 256"):
        load_dataset("circles", size)


def test_one_factor_varies_and_the_others_stay() -> None:
    dataset = Circles(32)
    images, values = factor_variation(dataset, torch.tensor([5, 9]), 1, 4)
    assert values == [0, 10, 21, 31]
    expected = dataset.images(torch.tensor([[5, 0], [5, 10], [5, 21], [5, 31]]))
    assert torch.equal(images, expected)


def test_a_factor_that_is_not_there_is_refused() -> None:
    with pytest.raises(DataError, match="has no factor 2"):
        factor_variation(Circles(32), torch.tensor([5, 9]), 2, 4)
