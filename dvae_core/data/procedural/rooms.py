"""3D Shapes redrawn by code: one object in a coloured room, ray cast in torch."""

import colorsys
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from dvae_core.data.dataset import Dataset
from dvae_core.data.folder import cached_array
from dvae_core.errors import DataError

_SIZE = 64  # pixels; smaller images are pooled from it
_RAYS = 3  # along each axis of a pixel

# Lengths are tenths of the distance between the camera and the vertical axis it turns about, which
# is also the axis of the object. At orientation 0 degrees x points right, y away from the camera;
# z points up and is 0 on the floor. These constants, and the materials and shapes below, were
# fitted to the 53 published frames by least squares on the outlines of the room, then by descent
# (Nelder-Mead) on the pixels.
_FOCAL_LENGTH = 69.7  # pixels
_CAMERA_DISTANCE = 10.0
_CAMERA_HEIGHT = 2.965
_ROOM_HALF_WIDTH = 14.03
_WALL_HEIGHT = 7.897
_LAMP = (-5.23, 1.73, 26.9)  # shines straight down
_LAMP_EXPONENT = 7.6  # of the cosine of the angle off its axis
_SKY = (0.6, 0.886, 0.976)

# A worn mark on the wallpaper: strength, centre along the wall and up, half lengths, tilt. The
# wallpaper repeats after the height of the wall, first at the left end of each wall.
_WALL_MARKS = (
    (0.063, 6.54, 4.25, 1.21, 0.83, -1.22),
    (0.065, 7.69, 2.99, 0.71, 0.56, -0.47),
)

# Rows and columns of pixels that hold every object, and its shadow, at any factors.
_OBJECT_WINDOW = (slice(4, 62), slice(11, 53))
_SHADOW_WINDOW = (slice(46, 64), slice(11, 61))


def _rays_of(window: tuple[slice, slice]) -> tuple[slice, slice, slice]:
    rows, columns = (slice(edges.start * _RAYS, edges.stop * _RAYS) for edges in window)
    return slice(None), rows, columns


@dataclass(frozen=True)
class _Vector:
    x: Tensor
    y: Tensor
    z: Tensor

    def __add__(self, other: "_Vector") -> "_Vector":
        return _Vector(self.x + other.x, self.y + other.y, self.z + other.z)

    def __mul__(self, factor: Tensor) -> "_Vector":
        return _Vector(self.x * factor, self.y * factor, self.z * factor)

    def dot(self, other: "_Vector") -> Tensor:
        return self.x * other.x + self.y * other.y + self.z * other.z

    def on(self, window: tuple[slice, slice]) -> "_Vector":
        return _Vector(*(part[_rays_of(window)] for part in (self.x, self.y, self.z)))


# Every shape is convex: along a ray it lies between the last entry into and the first exit from the
# slabs, tubes and balls that it is the intersection of. Such a span is (near, far).
_Span = tuple[Tensor, Tensor]


def _slab(origin: Tensor, direction: Tensor, low: float, high: float) -> _Span:
    a, b = (low - origin) / direction, (high - origin) / direction
    return torch.minimum(a, b), torch.maximum(a, b)


def _between_roots(a: Tensor, half_b: Tensor, c: Tensor) -> _Span:
    discriminant = half_b * half_b - a * c
    # The square root of a negative number, NaN, makes every comparison fail: a miss.
    root = discriminant.sqrt()
    return (-half_b - root) / a, (-half_b + root) / a


def _tube(origin: _Vector, direction: _Vector, radius: float) -> _Span:
    return _between_roots(
        direction.x**2 + direction.y**2,
        origin.x * direction.x + origin.y * direction.y,
        origin.x**2 + origin.y**2 - radius**2,
    )


def _ball(origin: _Vector, direction: _Vector, radius: float, height: float) -> _Span:
    from_centre = _Vector(origin.x, origin.y, origin.z - height)
    return _between_roots(
        direction.dot(direction),
        from_centre.dot(direction),
        from_centre.dot(from_centre) - radius**2,
    )


def _entry(*spans: _Span) -> Tensor:
    near, far = spans[0]
    for other_near, other_far in spans[1:]:
        near, far = torch.maximum(near, other_near), torch.minimum(far, other_far)
    return torch.where((near < far) & (far > 0), near, math.inf)


@dataclass(frozen=True)
class _Cube:
    half_side: float

    def distance(self, origin: _Vector, direction: _Vector) -> Tensor:
        half = self.half_side
        return _entry(
            _slab(origin.x, direction.x, -half, half),
            _slab(origin.y, direction.y, -half, half),
            _slab(origin.z, direction.z, 0, 2 * half),
        )

    def normal(self, point: _Vector) -> _Vector:
        parts = torch.stack([point.x, point.y, point.z - self.half_side])
        size = parts.abs()
        return _Vector(*(parts.sign() * (size == size.amax(dim=0))))


@dataclass(frozen=True)
class _Cylinder:
    radius: float
    height: float

    def distance(self, origin: _Vector, direction: _Vector) -> Tensor:
        return _entry(
            _tube(origin, direction, self.radius),
            _slab(origin.z, direction.z, 0, self.height),
        )

    def normal(self, point: _Vector) -> _Vector:
        on_top = point.z > self.height - 1e-4
        return _Vector(
            (point.x / self.radius).masked_fill(on_top, 0),
            (point.y / self.radius).masked_fill(on_top, 0),
            on_top.float(),
        )


@dataclass(frozen=True)
class _Capsule:
    """A sphere where the height is twice the radius."""

    radius: float
    height: float

    def distance(self, origin: _Vector, direction: _Vector) -> Tensor:
        low, high = self.radius, self.height - self.radius
        side = _entry(
            _tube(origin, direction, self.radius), _slab(origin.z, direction.z, low, high)
        )
        ends = [_entry(_ball(origin, direction, self.radius, height)) for height in (low, high)]
        return torch.minimum(side, torch.minimum(*ends))

    def normal(self, point: _Vector) -> _Vector:
        nearest = point.z.clamp(self.radius, self.height - self.radius)
        return _Vector(
            point.x / self.radius, point.y / self.radius, (point.z - nearest) / self.radius
        )


_Solid = _Cube | _Cylinder | _Capsule


def _solid(shape: int, scale: int) -> _Solid:
    size = 0.75 + 0.5 * scale / 7
    if shape == 0:
        return _Cube(1.38 * size)
    if shape == 1:
        return _Cylinder(1.47 * size, 2.96 * size)
    if shape == 2:
        return _Capsule(1.677 * size, 2 * 1.677 * size)
    return _Capsule(1.273 * size, 5.128 * size)


@dataclass(frozen=True)
class _Material:
    ambient: float
    diffuse: float
    headlight: float
    highlight: float = 0.0


_FLOOR = _Material(ambient=0.336, diffuse=0.89, headlight=0.0)
_WALL = _Material(ambient=0.356, diffuse=0.804, headlight=0.579)
_OBJECT = _Material(ambient=0.379, diffuse=0.85, headlight=0.57, highlight=0.13)


def _to_lamp(point: _Vector) -> _Vector:
    return _Vector(_LAMP[0] - point.x, _LAMP[1] - point.y, _LAMP[2] - point.z)


def _shade(
    material: _Material, point: _Vector, normal: _Vector, forward: _Vector
) -> tuple[Tensor, Tensor]:
    """Light that takes the colour of the surface, and white light that does not.

    The lamp has a soft edge; a headlight shines along `forward`. Highlights are so broad that they
    have the strength of the lamp wherever it shines.
    """
    to_lamp = _to_lamp(point)
    to_lamp = to_lamp * to_lamp.dot(to_lamp).rsqrt()
    lamp = to_lamp.z.clamp(min=0) ** _LAMP_EXPONENT
    incidence = normal.dot(to_lamp)
    light = (
        material.ambient
        + material.diffuse * lamp * incidence.clamp(min=0)
        + material.headlight * (-normal.dot(forward)).clamp(min=0)
    )
    return light, material.highlight * lamp * (incidence > 0)


def _wallpaper(along: Tensor, up: Tensor) -> Tensor:
    along = (along + _ROOM_HALF_WIDTH) % _WALL_HEIGHT
    shade = torch.ones_like(along)
    for strength, centre_along, centre_up, half_length, half_width, tilt in _WALL_MARKS:
        # The mark may cross the seam of the wallpaper.
        a = (along - centre_along + _WALL_HEIGHT / 2) % _WALL_HEIGHT - _WALL_HEIGHT / 2
        b = up - centre_up
        cos, sin = math.cos(tilt), math.sin(tilt)
        radius2 = ((cos * a + sin * b) / half_length) ** 2 + ((cos * b - sin * a) / half_width) ** 2
        shade = shade - strength * (-(radius2**2)).exp()
    return shade


def _lanczos(device: torch.device) -> Tensor:
    """Lanczos filter (_SIZE, _SIZE * _RAYS); the published images show its ringing."""
    pixel = torch.arange(_SIZE, device=device)[:, None] + 0.5
    ray = (torch.arange(_SIZE * _RAYS, device=device) + 0.5) / _RAYS
    offset = ray - pixel
    kernel = torch.sinc(offset) * torch.sinc(offset / 3) * (offset.abs() < 3)
    return kernel / kernel.sum(dim=1, keepdim=True)


def _mean_where(mask: Tensor, values: Tensor) -> Tensor:
    """Per pixel, the mean over its rays in `mask`, else over those of nearby pixels, else 0.

    Ringing gives a surface a share of neighbouring pixels, which therefore need its light.
    """
    total = avg_pool2d(torch.where(mask, values, 0), _RAYS)
    share = avg_pool2d(mask.float(), _RAYS)
    near_total, near_share = (avg_pool2d(x, 5, stride=1, padding=2) for x in (total, share))
    return torch.where(share > 0, total / share, near_total / near_share.clamp(min=1e-6))


class _Room:
    """The room at O orientations, seen by R x R rays each, R = _SIZE * _RAYS."""

    def __init__(self, turns: Tensor) -> None:
        """`turns`: angles of the camera around the room in radians (O,), clockwise from above."""
        device = turns.device
        ray = (torch.arange(_SIZE * _RAYS, device=device) + 0.5) / _RAYS - _SIZE / 2
        right, up = ray / _FOCAL_LENGTH, -ray[:, None] / _FOCAL_LENGTH
        cos, sin = turns.cos()[:, None, None], turns.sin()[:, None, None]
        self.forward = _Vector(sin, cos, torch.zeros_like(sin))
        self.camera = _Vector(
            -_CAMERA_DISTANCE * sin, -_CAMERA_DISTANCE * cos, torch.full_like(sin, _CAMERA_HEIGHT)
        )
        self.direction = _Vector(
            *torch.broadcast_tensors(cos * right + sin, cos - sin * right, up + 0 * sin)
        )  # (O, R, R) each

        to_floor = torch.where(up < 0, -_CAMERA_HEIGHT / up, math.inf)
        to_back = (_ROOM_HALF_WIDTH - self.camera.y) / self.direction.y
        side = self.direction.x.sign()
        to_side = (side * _ROOM_HALF_WIDTH - self.camera.x) / self.direction.x
        to_wall = torch.minimum(to_back, to_side)
        self.is_floor = to_floor < to_wall

        self.floor_point = self.camera + self.direction * torch.where(self.is_floor, to_floor, 0)
        zero, one = torch.zeros_like(to_wall), torch.ones_like(to_wall)
        self.floor_light, _ = _shade(
            _FLOOR, self.floor_point, _Vector(zero, zero, one), self.forward
        )
        self.bare_floor_light = _mean_where(self.is_floor, self.floor_light)

        wall_point = self.camera + self.direction * to_wall
        self.is_wall = ~self.is_floor & (wall_point.z < _WALL_HEIGHT)
        is_back = to_back < to_side
        wall_normal = _Vector(torch.where(is_back, 0, -side), -is_back.float(), zero)
        wall_light, _ = _shade(_WALL, wall_point, wall_normal, self.forward)
        # From left to right, seen from inside.
        along = torch.where(is_back, wall_point.x, -side * wall_point.y)
        self.wall_light = _mean_where(self.is_wall, wall_light * _wallpaper(along, wall_point.z))

    def layers_with(self, solid: _Solid) -> Tensor:
        """Layers (O, 7, H, W) of the room with an object; see `_render_layers`."""
        direction = self.direction.on(_OBJECT_WINDOW)
        distance = solid.distance(self.camera, direction)
        is_met = distance < math.inf
        point = self.camera + direction * torch.where(is_met, distance, 0)
        light, highlight = _shade(_OBJECT, point, solid.normal(point), self.forward)

        floor_point = self.floor_point.on(_SHADOW_WINDOW)
        in_shadow = solid.distance(floor_point, _to_lamp(floor_point)) < math.inf
        rays = _rays_of(_SHADOW_WINDOW)
        floor_light = self.floor_light[rays].masked_fill(in_shadow, _FLOOR.ambient)

        # The object hides everything behind it.
        is_object = torch.zeros_like(self.is_floor)
        is_object[_rays_of(_OBJECT_WINDOW)] = is_met
        is_floor, is_wall = self.is_floor & ~is_object, self.is_wall & ~is_object

        layers = torch.zeros(len(distance), 7, _SIZE, _SIZE, device=distance.device)
        kernel = _lanczos(distance.device)
        masks = torch.stack([is_floor, is_wall, is_object], dim=1).float()
        layers[:, :3] = kernel @ masks @ kernel.T  # (O, 3, R, R) -> (O, 3, H, W)
        layers[:, 3], layers[:, 4] = self.bare_floor_light, self.wall_light
        layers[:, 3, *_SHADOW_WINDOW] = _mean_where(is_floor[rays], floor_light)
        layers[:, 5, *_OBJECT_WINDOW] = _mean_where(is_met, light)
        layers[:, 6, *_OBJECT_WINDOW] = _mean_where(is_met, highlight)
        return layers


def _render_layers(device: torch.device) -> Tensor:
    """Everything about the images except their hues.

    Returns:
        float16 (scales * shapes * orientations = 480, 7, H, W). Layers: the shares of floor, wall
        and object in a pixel, which ringing moves slightly out of [0, 1]; the light on floor, wall
        and object; the highlight on the object.
    """
    room = _Room(torch.linspace(math.pi / 6, -math.pi / 6, 15, device=device))
    return torch.cat(
        [room.layers_with(_solid(shape, scale)).half() for scale in range(8) for shape in range(4)]
    )


def _views(device: torch.device) -> Tensor:
    """`_render_layers` from the cache of the data folder, which is much faster; without a writable
    cache, the rays are cast again."""
    shape = (480, 7, _SIZE, _SIZE, 2)  # the bytes of float16
    try:
        kept = cached_array(
            "rooms",
            [Path(__file__)],  # changed constants change the views
            shape,
            lambda: [_render_layers(torch.device("cpu")).numpy()[..., None].view(np.uint8)],
        )
    except DataError:
        return _render_layers(device)
    return torch.from_numpy(np.array(kept)).view(torch.float16).squeeze(-1).to(device)


class Rooms(Dataset):
    """An object in the middle of a room under an open sky, as in 3D Shapes.

    Factors: hues of floor, wall and object (a tenth of the colour circle a step, from red), scale
    (0.75 to 1.25), shape (0 cube, 1 cylinder, 2 sphere, 3 capsule), orientation of the camera (-30
    to 30 degrees: from left of the room's middle to right of it). Images are float32 (B, 3, H, W),
    drawn at 64x64; for 32x32 they are averaged over 2x2 pixels.

    Shape, scale and orientation make 480 views. The first image ray casts all views and stores them
    as layers of shares and light (28 MB), also in the folder `cache` of the data folder if it is
    writable; each image colours one view. The mean absolute difference to the 53 published frames
    is 0.008. Arguments as in `load_dataset`.

    Raises:
        DataError: `image_size` is not 32 or 64.

    Source: github.com/deepmind/3d-shapes.
    """

    name = "rooms"
    factor_names = ("floor hue", "wall hue", "object hue", "scale", "shape", "orientation")
    factor_sizes = (10, 10, 10, 8, 4, 15)

    def __init__(self, image_size: int = 64, device: torch.device | str = "cpu") -> None:
        if image_size not in (32, 64):
            raise DataError(f"image_size is {image_size}, but {self.name} needs 32 or 64")
        self.image_shape = (3, image_size, image_size)
        self.device = torch.device(device)
        self._layers: Tensor | None = None
        self._sky = torch.tensor(_SKY, device=device)[:, None, None]  # (C, 1, 1)
        self._hues = torch.tensor(
            [colorsys.hsv_to_rgb(hue / 10, 1, 1) for hue in range(10)], device=device
        )[:, :, None, None]  # (10, C, 1, 1)

    def typical_factors(self) -> tuple[int, ...]:
        # The middle of all hues is one colour, and a cube seen from the side shows its shape.
        return 1, 6, 0, 5, 0, 4

    def _draw(self, factors: Tensor, generator: torch.Generator | None) -> Tensor:
        if self._layers is None:
            self._layers = _views(self.device)
        scale, shape, orientation = factors[:, 3:].unbind(1)
        layers = self._layers[(scale * 4 + shape) * 15 + orientation].float()  # (B, 7, H, W)
        shares, lights, highlights = layers.split((3, 3, 1), dim=1)
        hues = self._hues[factors[:, :3]]  # (B, 3 surfaces, C, 1, 1)

        images = self._sky.expand(len(factors), -1, _SIZE, _SIZE).clone()
        for surface in range(3):
            colours = hues[:, surface] * lights[:, surface, None]  # (B, C, H, W)
            if surface == 2:
                colours += highlights
            images.addcmul_(shares[:, surface, None], colours.clamp_(max=1).sub_(self._sky))
        images.clamp_(0, 1)
        return images if self.image_shape[1] == _SIZE else avg_pool2d(images, 2)
