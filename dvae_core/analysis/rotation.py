"""What a rotation of two latents does to each term of the loss.

A Gaussian prior looks the same from every side, so that a turned code costs nothing: the KL stays,
and a decoder that turns back gives the same images. A grid has axes. A turned product of two
categorical distributions is no product any more, and it does not fall on the grid: so its joint
mass is taken, every cell's mass moved to the cell nearest to where the rotation takes it, and what
falls beyond the border is clipped to it.

Both families answer the same questions, with the same letters:

    turned(angle)   the same kind of mass, after the rotation
    kl()            of the joint from the prior, nats
    dependence()    the part of it that no product of two latents can have, nats
    code()          the expectation, (2,)
    clipped         share of the mass that had to be clipped
    picture()       what to draw
"""

from dataclasses import dataclass
from math import log
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dvae_core.errors import ConfigError
from dvae_core.models.latents import CategoricalPosterior, Posterior
from dvae_core.models.vae import VAE, reconstruction_loss

Floats = NDArray[np.float64]

SPREAD_PARTS = 5
"""Points along each side of a cell over which its mass is spread."""

NORMAL_POINTS = np.linspace(-3.5, 3.5, 71)
"""Where the density of a normal is drawn."""


class Picture(NamedTuple):
    """Mass or density of two latents over pairs of points.

    Attributes:
        heights: (P, Q), first latent down, second across.
        points: of both latents, (P,) and (Q,).
    """

    heights: Floats
    points: tuple[Floats, Floats]


@dataclass(frozen=True)
class GridMass:
    """Joint mass of two categorical latents.

    Attributes:
        mass: (K_1, K_2), first latent down, second across; sums to one.
        values: of the categories of both latents, (K_1,) and (K_2,), ascending.
        clipped: share of the mass that a rotation took beyond the border.
    """

    mass: Floats
    values: tuple[Floats, Floats]
    clipped: float = 0.0

    def turned(self, angle: float, parts: int = 1) -> "GridMass":
        """The mass of each cell moved to the cell nearest to where a rotation about 0 takes it.

        Whole cells that move to whole cells leave holes and heaps at any K, which cost KL of their
        own. With `parts` above 1 each cell's mass lies spread over its area instead, at
        parts x parts points: what then remains is the cost of the border and of dependence.

        Args:
            angle: radians, from the first latent's axis towards the second's.
            parts: points along each side of a cell.
        """
        within = (np.arange(parts) + 0.5) / parts - 0.5
        last = np.array(self.mass.shape) - 1
        steps = [np.arange(float(count)) for count in self.mass.shape]
        along = [
            _along(values, whole, (whole[:, None] + within).ravel())  # (K_j parts,)
            for values, whole in zip(self.values, steps, strict=True)
        ]
        places = turn(_corners(*along), angle)  # (K_1 parts, K_2 parts, 2)
        arrived = np.stack([_along(steps[i], self.values[i], places[..., i]) for i in (0, 1)], -1)
        # A quarter turn lands on cells exactly, but for the last bits of floating point.
        cells = np.rint(arrived.round(9)).astype(np.int64)
        inside = ((cells >= 0) & (cells <= last)).all(axis=-1)
        rows, columns = np.clip(cells, 0, last).reshape(-1, 2).T
        mass = self.mass.repeat(parts, axis=0).repeat(parts, axis=1) / parts**2
        moved = np.zeros_like(self.mass)
        np.add.at(moved, (rows, columns), mass.ravel())
        return GridMass(moved, self.values, float(mass[~inside].sum()))

    def kl(self) -> float:
        """KL from the uniform over all K_1 x K_2 cells."""
        return max(0.0, log(self.mass.size) - _entropy(self.mass))

    def dependence(self) -> float:
        """Mutual information of the two latents."""
        apart = _entropy(self.mass.sum(1)) + _entropy(self.mass.sum(0))
        return max(0.0, apart - _entropy(self.mass))

    def apart(self) -> "GridMass":
        """The product of its marginals: the nearest mass whose two latents are independent."""
        return GridMass(np.outer(self.mass.sum(1), self.mass.sum(0)), self.values, self.clipped)

    def code(self) -> Floats:
        """Expectation of the category values."""
        return np.array([self.mass.sum(1) @ self.values[0], self.mass.sum(0) @ self.values[1]])

    def picture(self) -> Picture:
        """The mass itself at the values of the categories."""
        return Picture(self.mass, self.values)


@dataclass(frozen=True)
class NormalMass:
    """Normal distribution of two latents; of an aggregate, the one of the same mean and
    covariance.

    Attributes:
        mean: (2,).
        covariance: (2, 2).
        clipped: always 0, as there is no border.
    """

    mean: Floats
    covariance: Floats
    clipped: float = 0.0

    def turned(self, angle: float) -> "NormalMass":
        """The distribution rotated about 0, angle as in `GridMass.turned`."""
        rotation = turn(np.eye(2), angle).T
        return NormalMass(rotation @ self.mean, rotation @ self.covariance @ rotation.T)

    def kl(self) -> float:
        """KL from the standard normal: (trace C + |m|^2 - log det C - 2) / 2."""
        _, log_determinant = np.linalg.slogdet(self.covariance)
        moments = np.trace(self.covariance) + self.mean @ self.mean
        return float(0.5 * (moments - log_determinant - 2))

    def dependence(self) -> float:
        """Mutual information of the two latents; 0 at every angle where variances are equal."""
        _, log_determinant = np.linalg.slogdet(self.covariance)
        return max(0.0, float(0.5 * (np.log(np.diag(self.covariance)).sum() - log_determinant)))

    def code(self) -> Floats:
        """The mean."""
        return self.mean

    def picture(self) -> Picture:
        """The density at all pairs of points up to 3.5 standard deviations of the prior."""
        corners = _corners(NORMAL_POINTS, NORMAL_POINTS) - self.mean
        exponents = np.einsum("ija,ab,ijb->ij", corners, np.linalg.inv(self.covariance), corners)
        height = 1 / (2 * np.pi * np.sqrt(np.linalg.det(self.covariance)))
        return Picture(height * np.exp(-0.5 * exponents), (NORMAL_POINTS, NORMAL_POINTS))


JointMass = GridMass | NormalMass


def joint_mass(posterior: Posterior, latents: tuple[int, int]) -> JointMass:
    """Distribution of two latents, averaged over the B images of a posterior: of one image the
    product of its two marginals, of many their aggregate.

    Args:
        posterior: of images (B, C, H, W).
        latents: the first and the second of the plane.

    Raises:
        ConfigError: both latents are the same.
    """
    if latents[0] == latents[1]:
        raise ConfigError(f"latent {latents[0]} was chosen twice: a rotation needs two latents")
    pair = list(latents)
    if isinstance(posterior, CategoricalPosterior):
        (probabilities, rows), (others, columns) = (
            _marginals(posterior, latent) for latent in pair
        )
        mass = np.einsum("bi,bj->ij", probabilities, others) / len(probabilities)
        return GridMass(mass / mass.sum(), (rows, columns))
    means = posterior.mean[:, pair].double().cpu().numpy()  # (B, 2)
    variances = posterior.log_variance[:, pair].double().exp().cpu().numpy()
    mean = means.mean(axis=0)
    around = means - mean
    return NormalMass(mean, np.diag(variances.mean(axis=0)) + around.T @ around / len(means))


def uniform_grid(rows: int, columns: int | None = None) -> GridMass:
    """A made aggregate: every cell of a grid alike, which is the prior itself; square where no
    number of columns is given."""
    shape = rows, columns or rows
    values = tuple(np.linspace(-1.0, 1.0, count) for count in shape)
    return GridMass(np.full(shape, 1 / (shape[0] * shape[1])), (values[0], values[1]))


def round_normal(mean: float = 1.0, variance: float = 0.25) -> NormalMass:
    """A made distribution off the centre, of equal variances and no covariance."""
    return NormalMass(np.array([mean, 0.0]), variance * np.eye(2))


def turn(points: Floats, angle: float) -> Floats:
    """Points (.., 2) rotated about 0 by an angle in radians."""
    cos, sin = np.cos(angle), np.sin(angle)
    return points @ np.array([[cos, sin], [-sin, cos]])


@dataclass(frozen=True)
class TurnedCosts:
    """What a mass costs at each of a row of angles, (A,) each.

    Attributes:
        kl: nats.
        kl_spread: the same where each cell's mass was spread over its area before it was turned,
            so that rounding costs next to nothing; of a normal, `kl`.
        dependence: nats.
        clipped: share of the mass.
    """

    kl: Floats
    kl_spread: Floats
    dependence: Floats
    clipped: Floats


def costs_by_angle(mass: JointMass, angles: Floats) -> TurnedCosts:
    """What a mass costs at `angles` (A,) in radians."""
    turned = [mass.turned(angle) for angle in angles]
    spread = turned
    if isinstance(mass, GridMass):
        spread = [mass.turned(angle, SPREAD_PARTS) for angle in angles]
    return TurnedCosts(
        kl=np.array([t.kl() for t in turned]),
        kl_spread=np.array([t.kl() for t in spread]),
        dependence=np.array([t.dependence() for t in turned]),
        clipped=np.array([t.clipped for t in turned]),
    )


@dataclass(frozen=True)
class TurnedCodes:
    """One image's code at each of a row of angles, (A, N) each.

    Attributes:
        as_it_is: what a decoder that knows of no rotation would read.
        turned_back: what one reads that undoes the rotation first, as a trained one would. Where
            nothing was rounded or clipped, this is the code from before.
    """

    as_it_is: Tensor
    turned_back: Tensor


def turned_codes(
    code: Tensor, latents: tuple[int, int], mass: JointMass, angles: Floats
) -> TurnedCodes:
    """The code (N,) of an image with two latents at the expectation of their turned mass.

    Args:
        code: of the image; the other latents keep it.
        latents: of the plane.
        mass: of this image, from `joint_mass`.
        angles: (A,), radians.
    """
    turned = np.stack([mass.turned(angle).code() for angle in angles])  # (A, 2)
    back = np.stack([turn(pair, -angle) for pair, angle in zip(turned, angles, strict=True)])
    codes = code.repeat(2, len(angles), 1)  # (N,) -> (2, A, N)
    codes[..., list(latents)] = torch.from_numpy(np.stack([turned, back])).to(code)
    return TurnedCodes(*codes)


@torch.inference_mode()
def losses_of_codes(model: VAE, image: Tensor, codes: Tensor) -> Floats:
    """Reconstruction loss of an image (C, H, W) from each of `codes` (A, N), nats, (A,)."""
    losses = reconstruction_loss(model.decode(codes), image.expand(len(codes), -1, -1, -1))
    return losses.double().cpu().numpy()


def _marginals(posterior: CategoricalPosterior, latent: int) -> tuple[Floats, Floats]:
    """Probabilities of one latent's categories, (B, K_j), and their values, (K_j,)."""
    count = posterior.num_categories_of(latent)
    probabilities = posterior.probabilities()[:, latent, :count]
    values = posterior.values[latent, :count]
    return probabilities.double().cpu().numpy(), values.double().cpu().numpy()


def _along(ys: Floats, xs: Floats, x: Floats) -> Floats:
    """The line through (xs, ys), continued straight beyond both ends, at `x`."""
    left = np.clip(np.searchsorted(xs, x) - 1, 0, len(xs) - 2)
    slope = (ys[left + 1] - ys[left]) / (xs[left + 1] - xs[left])
    return ys[left] + slope * (x - xs[left])


def _corners(rows: Floats, columns: Floats) -> Floats:
    """All pairs of two rows of numbers, (R, C, 2)."""
    return np.stack(np.meshgrid(rows, columns, indexing="ij"), axis=-1)


def _entropy(mass: Floats) -> float:
    """Entropy in nats."""
    positive = mass[mass > 0]
    return float(-(positive * np.log(positive)).sum())
