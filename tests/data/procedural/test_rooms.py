"""Tests of the redrawn 3D Shapes."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageSequence
from torch import Tensor
from torch.nn.functional import avg_pool2d

from dvae_core.data.procedural.rooms import Rooms
from dvae_core.errors import DataError

FLOOR_HUE, WALL_HUE, OBJECT_HUE, SCALE, SHAPE, ORIENTATION = range(6)
CUBE, CYLINDER, SPHERE, CAPSULE = range(4)
MIDDLE = 7
RED, GREEN, CYAN, BLUE = 0, 3, 5, 6


@pytest.fixture(scope="module")
def rooms() -> Rooms:
    return Rooms()


def factors_with(**changes: int) -> Tensor:
    """(1, F): a red floor, a blue wall, a small green cube, seen straight on, but for changes."""
    values = {
        "floor_hue": RED,
        "wall_hue": BLUE,
        "object_hue": GREEN,
        "scale": 0,
        "shape": CUBE,
        "orientation": MIDDLE,
    }
    return torch.tensor([list((values | changes).values())])


def pixels_of(rooms: Rooms, hue: str, **view: int) -> Tensor:
    """(H, W), True where another hue of one surface makes a difference that can be seen."""
    red, cyan = (rooms.images(factors_with(**{hue: value}, **view))[0] for value in (RED, CYAN))
    return ((red - cyan).abs() > 0.02).any(dim=0)


def random_factors(rooms: Rooms, count: int) -> Tensor:
    return rooms.sample_factors(count, torch.Generator().manual_seed(0))


def published_factors() -> Tensor:
    """(53, F): what the published animation shows, frame by frame, one factor moving at a time."""
    rows = [[RED, BLUE, GREEN, 0, CUBE, orientation] for orientation in range(15)]
    rows += [[RED, BLUE, GREEN, 0, shape, 14] for shape in (CYLINDER, SPHERE, CAPSULE)]
    rows += [[RED, BLUE, GREEN, scale, CAPSULE, 14] for scale in range(1, 8)]
    rows += [[RED, BLUE, hue % 10, 7, CAPSULE, 14] for hue in range(4, 13)]
    rows += [[RED, hue % 10, 2, 7, CAPSULE, 14] for hue in range(7, 12)]
    rows += [[hue, CYAN, 2, 7, CAPSULE, 14] for hue in range(4)]
    rows += [[RED, hue, 2, 7, CAPSULE, 14] for hue in range(2, 6)]
    rows += [[hue, CYAN, 2, 7, CAPSULE, 14] for hue in range(4, 10)]
    return torch.tensor(rows)


@pytest.fixture(scope="module")
def published_frames(reference_folder: Path) -> Tensor:
    """(53, C, H, W): the frames, 3.5 times enlarged, at their original size."""
    with Image.open(reference_folder / "3dshapes.gif") as animation:
        frames = np.stack([np.asarray(f.convert("RGB")) for f in ImageSequence.Iterator(animation)])
    # Nine of about twelve pixels lie wholly in one of the original's, and their mean is free of the
    # palette's dither. The enlarged image starts one pixel from the left.
    centre = (3.5 * (np.arange(64) + 0.5)).astype(int)
    near = (-1, 0, 1)
    means = np.mean(
        [frames[:, centre + dy][:, :, centre + 1 + dx] for dy in near for dx in near], axis=0
    )
    return torch.from_numpy(means).permute(0, 3, 1, 2).float() / 255


def test_images_are_close_to_the_published_animation(
    rooms: Rooms, published_frames: Tensor
) -> None:
    inner = slice(1, 63)  # a frame is drawn over the outermost pixels
    difference = (rooms.images(published_factors()) - published_frames)[..., inner, inner].abs()
    assert difference.mean() < 0.008


def test_no_published_frame_is_far_off(rooms: Rooms, published_frames: Tensor) -> None:
    inner = slice(1, 63)
    difference = (rooms.images(published_factors()) - published_frames)[..., inner, inner].abs()
    assert difference.mean(dim=(1, 2, 3)).max() < 0.013


def test_there_are_as_many_combinations_as_in_3d_shapes(rooms: Rooms) -> None:
    assert len(rooms) == 480_000


def test_images_stay_in_the_unit_range(rooms: Rooms) -> None:
    images = rooms.images(random_factors(rooms, 256))
    assert images.min() >= 0
    assert images.max() <= 1


@pytest.mark.parametrize("hue", ["floor_hue", "wall_hue", "object_hue"])
def test_a_hue_leaves_the_sky_alone(rooms: Rooms, hue: str) -> None:
    red, cyan = (rooms.images(factors_with(**{hue: value})) for value in (RED, CYAN))
    assert torch.equal(red[..., :12, :], cyan[..., :12, :])


def test_floor_hue_changes_nothing_above_the_floor(rooms: Rooms) -> None:
    red, cyan = (rooms.images(factors_with(floor_hue=value)) for value in (RED, CYAN))
    assert torch.equal(red[..., :36, :], cyan[..., :36, :])


def test_wall_hue_changes_nothing_below_the_wall(rooms: Rooms) -> None:
    red, cyan = (rooms.images(factors_with(wall_hue=value)) for value in (RED, CYAN))
    assert torch.equal(red[..., 46:, :], cyan[..., 46:, :])


def test_object_hue_changes_nothing_far_from_the_object(rooms: Rooms) -> None:
    red, cyan = (rooms.images(factors_with(object_hue=value)) for value in (RED, CYAN))
    assert torch.equal(red[..., :18], cyan[..., :18])
    assert torch.equal(red[..., 46:], cyan[..., 46:])


def test_surfaces_only_share_the_pixels_along_their_edges(rooms: Rooms) -> None:
    surfaces = [pixels_of(rooms, hue) for hue in ("floor_hue", "wall_hue", "object_hue")]
    assert (torch.stack(surfaces).sum(dim=0) > 1).float().mean() < 0.12


@pytest.mark.parametrize("shape", [CUBE, CYLINDER, SPHERE, CAPSULE])
def test_the_object_grows_with_scale(rooms: Rooms, shape: int) -> None:
    areas = torch.stack(
        [pixels_of(rooms, "object_hue", shape=shape, scale=scale).sum() for scale in range(8)]
    )
    assert (areas.diff() > 0).all()


def test_no_object_or_shadow_is_cut_off(rooms: Rooms, monkeypatch: pytest.MonkeyPatch) -> None:
    shapes, orientations = torch.arange(4), torch.arange(15)
    hues_and_scale = [torch.tensor([value]) for value in (RED, BLUE, GREEN, 7)]
    largest = torch.cartesian_prod(*hues_and_scale, shapes, orientations)
    drawn = rooms.images(largest)
    monkeypatch.setattr(
        "dvae_core.data.procedural.rooms._OBJECT_WINDOW", (slice(0, 64), slice(0, 64))
    )
    monkeypatch.setattr(
        "dvae_core.data.procedural.rooms._SHADOW_WINDOW", (slice(0, 64), slice(0, 64))
    )
    # Outside the window of shadows, the floor's light at the edge of an object is averaged over
    # what it hides, too.
    torch.testing.assert_close(drawn, Rooms().images(largest), atol=0.02, rtol=0)


@pytest.mark.parametrize("surface", ["floor_hue", "wall_hue", "object_hue"])
@pytest.mark.parametrize("shape", [CUBE, CAPSULE])
def test_opposite_orientations_are_mirror_images_in_outline(
    rooms: Rooms, surface: str, shape: int
) -> None:
    # Not in light: the lamp hangs left of the middle.
    left, right = (
        pixels_of(rooms, surface, shape=shape, orientation=orientation) for orientation in (2, 12)
    )
    assert (left.flip(1) != right).float().mean() < 0.005


def test_orientation_zero_shows_the_right_corner(rooms: Rooms) -> None:
    # The side walls are darker than the back wall.
    wall = rooms.images(factors_with(orientation=0))[0, :, 26]  # (C, W)
    assert wall[:, 60].sum() < 0.8 * wall[:, 4].sum()


def test_the_shadow_falls_away_from_the_lamp_to_the_right(rooms: Rooms) -> None:
    floor = rooms.images(factors_with(shape=CAPSULE, scale=7))[0, 0, 55]  # red, (W,)
    assert floor[49] < 0.5
    assert floor[14] > 0.9


def test_a_sphere_is_as_wide_as_high(rooms: Rooms) -> None:
    sphere = pixels_of(rooms, "object_hue", shape=SPHERE, scale=7)
    width, height = sphere.any(dim=0).sum(), sphere.any(dim=1).sum()
    assert abs(int(width) - int(height)) <= 1


def test_same_factors_give_the_same_images(rooms: Rooms) -> None:
    factors = random_factors(rooms, 16)
    assert torch.equal(rooms.images(factors), Rooms().images(factors))


def test_an_image_does_not_depend_on_its_batch(rooms: Rooms) -> None:
    factors = random_factors(rooms, 64)
    assert torch.equal(rooms.images(factors)[17:18], rooms.images(factors[17:18]))


def test_an_empty_batch_gives_no_images(rooms: Rooms) -> None:
    assert rooms.images(torch.empty(0, 6, dtype=torch.int64)).shape == (0, 3, 64, 64)


def test_small_images_are_pooled_large_ones(rooms: Rooms) -> None:
    factors = random_factors(rooms, 16)
    expected = avg_pool2d(rooms.images(factors), 2)
    assert torch.equal(Rooms(image_size=32).images(factors), expected)


def test_views_are_cast_once_and_kept(monkeypatch: pytest.MonkeyPatch, data_folder: Path) -> None:
    factors = torch.tensor([[1, 6, 0, 5, 0, 4]])
    cast = Rooms().images(factors)
    monkeypatch.setattr("dvae_core.data.procedural.rooms._render_layers", None)
    assert torch.equal(Rooms().images(factors), cast)


def test_views_are_cast_again_where_none_can_be_kept(
    monkeypatch: pytest.MonkeyPatch, data_folder: Path
) -> None:
    factors = torch.tensor([[1, 6, 0, 5, 0, 4]])
    cast = Rooms().images(factors)
    no_folder = data_folder / "file"
    no_folder.write_text("")
    monkeypatch.setenv("DVAE_DATA", str(no_folder))
    assert torch.equal(Rooms().images(factors), cast)


def test_another_image_size_is_refused() -> None:
    with pytest.raises(DataError, match="image_size is 128, but rooms needs 32 or 64"):
        Rooms(image_size=128)


def test_factor_out_of_range_is_refused(rooms: Rooms) -> None:
    with pytest.raises(DataError, match="shape"):
        rooms.images(factors_with(shape=4))
