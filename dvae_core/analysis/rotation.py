"""The effect of a rotation of two latents on each term of the loss.

A Gaussian prior is rotation invariant: the KL of a rotated code is the same, and a decoder that
undoes the rotation gives the same images. A grid is not. A rotated product of two categorical
distributions is no longer a product and does not lie on the grid; its joint mass is therefore
moved, cell by cell, to the cell nearest to the rotated position, and clipped to the border. An
encoder need not lose what is clipped: it can also shrink its codes until they fit.

Both families have the same methods:

    turned(angle, scale)   the rotated and scaled mass
    fitting(angle)         the scale at which no rotated code is beyond the border
    apart()                the product of the marginals: the nearest mass an encoder can express
    kl()                   of the joint from the prior, nats
    dependence()           the mutual information of the two latents, a part of the KL, nats
    code()                 the expectation, (2,)
    clipped                share of the mass that was clipped
    picture()              heights to draw
"""

from dataclasses import dataclass
from math import log
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dvae_core.analysis.reconstruction import encode_image
from dvae_core.errors import ConfigError
from dvae_core.models.latents import (
    CategoricalPosterior,
    GaussianPosterior,
    PointPosterior,
    Posterior,
)
from dvae_core.models.vae import VAE, reconstruction_loss

Floats = NDArray[np.float64]

NORMAL_POINTS = np.linspace(-3.5, 3.5, 71)
"""Points at which the density of a normal is drawn."""


class Picture(NamedTuple):
    """Mass or density of two latents over pairs of points.

    Attributes:
        heights: (P, Q), first latent over rows, second over columns.
        points: of both latents, (P,) and (Q,).
    """

    heights: Floats
    points: tuple[Floats, Floats]


@dataclass(frozen=True)
class GridMass:
    """Joint mass of two categorical latents.

    Attributes:
        mass: (K_1, K_2), first latent over rows, second over columns; sums to one.
        values: of the categories of both latents, (K_1,) and (K_2,), ascending.
        clipped: share of the mass that a rotation moved beyond the border.
    """

    mass: Floats
    values: tuple[Floats, Floats]
    clipped: float = 0.0

    def turned(self, angle: float, scale: float = 1.0) -> "GridMass":
        """The mass after a rotation about 0, with each cell's mass moved to the nearest cell.

        Args:
            angle: radians, from the first latent's axis towards the second's.
            scale: factor of the rotated codes.
        """
        last = np.array(self.mass.shape) - 1
        steps = [np.arange(float(count)) for count in self.mass.shape]
        places = scale * turn(_corners(*self.values), angle)  # (K_1, K_2, 2)
        arrived = np.stack([_along(steps[i], self.values[i], places[..., i]) for i in (0, 1)], -1)
        # Rounding makes a quarter turn exact despite floating-point errors.
        cells = np.rint(arrived.round(9)).astype(np.int64)
        inside = ((cells >= 0) & (cells <= last)).all(axis=-1)
        rows, columns = np.clip(cells, 0, last).reshape(-1, 2).T
        moved = np.zeros_like(self.mass)
        np.add.at(moved, (rows, columns), self.mass.ravel())
        return GridMass(moved, self.values, float(self.mass[~inside].sum()))

    def fitting(self, angle: float) -> float:
        """The largest scale up to 1 at which the rotated grid is within its own border, which is 1
        / (|cos| + |sin|) for one from -1 to 1; 1 for a border that has 0 outside."""
        ends = [(values.min(), values.max()) for values in self.values]
        if not all(low < 0 < high for low, high in ends):
            return 1.0
        corners = turn(_corners(*map(np.array, ends)), angle).reshape(4, 2)
        borders = np.where(corners < 0, *np.transpose(ends))
        with np.errstate(divide="ignore"):
            return float(min(1.0, (np.abs(borders) / np.abs(corners)).min()))

    def kl(self) -> float:
        """KL from the uniform over all K_1 x K_2 cells."""
        return max(0.0, log(self.mass.size) - _entropy(self.mass))

    def dependence(self) -> float:
        """Mutual information of the two latents."""
        apart = _entropy(self.mass.sum(1)) + _entropy(self.mass.sum(0))
        return max(0.0, apart - _entropy(self.mass))

    def apart(self) -> "GridMass":
        """The product of the marginals."""
        return GridMass(np.outer(self.mass.sum(1), self.mass.sum(0)), self.values, self.clipped)

    def code(self) -> Floats:
        """Expectation of the category values."""
        return np.array([self.mass.sum(1) @ self.values[0], self.mass.sum(0) @ self.values[1]])

    def picture(self) -> Picture:
        """The mass at the values of the categories."""
        return Picture(self.mass, self.values)


@dataclass(frozen=True)
class NormalMass:
    """Normal distribution of two latents; for an aggregate, with the same mean and covariance.

    Attributes:
        mean: (2,).
        covariance: (2, 2).
        clipped: always 0.
    """

    mean: Floats
    covariance: Floats
    clipped: float = 0.0

    def turned(self, angle: float, scale: float = 1.0) -> "NormalMass":
        """The distribution rotated about 0, arguments as in `GridMass.turned`."""
        rotation = scale * turn(np.eye(2), angle).T
        return NormalMass(rotation @ self.mean, rotation @ self.covariance @ rotation.T)

    def fitting(self, angle: float) -> float:
        """1: a normal has no border."""
        return 1.0

    def kl(self) -> float:
        """KL from the standard normal: (trace C + |m|^2 - log det C - 2) / 2."""
        _, log_determinant = np.linalg.slogdet(self.covariance)
        moments = np.trace(self.covariance) + self.mean @ self.mean
        return float(0.5 * (moments - log_determinant - 2))

    def dependence(self) -> float:
        """Mutual information of the two latents; 0 at every angle if the variances are equal."""
        _, log_determinant = np.linalg.slogdet(self.covariance)
        return max(0.0, float(0.5 * (np.log(np.diag(self.covariance)).sum() - log_determinant)))

    def apart(self) -> "NormalMass":
        """The product of the marginals."""
        return NormalMass(self.mean, np.diag(np.diag(self.covariance)))

    def code(self) -> Floats:
        """The mean."""
        return self.mean

    def picture(self) -> Picture:
        """The density up to 3.5 standard deviations of the prior."""
        corners = _corners(NORMAL_POINTS, NORMAL_POINTS) - self.mean
        exponents = np.einsum("ija,ab,ijb->ij", corners, np.linalg.inv(self.covariance), corners)
        height = 1 / (2 * np.pi * np.sqrt(np.linalg.det(self.covariance)))
        return Picture(height * np.exp(-0.5 * exponents), (NORMAL_POINTS, NORMAL_POINTS))


JointMass = GridMass | NormalMass


def joint_mass(posterior: Posterior, latents: tuple[int, int]) -> JointMass:
    """Joint distribution of two latents, averaged over the B images of a posterior.

    Raises:
        ConfigError: both latents are the same.
    """
    if latents[0] == latents[1]:
        raise ConfigError(f"latent {latents[0]} is chosen twice: a rotation needs two latents")
    pair = list(latents)
    if not isinstance(posterior, GaussianPosterior):
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
    """The uniform distribution over a grid, which is the prior; square by default."""
    shape = rows, columns or rows
    values = tuple(np.linspace(-1.0, 1.0, count) for count in shape)
    return GridMass(np.full(shape, 1 / (shape[0] * shape[1])), (values[0], values[1]))


def round_normal(mean: float = 1.0, variance: float = 0.25) -> NormalMass:
    """An isotropic normal distribution with the mean (`mean`, 0)."""
    return NormalMass(np.array([mean, 0.0]), variance * np.eye(2))


def turn(points: Floats, angle: float) -> Floats:
    """Points (.., 2) rotated about 0 by an angle in radians."""
    cos, sin = np.cos(angle), np.sin(angle)
    return points @ np.array([[cos, sin], [-sin, cos]])


@dataclass(frozen=True)
class TurnedCodes:
    """One image's code at each angle, (A, N) each.

    Attributes:
        as_it_is: the rotated code, which a decoder without knowledge of the rotation would read.
        turned_back: the rotated code after undoing the rotation, as a trained decoder would. It
            equals the original code if nothing was rounded or clipped.
    """

    as_it_is: Tensor
    turned_back: Tensor


def turned_codes(
    code: Tensor, latents: tuple[int, int], mass: JointMass, angles: Floats
) -> TurnedCodes:
    """The code (N,) of an image, with two latents at the expectation of their rotated mass.

    Args:
        code: of the image.
        latents: the two latents that are rotated.
        mass: `joint_mass` of this image.
        angles: (A,), radians.
    """
    pairs = np.stack([mass.turned(angle).code() for angle in angles])
    return _codes_of(code, latents, pairs, angles)


@torch.inference_mode()
def losses_of_codes(model: VAE, image: Tensor, codes: Tensor) -> Floats:
    """Reconstruction loss of an image (C, H, W) from each of `codes` (A, N), nats, (A,)."""
    losses = reconstruction_loss(model.decode(codes), image.expand(len(codes), -1, -1, -1))
    return losses.double().cpu().numpy()


@dataclass(frozen=True)
class RotationCosts:
    """What the loss pays where two latents are rotated, averaged over images, (A,) each.

    Attributes:
        kl: of the product of both latents that is nearest to an image's rotated posterior, nats.
            An encoder outputs such products.
        reconstruction: loss by a decoder that rotates back, nats.
        fitted_kl: the same KL if the encoder also shrinks the codes until they fit within the
            border; without categories equal to `kl`.
        fitted_reconstruction: the loss of these codes by a decoder that also enlarges them again.
    """

    kl: Floats
    reconstruction: Floats
    fitted_kl: Floats
    fitted_reconstruction: Floats


def rotation_costs(
    model: VAE, images: Tensor, latents: tuple[int, int], angles: Floats
) -> RotationCosts:
    """The costs of a rotation of two latents for `images` (B, C, H, W) at `angles` (A,), radians.

    Raises:
        ConfigError: both latents are the same.
    """
    unscaled = np.ones(len(angles))
    costs: list[tuple[Floats, ...]] = []
    for image in images:
        posterior = encode_image(model, image)
        mass, code = joint_mass(posterior, latents), posterior.mean_code()[0]
        scales = np.array([mass.fitting(angle) for angle in angles])
        plain = _costs(model, image, code, latents, mass, angles, unscaled)
        fitted = plain
        if (scales < 1).any():
            fitted = _costs(model, image, code, latents, mass, angles, scales)
        costs.append((*plain, *fitted))
    return RotationCosts(*np.mean(costs, axis=0))


def _costs(
    model: VAE,
    image: Tensor,
    code: Tensor,
    latents: tuple[int, int],
    mass: JointMass,
    angles: Floats,
    scales: Floats,
) -> tuple[Floats, Floats]:
    """KL and reconstruction of an image whose codes are rotated and scaled, (A,) each."""
    turned = [mass.turned(*each) for each in zip(angles, scales, strict=True)]
    pairs = np.stack([each.code() for each in turned]) / scales[:, None]  # (A, 2)
    back = _codes_of(code, latents, pairs, angles).turned_back
    return np.array([each.apart().kl() for each in turned]), losses_of_codes(model, image, back)


def _codes_of(code: Tensor, latents: tuple[int, int], pairs: Floats, angles: Floats) -> TurnedCodes:
    """The code (N,) with its two latents at each of `pairs` (A, 2), and those turned back."""
    back = np.stack([turn(pair, -angle) for pair, angle in zip(pairs, angles, strict=True)])
    codes = code.repeat(2, len(angles), 1)  # (N,) -> (2, A, N)
    codes[..., list(latents)] = torch.from_numpy(np.stack([pairs, back])).to(code)
    return TurnedCodes(*codes)


def _marginals(
    posterior: CategoricalPosterior | PointPosterior, latent: int
) -> tuple[Floats, Floats]:
    """Probabilities of one latent's categories, (B, K_j), and their values, (K_j,)."""
    count = posterior.num_categories_of(latent)
    probabilities = posterior.probabilities()[:, latent, :count]
    values = posterior.values[latent, :count]
    return probabilities.double().cpu().numpy(), values.double().cpu().numpy()


def _along(ys: Floats, xs: Floats, x: Floats) -> Floats:
    """Linear interpolation of (xs, ys) at `x`, extrapolated beyond both ends."""
    left = np.clip(np.searchsorted(xs, x) - 1, 0, len(xs) - 2)
    slope = (ys[left + 1] - ys[left]) / (xs[left + 1] - xs[left])
    return ys[left] + slope * (x - xs[left])


def _corners(rows: Floats, columns: Floats) -> Floats:
    """All pairs of two sequences of numbers, (R, C, 2)."""
    return np.stack(np.meshgrid(rows, columns, indexing="ij"), axis=-1)


def _entropy(mass: Floats) -> float:
    """Entropy in nats."""
    positive = mass[mass > 0]
    return float(-(positive * np.log(positive)).sum())
