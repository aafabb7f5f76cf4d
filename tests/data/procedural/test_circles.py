import pytest
import torch
from scipy.stats import kstest
from torch import Tensor

from dvae_core.data import DATASET_NAMES, load_dataset
from dvae_core.data.procedural.circles import Circles, ContinuousCircles
from dvae_core.errors import DataError
from dvae_core.evaluation.metrics.mig import mig


def centre_of_mass(image: torch.Tensor) -> tuple[float, float]:
    pixels = torch.arange(image.shape[-1]) + 0.5
    across, down = image[0].sum(0), image[0].sum(1)
    return (
        (across @ pixels / across.sum()).item() / len(pixels),
        (down @ pixels / down.sum()).item() / len(pixels),
    )


@pytest.mark.parametrize("size", [32, 64])
@pytest.mark.parametrize("factors", [(0, 31), (31, 0), (16, 5)])
def test_the_disc_is_where_its_factors_say(size: int, factors: tuple[int, int]) -> None:
    image = Circles(size).images(torch.tensor([factors]))[0]
    expected = tuple(0.17 + 0.66 * factor / 31 for factor in factors)
    assert centre_of_mass(image) == pytest.approx(expected, abs=0.002)


@pytest.mark.parametrize("size", [32, 64])
def test_the_disc_lies_in_the_image_at_every_position(size: int) -> None:
    dataset = Circles(size)
    images = dataset.images_at(torch.arange(len(dataset)))
    areas = images.sum((1, 2, 3)) / size**2
    torch.testing.assert_close(areas, torch.full_like(areas, 3.14159 * 0.15**2), rtol=0.02, atol=0)


def test_both_sizes_show_the_same_scene() -> None:
    factors = torch.tensor([[3, 20]])
    small, large = (centre_of_mass(Circles(size).images(factors)[0]) for size in (32, 64))
    assert small == pytest.approx(large, abs=0.002)


def test_combinations_are_listed_with_the_last_factor_fastest() -> None:
    dataset = Circles(32)
    assert len(dataset) == 1024
    assert dataset.factors_at(torch.tensor([0, 1, 32, 1023])).tolist() == [
        [0, 0],
        [0, 1],
        [1, 0],
        [31, 31],
    ]


def test_sampled_factors_cover_all_values_and_keep_what_is_fixed() -> None:
    factors = Circles(32).sample_factors(2000, torch.Generator().manual_seed(0), fixed={1: 7})
    assert factors.dtype == torch.int64
    assert sorted(set(factors[:, 0].tolist())) == list(range(32))
    assert set(factors[:, 1].tolist()) == {7}


@pytest.mark.parametrize("fixed", [{2: 0}, {-1: 0}, {0: 32}, {0: -1}])
def test_fixing_what_is_not_there_is_refused(fixed: dict[int, int]) -> None:
    with pytest.raises(DataError, match="circles has no"):
        Circles(32).sample_factors(2, torch.Generator(), fixed)


@pytest.mark.parametrize(
    ("factors", "message"),
    [
        (torch.tensor([[0, 32]]), "values 0 to 31 of factor y, but got 32 to 32"),
        (torch.tensor([[0, 1, 2]]), "has 2 factors, but got 3"),
        (torch.tensor([[0.0, 1.0]]), "int64"),
    ],
)
def test_factors_out_of_range_are_refused(factors: torch.Tensor, message: str) -> None:
    with pytest.raises(DataError, match=message):
        Circles(32).images(factors)


def test_an_unknown_data_set_is_named_with_those_there_are() -> None:
    with pytest.raises(DataError, match="'squares': there are circles, "):
        load_dataset("squares")


@pytest.mark.parametrize("name", DATASET_NAMES)
@pytest.mark.parametrize("size", [32, 64])
def test_every_data_set_keeps_the_interface(name: str, size: int) -> None:
    dataset = load_dataset(name, size)
    assert dataset.name == name
    assert len(dataset.factor_names) == len(dataset.factor_sizes)
    images = dataset.sample_images(5, torch.Generator().manual_seed(0))
    assert images.shape == (5, *dataset.image_shape)
    assert dataset.image_shape[1:] == (size, size)
    assert images.dtype == torch.float32
    assert 0 <= images.min() < images.max() <= 1
    again = dataset.sample_images(5, torch.Generator().manual_seed(0))
    assert torch.equal(images, again)


def test_indices_are_found_again_by_their_factors() -> None:
    dataset = Circles(32)
    indices = torch.tensor([0, 31, 32, 517, 1023])
    assert torch.equal(dataset.indices_of(dataset.factors_at(indices)), indices)


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
