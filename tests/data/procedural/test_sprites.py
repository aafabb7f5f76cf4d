"""Tests of the redrawn dSprites."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from dvae_core.data.procedural.sprites import ColorSprites, Sprites
from dvae_core.errors import DataError

SQUARE, ELLIPSE, HEART = 0, 1, 2
LARGEST = 5


def draw(shape: int, scale: int = LARGEST, orientation: int = 0, x: int = 0, y: int = 0) -> Tensor:
    """(H, W), False on the black."""
    factors = torch.tensor([[shape, scale, orientation, x, y]])
    return Sprites().images(factors)[0, 0] > 0


def random_factors(count: int) -> Tensor:
    return Sprites().sample_factors(count, torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def published_frames(reference_folder: Path) -> tuple[Tensor, Tensor]:
    """Images (B, H, W) and factors (B, F)."""
    frames = np.load(reference_folder / "dsprites_frames.npz", allow_pickle=False)
    return torch.from_numpy(frames["images"]) > 0, torch.from_numpy(frames["factors"])


@pytest.mark.parametrize(("shape", "least"), [(SQUARE, 0.999), (ELLIPSE, 0.999), (HEART, 0.999)])
def test_mean_overlap_with_published_frames_is_high(
    published_frames: tuple[Tensor, Tensor], shape: int, least: float
) -> None:
    images, factors = published_frames
    images, factors = images[factors[:, 0] == shape], factors[factors[:, 0] == shape]
    drawn = Sprites().images(factors)[:, 0] > 0

    overlap = (drawn & images).sum(dim=(1, 2)) / (drawn | images).sum(dim=(1, 2))

    assert overlap.mean() >= least


def test_no_published_frame_is_far_off(published_frames: tuple[Tensor, Tensor]) -> None:
    images, factors = published_frames
    drawn = Sprites().images(factors)[:, 0] > 0

    overlap = (drawn & images).sum(dim=(1, 2)) / (drawn | images).sum(dim=(1, 2))

    assert overlap.min() >= 0.98


def test_images_are_binary() -> None:
    assert set(Sprites().images(random_factors(64)).unique().tolist()) == {0.0, 1.0}


def test_last_factor_runs_fastest() -> None:
    first = torch.arange(33)
    factors = Sprites().factors_at(first)
    assert factors[:, 4].tolist() == [*range(32), 0]
    assert factors[:, 3].tolist() == [0] * 32 + [1]


def test_there_are_as_many_combinations_as_in_dsprites() -> None:
    assert len(Sprites()) == 737_280


@pytest.mark.parametrize("shape", [SQUARE, ELLIPSE, HEART])
def test_whole_range_of_x_moves_the_sprite_32_pixels_right(shape: int) -> None:
    left, right = draw(shape, orientation=7), draw(shape, orientation=7, x=31)
    assert torch.equal(left.roll(32, dims=1), right)


@pytest.mark.parametrize("shape", [SQUARE, ELLIPSE, HEART])
def test_whole_range_of_y_moves_the_sprite_32_pixels_down(shape: int) -> None:
    top, bottom = draw(shape, orientation=7), draw(shape, orientation=7, y=31)
    assert torch.equal(top.roll(32, dims=0), bottom)


def test_one_step_of_x_moves_the_centre_of_mass_by_32_31sts_of_a_pixel() -> None:
    columns = torch.arange(64.0)
    centres = torch.stack(
        [
            (draw(SQUARE, x=x).sum(dim=0) * columns).sum() / draw(SQUARE, x=x).sum()
            for x in range(32)
        ]
    )
    expected = 15.5 + torch.arange(32) * 32 / 31
    torch.testing.assert_close(centres, expected, atol=0.5, rtol=0)


def test_square_is_unchanged_by_a_quarter_turn() -> None:
    square = draw(SQUARE, orientation=5)[:32, :32]
    assert torch.equal(square, square.rot90())


@pytest.mark.parametrize("shape", [SQUARE, ELLIPSE, HEART])
def test_opposite_turns_are_mirror_images(shape: int) -> None:
    turned, turned_back = (
        draw(shape, orientation=5)[:32, :32],
        draw(shape, orientation=34)[:32, :32],
    )
    assert torch.equal(turned.flip(1), turned_back)


def test_orientation_turns_counter_clockwise() -> None:
    # The ellipse lies along x, so a small turn lifts its right end.
    ellipse = draw(ELLIPSE, orientation=4)
    assert ellipse[:16, 16:32].sum() > ellipse[16:32, 16:32].sum()


def test_upright_heart_has_its_tip_below() -> None:
    rows = draw(HEART).sum(dim=1).nonzero().flatten()
    assert draw(HEART)[rows[-1]].sum() < draw(HEART)[rows[0]].sum()


@pytest.mark.parametrize("shape", [SQUARE, ELLIPSE, HEART])
def test_both_ends_of_the_orientation_are_equal(shape: int) -> None:
    assert torch.equal(draw(shape, orientation=0), draw(shape, orientation=39))


@pytest.mark.parametrize("shape", [SQUARE, ELLIPSE, HEART])
def test_area_grows_with_scale(shape: int) -> None:
    areas = torch.stack([draw(shape, scale=scale).sum() for scale in range(6)])
    assert (areas.diff() > 0).all()


def test_same_factors_give_the_same_images() -> None:
    factors = random_factors(64)
    assert torch.equal(Sprites().images(factors), Sprites().images(factors))


def test_an_image_does_not_depend_on_its_batch() -> None:
    factors = random_factors(64)
    assert torch.equal(Sprites().images(factors)[17:18], Sprites().images(factors[17:18]))


def test_an_empty_batch_gives_no_images() -> None:
    assert Sprites().images(torch.empty(0, 5, dtype=torch.int64)).shape == (0, 1, 64, 64)


def test_small_images_are_pooled_large_ones() -> None:
    factors = random_factors(64)
    expected = avg_pool2d(Sprites().images(factors), 2)
    assert torch.equal(Sprites(image_size=32).images(factors), expected)


@pytest.mark.parametrize("image_size", [32, 64])
def test_images_have_the_announced_shape(image_size: int) -> None:
    for dataset in (Sprites(image_size), ColorSprites(image_size)):
        images = dataset.sample_images(2, torch.Generator().manual_seed(0))
        assert images.shape[1:] == dataset.image_shape


def test_another_image_size_is_refused() -> None:
    with pytest.raises(DataError, match="image_size is 48, but sprites needs 32 or 64"):
        Sprites(image_size=48)


def test_factor_out_of_range_is_refused() -> None:
    with pytest.raises(DataError, match="scale"):
        Sprites().images(torch.tensor([[0, 6, 0, 0, 0]]))


def test_color_is_required_to_come_from_a_generator() -> None:
    with pytest.raises(DataError, match="pass a generator"):
        ColorSprites().images(random_factors(1))


def test_color_sprites_are_sprites_times_one_color_an_image() -> None:
    factors = random_factors(64)
    images = ColorSprites().images(factors, torch.Generator().manual_seed(1))
    colors = images.amax(dim=(2, 3), keepdim=True)  # (B, 3, 1, 1)
    assert torch.equal(images, Sprites().images(factors) * colors)


def test_colors_fill_the_upper_half_of_the_range() -> None:
    images = ColorSprites().images(random_factors(512), torch.Generator().manual_seed(1))
    colors = images.amax(dim=(2, 3))
    assert 0.5 <= colors.min() < 0.51
    assert 0.99 < colors.max() < 1


def test_same_seed_gives_the_same_colors() -> None:
    factors = random_factors(8)
    first, second = (
        ColorSprites().images(factors, torch.Generator().manual_seed(1)) for _ in range(2)
    )
    assert torch.equal(first, second)


def test_the_generator_moves_on_from_batch_to_batch() -> None:
    factors, generator = random_factors(8), torch.Generator().manual_seed(1)
    dataset = ColorSprites()
    assert not torch.equal(dataset.images(factors, generator), dataset.images(factors, generator))


def test_only_colored_sprites_are_noisy() -> None:
    assert (Sprites.is_noisy, ColorSprites.is_noisy) == (False, True)
