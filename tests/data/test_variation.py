import pytest
import torch

from dvae_core.data.circles import Circles
from dvae_core.data.variation import factor_variation
from dvae_core.errors import DataError


def test_one_factor_varies_and_the_others_stay() -> None:
    dataset = Circles(32)
    images, values = factor_variation(dataset, torch.tensor([5, 9]), 1, 4)
    assert values == [0, 10, 21, 31]
    expected = dataset.images(torch.tensor([[5, 0], [5, 10], [5, 21], [5, 31]]))
    assert torch.equal(images, expected)


def test_a_factor_that_is_not_there_is_refused() -> None:
    with pytest.raises(DataError, match="has no factor 2"):
        factor_variation(Circles(32), torch.tensor([5, 9]), 2, 4)
