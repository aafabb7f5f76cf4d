import numpy as np
import pytest
import torch

from dvae_core.data.stored_images import BitImages, ByteImages
from dvae_core.errors import DataError

CPU = torch.device("cpu")
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
