"""The true variation of one factor, to be set beside the traversal of a latent."""

import torch
from torch import Tensor

from dvae_core.data.base import Dataset
from dvae_core.errors import DataError


def factor_variation(
    dataset: Dataset, factors: Tensor, factor: int, count: int
) -> tuple[Tensor, list[int]]:
    """Images in which one factor takes up to `count` of its values and the others stay.

    Args:
        dataset: with factors.
        factors: of the image to vary, int64 (F,).
        factor: index of the factor.
        count: images at most, evenly chosen over the values.

    Returns:
        Images (P, C, H, W) and the P values; combinations that do not exist are left out.

    Raises:
        DataError: there is no such factor.
    """
    dataset.check_factor_value(factor, 0)
    size = dataset.factor_sizes[factor]
    values = torch.linspace(0, size - 1, min(count, size)).round().long().tolist()
    images, found = [], []
    for value in values:
        varied = factors.clone()
        varied[factor] = value
        # The same seed each time, so that what no factor names stays as it is.
        generator = torch.Generator(dataset.device).manual_seed(0)
        try:
            images.append(dataset.images(varied.unsqueeze(0), generator))
        except DataError:
            continue
        found.append(value)
    if not images:
        raise DataError(f"{dataset.name} has no image that differs in this factor alone")
    return torch.cat(images), found
