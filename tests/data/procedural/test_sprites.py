"""Tests of the redrawn dSprites."""

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import kstest
from torch import Tensor
from torch.nn.functional import avg_pool2d

from dvae_core.data.procedural.sprites import ColorSprites, ContinuousSprites, Sprites
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


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def moments(images: Tensor) -> dict[str, Tensor]:
    """Centre x and y in pixels, angle of the long axis (counter-clockwise, 0 to pi) and square
    root of the area, (B,) each."""
    pixels = torch.arange(64.0, dtype=torch.float64)
    mass = images[:, 0].double() / images.double().sum((1, 2, 3))[:, None, None]
    x, y = mass.sum(1) @ pixels, mass.sum(2) @ pixels
    across, down = pixels - x[:, None], pixels - y[:, None]
    xx = (mass.sum(1) * across**2).sum(1)
    yy = (mass.sum(2) * down**2).sum(1)
    xy = torch.einsum("bhw,bh,bw->b", mass, down, across)
    angle = 0.5 * torch.atan2(-2 * xy, xx - yy) % torch.pi
    return {"x": x, "y": y, "angle": angle, "root": images.double().sum((1, 2, 3)).sqrt()}


def ellipses(count: int, value: int | None = None) -> Tensor:
    """Factors of ellipses, random or all in the bins of one value."""
    factors = ContinuousSprites().sample_factors(count, seeded(), fixed={0: ELLIPSE})
    if value is not None:
        factors[:, 1:] = value
    return factors


def test_continuous_sprites_fill_the_ranges_of_the_sprites_evenly() -> None:
    seen = moments(ContinuousSprites().images(ellipses(4_000), seeded(1)))
    largest = moments(Sprites().images(torch.tensor([[ELLIPSE, LARGEST, 0, 0, 0]])))["root"].item()
    ranges = {"x": (15.5, 32), "y": (15.5, 32), "angle": (0, torch.pi)}
    for name, (low, width) in {**ranges, "root": (largest / 2, largest / 2)}.items():
        assert kstest(seen[name].numpy(), "uniform", (low, width)).pvalue > 0.05, name


def test_continuous_sprites_lie_anywhere_in_the_bins_of_their_factors() -> None:
    seen = moments(ContinuousSprites().images(ellipses(1_000, value=3), seeded(1)))
    for name in ("x", "y"):
        within = seen[name] - 15.5 - 3  # a bin is one pixel wide
        assert kstest(within.numpy(), "uniform").pvalue > 0.01, name


def test_continuous_sprites_keep_their_shape() -> None:
    for shape in (SQUARE, ELLIPSE, HEART):
        factors = torch.tensor([[shape, LARGEST, 0, 0, 0]])
        drawn = ContinuousSprites().images(factors)[0, 0]
        alike = [(draw(other).float() - drawn).abs().sum() for other in (SQUARE, ELLIPSE, HEART)]
        assert int(torch.stack(alike).argmin()) == shape


def test_without_a_generator_continuous_sprites_are_in_the_middle_of_their_bins() -> None:
    seen = moments(ContinuousSprites().images(torch.tensor([[ELLIPSE, 5, 0, 0, 31]])))
    assert seen["x"].item() == pytest.approx(15.5 + 0.5, abs=0.25)
    assert seen["y"].item() == pytest.approx(15.5 + 31.5, abs=0.25)


def test_the_generator_decides_where_in_the_bins_sprites_are() -> None:
    dataset, factors = ContinuousSprites(32), ellipses(20)
    assert dataset.is_noisy
    assert torch.equal(dataset.images(factors, seeded(1)), dataset.images(factors, seeded(1)))
    assert not torch.equal(dataset.images(factors, seeded(1)), dataset.images(factors, seeded(2)))
