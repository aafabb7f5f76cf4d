import torch
from sklearn.datasets import load_digits

from dvae_core.data import load_dataset


def test_images_show_the_digit_that_their_factor_names() -> None:
    dataset = load_dataset("digits", 32)
    digits = torch.arange(10).repeat(20)[:, None]
    images = dataset.images(digits, torch.Generator().manual_seed(0))
    scans = load_digits()
    originals = torch.from_numpy(scans.images).float() / 16
    # Averaged over 4x4 squares, an enlarged scan is close to the scan itself.
    small = images.view(-1, 8, 4, 8, 4).mean((2, 4))  # (B, 1, H, W) -> (B, 8, 8)
    nearest = torch.cdist(small.flatten(1), originals.flatten(1)).argmin(1)
    assert torch.equal(torch.from_numpy(scans.target)[nearest], digits[:, 0])


def test_the_hand_that_wrote_it_is_noise() -> None:
    dataset = load_dataset("digits")
    images = dataset.images(torch.full((50, 1), 3), torch.Generator().manual_seed(0))
    assert dataset.is_noisy
    assert len(images.unique(dim=0)) > 30


def test_all_digits_come_up_alike() -> None:
    factors = load_dataset("digits").sample_factors(5000, torch.Generator().manual_seed(0))
    assert factors[:, 0].bincount(minlength=10).min() > 400
