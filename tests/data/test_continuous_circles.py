import pytest
import torch
from scipy.stats import kstest
from torch import Tensor

from dvae_core.data.circles import ContinuousCircles
from dvae_core.evaluation.mig import mig

FIRST, WIDTH = 0.17, 0.66 / 32  # of the bins, in units of the image's width


def centres(images: Tensor) -> Tensor:
    """Centres of mass (B, 2), x and y, in units of the image's width."""
    pixels = (torch.arange(images.shape[-1]) + 0.5) / images.shape[-1]
    mass = images.sum((1, 2, 3))
    x, y = (images.sum((1, dim)) @ pixels / mass for dim in (2, 3))
    return torch.stack([x, y], 1)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_positions_are_uniform_in_the_continuum() -> None:
    positions = centres(ContinuousCircles(32).sample_images(4_000, generator()))
    for column in positions.T:
        assert kstest(column.numpy(), "uniform", (FIRST, 32 * WIDTH)).pvalue > 0.05
        assert len(column.unique()) > 3_900


def test_a_disc_lies_anywhere_in_the_bins_of_its_factors() -> None:
    factors = torch.tensor([[3, 20]]).expand(1_000, 2)
    positions = centres(ContinuousCircles(64).images(factors, generator()))
    within = (positions - FIRST) / WIDTH - torch.tensor([3, 20])
    for column in within.T:
        assert kstest(column.numpy(), "uniform").pvalue > 0.05


def test_without_a_generator_it_lies_in_the_middle() -> None:
    factors = torch.tensor([[0, 31], [16, 5]])
    positions = centres(ContinuousCircles(64).images(factors))
    torch.testing.assert_close(positions, FIRST + (factors + 0.5) * WIDTH, atol=1e-3, rtol=0)


def test_the_generator_decides_where() -> None:
    dataset, factors = ContinuousCircles(32), torch.tensor([[4, 4]])
    assert dataset.is_noisy
    assert torch.equal(dataset.images(factors, generator(1)), dataset.images(factors, generator(1)))
    assert not torch.equal(
        dataset.images(factors, generator(1)), dataset.images(factors, generator(2))
    )


def test_metrics_read_the_bins() -> None:
    dataset = ContinuousCircles(32)
    factors = dataset.sample_factors(10_000, generator())
    codes = centres(dataset.images(factors, generator(1))).numpy()
    along = mig(codes, factors.numpy())
    turned = mig(codes @ [[1.0, 1.0], [1.0, -1.0]], factors.numpy())
    # 20 bins of a code against 32 of a factor: ln 20 less what boundaries share, over ln 32.
    assert along == pytest.approx(0.75, abs=0.05)
    assert turned < 0.05
