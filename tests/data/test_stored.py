import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from dvae_core.data.dataset import ScaledDataset
from dvae_core.data.stored import (
    BitImages,
    ByteImages,
    GridDataset,
    TableDataset,
    UnlabelledDataset,
)
from dvae_core.errors import DataError

CPU = torch.device("cpu")
# Row i of the images is uniformly i / 255, so that an image tells which row it is.
SPARSE = np.array([[1, 0], [0, 2], [0, 0], [2, 2]])
CROWDED = np.array([[1, 0], [0, 2], [1, 0], [0, 2], [0, 0], [1, 0]])


def numbered(count: int) -> ByteImages:
    rows = np.arange(count, dtype=np.uint8)
    return ByteImages(np.tile(rows[:, None, None, None], (1, 4, 4, 1)), 4, CPU)


def rows_of(images: torch.Tensor) -> list[int]:
    return (images[:, 0, 0, 0] * 255).round().long().tolist()


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class Grid(GridDataset):
    name = "grid"
    factor_names = ("a", "b", "c")
    factor_sizes = (2, 3, 4)


class Table(TableDataset):
    name = "table"

    def __init__(self, table: NDArray) -> None:
        self.factor_names = tuple(f"f{i}" for i in range(table.shape[1]))
        self.factor_sizes = tuple((table.max(0) + 1).tolist())
        super().__init__(numbered(len(table)), table, CPU)


def test_a_grid_finds_images_in_the_order_of_its_combinations() -> None:
    dataset = Grid(numbered(24), CPU)
    assert rows_of(dataset.images_at(torch.arange(24))) == list(range(24))
    assert rows_of(dataset.images(torch.tensor([[1, 2, 3], [0, 1, 0]]))) == [23, 4]


def test_a_grid_finds_images_in_another_order_by_its_strides() -> None:
    dataset = Grid(numbered(24), CPU, strides=(1, 2, 6))
    assert rows_of(dataset.images(torch.tensor([[1, 0, 0], [0, 2, 0], [0, 0, 3]]))) == [1, 4, 18]


def test_a_table_lists_the_combinations_that_exist_in_order() -> None:
    dataset = Table(SPARSE)
    assert len(dataset) == 4
    assert dataset.factors_at(torch.arange(4)).tolist() == [[0, 0], [0, 2], [1, 0], [2, 2]]
    assert rows_of(dataset.images_at(torch.arange(4))) == [2, 1, 0, 3]


def test_a_table_finds_the_image_of_given_factors() -> None:
    assert rows_of(Table(SPARSE).images(torch.tensor([[2, 2], [1, 0]]))) == [3, 0]


def test_a_combination_that_does_not_exist_is_refused() -> None:
    with pytest.raises(DataError, match="table has no image with f0 1, f1 2: it has 4"):
        Table(SPARSE).images(torch.tensor([[1, 0], [1, 2]]))


def test_sampled_factors_exist_and_all_of_them_come_up_alike() -> None:
    factors = Table(CROWDED).sample_factors(3000, generator())
    combinations, counts = factors.unique(dim=0, return_counts=True)
    assert combinations.tolist() == [[0, 0], [0, 2], [1, 0]]
    assert counts.min() > 900


def test_fixed_factors_are_kept_among_those_that_exist() -> None:
    factors = Table(SPARSE).sample_factors(200, generator(), {1: 2})
    assert factors.unique(dim=0).tolist() == [[0, 2], [2, 2]]


def test_several_fixed_factors_are_kept() -> None:
    factors = Table(SPARSE).sample_factors(20, generator(), {0: 0, 1: 2})
    assert factors.unique(dim=0).tolist() == [[0, 2]]


def test_fixing_what_no_image_has_is_refused() -> None:
    with pytest.raises(DataError, match="no image with f0 1, f1 2"):
        Table(SPARSE).sample_factors(2, generator(), {0: 1, 1: 2})


def test_fixing_a_value_out_of_range_is_refused() -> None:
    with pytest.raises(DataError, match="no value 3 of factor f0"):
        Table(SPARSE).sample_factors(2, generator(), {0: 3})


def test_one_image_a_combination_needs_no_generator() -> None:
    assert not Table(SPARSE).is_noisy


def test_several_images_of_a_combination_all_come_up() -> None:
    dataset = Table(CROWDED)
    assert dataset.is_noisy
    images = dataset.images(torch.tensor([[1, 0]] * 60), generator())
    assert set(rows_of(images)) == {0, 2, 5}


def test_a_generator_decides_which_image_is_picked() -> None:
    dataset, factors = Table(CROWDED), torch.tensor([[1, 0]] * 20)
    first, again, other = (dataset.images(factors, generator(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_picking_an_image_without_a_generator_is_refused() -> None:
    with pytest.raises(DataError, match="pass a generator"):
        Table(CROWDED).images(torch.tensor([[1, 0]]))


def test_factors_whose_grid_does_not_fit_64_bits_are_looked_up() -> None:
    table = np.random.default_rng(0).integers(0, 200, (200, 20))
    table[0] = 199
    dataset = Table(table)
    assert rows_of(dataset.images(torch.from_numpy(table))) == list(range(200))


@given(
    arrays(np.int64, st.tuples(st.integers(1, 30), st.integers(1, 4)), elements=st.integers(0, 3))
)
def test_every_image_has_the_factors_that_it_is_found_by(table: NDArray) -> None:
    dataset = Table(table)
    indices = torch.arange(len(dataset))
    factors = dataset.factors_at(indices)
    rows = rows_of(dataset.images(factors, generator()))
    assert torch.equal(torch.from_numpy(table[rows]), factors)


def test_images_without_factors_are_counted_and_found_one_by_one() -> None:
    dataset = UnlabelledDataset("mine", numbered(7), 7, CPU)
    assert len(dataset) == 7
    assert rows_of(dataset.images_at(torch.tensor([6, 0]))) == [6, 0]
    assert dataset.factors_at(torch.tensor([6, 0])).shape == (2, 0)


def test_images_without_factors_are_sampled_alike() -> None:
    dataset = UnlabelledDataset("mine", numbered(7), 7, CPU)
    rows = rows_of(dataset.sample_images(1400, generator()))
    assert min(rows.count(row) for row in range(7)) > 140


def test_labelled_images_are_sampled_alike_however_rare_their_label_is() -> None:
    """Training sees no labels."""
    labels = np.array([[0]] * 9 + [[1]])
    dataset = Table(labels)
    factors, images = dataset.sample_points(2_000, generator())
    rows = rows_of(images)
    assert min(rows.count(row) for row in range(10)) > 140
    assert factors.tolist() == labels[rows].tolist()
    assert rows_of(dataset.sample_images(2_000, generator())) == rows
    assert 160 < int(factors.sum()) < 240


def test_sampled_factors_of_images_without_factors_have_none() -> None:
    dataset = UnlabelledDataset("mine", numbered(7), 7, CPU)
    factors = dataset.sample_factors(5, generator())
    assert factors.shape == (5, 0)
    assert dataset.images(factors, generator()).shape == (5, 1, 4, 4)


def test_fixing_a_factor_where_there_are_none_is_refused() -> None:
    with pytest.raises(DataError, match="has no factor 0"):
        UnlabelledDataset("mine", numbered(7), 7, CPU).sample_factors(5, generator(), {0: 0})


BYTES = np.random.default_rng(0).integers(0, 256, (5, 64, 64, 3), np.uint8)
BITS = np.random.default_rng(1).integers(0, 2, (5, 64, 64), np.uint8)


def packed() -> np.ndarray:
    return np.packbits(BITS.reshape(5, -1), axis=1)


def test_bytes_become_channels_first_from_0_to_1() -> None:
    images = ByteImages(BYTES, 64, CPU).at(torch.tensor([3, 0, 3]))
    expected = torch.from_numpy(BYTES[[3, 0, 3]].transpose(0, 3, 1, 2) / 255).float()
    torch.testing.assert_close(images, expected, rtol=0, atol=1e-7)


def test_bytes_are_given_contiguous() -> None:
    assert ByteImages(BYTES, 64, CPU).at(torch.tensor([1, 2])).is_contiguous()


def test_bits_are_unpacked_in_their_order() -> None:
    images = BitImages(packed(), 64, 64, CPU).at(torch.tensor([4, 1]))
    assert torch.equal(images, torch.from_numpy(BITS[[4, 1]]).float()[:, None])


def test_small_images_are_averages_over_squares() -> None:
    rows = torch.tensor([0, 2])
    large = ByteImages(BYTES, 64, CPU).at(rows)
    small = ByteImages(BYTES, 32, CPU).at(rows)
    assert small.shape == (2, 3, 32, 32)
    averages = large.view(2, 3, 32, 2, 32, 2).mean((3, 5))
    torch.testing.assert_close(small, averages)


@pytest.mark.parametrize("size", [128, 48])
def test_sizes_that_need_more_than_averaging_are_refused(size: int) -> None:
    with pytest.raises(DataError, match="64 x 64"):
        ByteImages(BYTES, size, CPU)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_images_that_fit_are_moved_to_the_gpu() -> None:
    device = torch.device("cuda")
    rows = torch.tensor([4, 1, 4])
    for on_gpu, on_cpu in (
        (ByteImages(BYTES, 32, device), ByteImages(BYTES, 32, CPU)),
        (BitImages(packed(), 64, 32, device), BitImages(packed(), 64, 32, CPU)),
    ):
        images = on_gpu.at(rows.to(device))
        assert images.device.type == "cuda"
        torch.testing.assert_close(images.cpu(), on_cpu.at(rows))


def test_a_table_gives_each_image_with_its_factors() -> None:
    dataset = Table(CROWDED)
    assert dataset.num_images == len(CROWDED)
    assert not dataset.is_grid
    factors, images = dataset.points_at(torch.arange(len(CROWDED)))
    rows = rows_of(images)
    assert sorted(rows) == list(range(len(CROWDED)))
    assert factors.tolist() == CROWDED[rows].tolist()


def test_a_table_of_all_combinations_is_a_grid_unless_one_has_several_images() -> None:
    all_combinations = np.indices((2, 3)).reshape(2, -1).T
    assert Table(all_combinations).is_grid
    assert not Table(np.vstack([all_combinations, all_combinations[:1]])).is_grid
    assert not Table(SPARSE).is_grid
    assert not Table(all_combinations[:3, 1:]).is_grid  # labels that number the images


def test_a_scaled_table_gives_the_same_points() -> None:
    original = Table(CROWDED)
    scaled = ScaledDataset(original, (original.image_shape[1] // 2, 48))
    assert (scaled.num_images, scaled.is_grid) == (original.num_images, original.is_grid)
    numbers = torch.arange(len(CROWDED))
    factors, images = scaled.points_at(numbers)
    assert factors.tolist() == original.points_at(numbers)[0].tolist()
    assert images.shape[1:] == scaled.image_shape
