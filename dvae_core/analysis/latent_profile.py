"""Summary of each latent: traversal values, aggregate posterior, KL, information about factors."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from math import isfinite

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dvae_core.analysis.traversal import decode_codes, traversal_rows
from dvae_core.data.dataset import Dataset
from dvae_core.errors import EvaluationError
from dvae_core.evaluation.information import information_of_countable
from dvae_core.evaluation.latent_statistics import (
    ACTIVE_NATS,
    held_nats,
    image_information,
    unit_scales,
)
from dvae_core.evaluation.representation import draw_batches
from dvae_core.evaluation.results import read_evaluation
from dvae_core.models.latents import Posterior
from dvae_core.models.vae import VAE
from dvae_core.runs.run import Run

NUM_IMAGES = 1024
NAMED_SHARE = 0.1
"""A latent with less of every factor's entropy is named after none."""
VISITED_RATIO = 0.1
"""A value hardly occurs in the data if the aggregate posterior has less of the prior's density."""
_BATCH = 256


@dataclass(frozen=True)
class LatentProfile:
    """Means over images of a data set.

    Attributes:
        span: name of the range that traversals cover.
        values: of the traversals, ascending, N times (P_j,).
        aggregate: density of the aggregate posterior at `values`, N times (P_j,).
        kl: divergence of each latent's posterior from the prior, nats, (N,).
        held: bound of the information in each latent, nats, (N,), as in `held_nats`.
        image_information: of each latent, nats, (N,), as in `latent_statistics`.
        spread: standard deviation of each latent's code over the images, (N,).
        factor_names: (F,); () if information cannot be estimated.
        information: mutual information as a share of each factor's entropy, (N, F), in [0, 1].
        num_points: images that the information was measured on.
        visited: whether each of `values` occurs in the data: its density under the aggregate
            posterior is at least a tenth of that under the prior. N times (P_j,); all True without
            data.
        estimate: how the information was measured, in words: protocol, estimator and points; ""
            without any.
    """

    span: str
    values: tuple[NDArray[np.float32], ...]
    aggregate: tuple[NDArray[np.float32], ...]
    kl: NDArray[np.float32]
    held: NDArray[np.float64]
    image_information: NDArray[np.float64]
    spread: NDArray[np.float64]
    factor_names: tuple[str, ...]
    information: NDArray[np.float64]
    num_points: int
    visited: tuple[NDArray[np.bool_], ...]
    estimate: str = ""

    @property
    def active(self) -> NDArray[np.bool_]:
        """Whether each latent holds more than 0.05 nats about an image, (N,)."""
        return self.image_information > ACTIVE_NATS

    def scales(self) -> NDArray[np.float64]:
        """Factors that bring codes to units of `spread`, (N,). A latent that is not active has 0:
        division by its tiny spread would let its noise decide. Where none is active, as without an
        encoder, all count."""
        return unit_scales(self.spread, self.active | (not self.active.any()))

    def by_kl(self) -> list[int]:
        """Latents by descending KL; points, whose KL is the same, by the entropy of their use."""
        return np.argsort(-self.held, kind="stable").tolist()

    def by_information(self, factor: int) -> list[int]:
        """Latents by descending information about a factor."""
        return np.argsort(-self.information[:, factor], kind="stable").tolist()

    def leading_factors(self, latent: int) -> list[tuple[str, float]]:
        """The factors that a latent has information about, the most first, and that information as
        a share of the factor's entropy; those below 0.1 are left out."""
        shares = self.information[latent]
        order = np.argsort(-shares, kind="stable").tolist()
        return [(self.factor_names[f], float(shares[f])) for f in order if shares[f] >= NAMED_SHARE]

    def carries(self, latent: int, factor: int | None = None) -> tuple[str, float | None]:
        """The name of a factor, and the share of its entropy that a latent encodes: of the factor
        with this number, or of the first of `leading_factors`; ("", None) where there is none."""
        if factor is not None:
            share = float(self.information[latent, factor])
            return (self.factor_names[factor], share) if isfinite(share) else ("", None)
        leading = self.leading_factors(latent)
        return leading[0] if leading else ("", None)


def run_profile(
    run: Run, model: VAE, dataset: Dataset | None, span: str | None = None
) -> LatentProfile:
    """`latent_profile` of a run, with the information that the paper protocol measured if the run
    was evaluated with its current weights: an evaluation sees more images.

    Args:
        run: with the evaluation.
        model: of the run.
        dataset: of the run, or None.
        span: as in `latent_profile`.

    Raises:
        RunError: the evaluation is damaged.
    """
    profile = latent_profile(model, dataset, span)
    evaluation = read_evaluation(run)
    table = evaluation.table("mutual_information", "paper")
    if table is None or not profile.factor_names or table.step != run.weights_step():
        return profile
    return replace(
        profile,
        factor_names=tuple(table.columns),
        information=evaluation.information_shares("paper"),
        num_points=table.points,
        estimate=f"paper protocol ({table.estimator}), {table.points:,} points",
    )


@torch.inference_mode()
def latent_profile(
    model: VAE, dataset: Dataset | None, span: str | None = None, num_images: int = NUM_IMAGES
) -> LatentProfile:
    """Profile of a model on images drawn uniformly from a data set.

    The information is a rough estimate from few images, corrected as in `measure_information`.

    Args:
        model: on the device of the data set. Without an encoder, the profile is that of the prior.
        dataset: with or without factors; None uses decoded samples of the prior as images.
        span: one of the family's `spans`.
        num_images: number of images.
    """
    generator = torch.Generator(dataset.device if dataset else "cpu").manual_seed(0)
    span = span or model.latents.spans[0]
    factors = torch.empty(num_images, 0, dtype=torch.int64)
    if model.encoder is None:
        codes = model.latents.sample_prior(num_images, generator)
        posteriors, kl = [model.prior()], torch.zeros(codes.shape[1])
    else:
        # One batch at a time, since the images of an imported model may be large.
        posteriors, of_images = [], []
        if dataset is None:
            for drawn in model.latents.sample_prior(num_images, generator).split(_BATCH):
                posteriors.append(model.encode(decode_codes(model, drawn)))
        else:
            for part, images in draw_batches(dataset, num_images, 0, batch_size=_BATCH):
                of_images.append(part)
                posteriors.append(model.encode(images))
            factors = torch.cat(of_images)
        codes = torch.cat([posterior.mean_code() for posterior in posteriors])
        kl = torch.cat([posterior.kl() for posterior in posteriors]).mean(0)
    rows = traversal_rows(model, span, codes)
    aggregate = _arrays(aggregate_density(posteriors, rows))
    prior = _arrays(aggregate_density([model.prior()], rows))
    visited = tuple(
        (density >= VISITED_RATIO * expected) | (dataset is None)
        for density, expected in zip(aggregate, prior, strict=True)
    )
    mean_kl = kl.cpu().numpy()
    factor_names = dataset.factor_names if dataset else ()
    estimate = f"bins of mean codes with Miller-Madow correction, {num_images:,} images"
    try:
        information = _information_shares(codes, factors)
    except EvaluationError:  # no factors, or too few images
        factor_names, information, estimate = (), np.zeros((codes.shape[1], 0)), ""
    return LatentProfile(
        span=span,
        values=_arrays(rows),
        aggregate=aggregate,
        kl=mean_kl,
        held=held_nats(mean_kl, aggregate if model.latents.is_deterministic else None),
        image_information=image_information(mean_kl, aggregate, model.latents.category_counts),
        spread=codes.double().std(0, correction=0).cpu().numpy(),
        factor_names=factor_names,
        information=information,
        num_points=num_images,
        visited=visited,
        estimate=estimate,
    )


def _arrays(rows: list[Tensor]) -> tuple[NDArray[np.float32], ...]:
    return tuple(row.cpu().numpy() for row in rows)


def _information_shares(codes: Tensor, factors: Tensor) -> NDArray[np.float64]:
    measured = information_of_countable(
        codes.cpu().numpy(), factors.cpu().numpy(), correction="miller_madow"
    )
    return measured.matrix / np.maximum(measured.factor_entropy, 1e-9)


@torch.inference_mode()
def aggregate_density(posteriors: Iterable[Posterior], rows: Sequence[Tensor]) -> list[Tensor]:
    """Mean over images of the posterior's density at the values of `rows`, float32 N times (P_j,).

    For categorical latents this is the probability of the category nearest to each value.
    """
    totals, count = [torch.zeros_like(row) for row in rows], 0
    for posterior in posteriors:
        densities = posterior.density(rows)
        for total, density in zip(totals, densities, strict=True):
            total += density.sum(0)  # (B, P_j) -> (P_j,)
        count += len(densities[0])
    return [total / count for total in totals]
