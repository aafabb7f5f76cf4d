"""What the images of a data set say about one latent: how its categories are used, and for what."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from dvae_core.analysis.encoded import EncodedSet, draw_encoded
from dvae_core.data.dataset import Dataset
from dvae_core.errors import EvaluationError
from dvae_core.evaluation.information import PAPER_BINS, discretize, measure_information
from dvae_core.evaluation.latent_statistics import categories_used

NAMING_SHARE = 0.5
"""A latent with less of every factor's entropy gets no name."""
EXAMPLES = 12
MAX_COMPARED = 4_000
"""Images whose pairs `counterfactual_pair` compares: 8 million pairs."""
MAX_IMAGE_BYTES = 256 * 2**20
_PAIR_ROWS = 512


@dataclass(frozen=True)
class LatentData:
    """Statistics of one latent over the n images of an encoded set.

    Its P categories are those of a categorical latent, and equal bins over the range of the mean
    codes for a Gaussian one.

    Attributes:
        latent: its index.
        edges: of the bins, ascending, float64 (P + 1,); None for a categorical latent.
        category: of each image, the most likely one, int64 (n,).
        counts: images in each category, int64 (P,).
        effective_categories: exponential of the entropy of the shares in `counts`, from 1 to P.
        mean_kl: divergence of the posterior from the prior, nats.
        active: whether the mean KL is above 0.05 nats; a latent that is not is dead.
        examples: for each category, rows of images drawn at random, P arrays int64 (B,).
        typical: for each category, rows of its most typical images first, P arrays int64 (B,):
            those with the highest probability of the category; for a Gaussian latent those whose
            mean code is nearest to the centre of the bin, in standard deviations of their
            posterior.
        factor_names: (F,).
        factor_counts: images with each value of a factor in each category, F arrays int64
            (P, values).
        conditional_entropy: plug-in entropy of each factor within each category, nats, (P, F); nan
            for a category without images.
        factor_entropy: plug-in entropy of each factor, nats, (F,).
        information: of category and factor, nats, (F,), with the correction "miller_madow" of
            `mutual_information_matrix`; nan where `undefined` says why.
        undefined: for each factor why there is no information, or "", (F,).
    """

    latent: int
    edges: NDArray[np.float64] | None
    category: NDArray[np.int64]
    counts: NDArray[np.int64]
    effective_categories: float
    mean_kl: float
    active: bool
    examples: tuple[NDArray[np.int64], ...]
    typical: tuple[NDArray[np.int64], ...]
    factor_names: tuple[str, ...]
    factor_counts: tuple[NDArray[np.int64], ...]
    conditional_entropy: NDArray[np.float64]
    factor_entropy: NDArray[np.float64]
    information: NDArray[np.float64]
    undefined: tuple[str, ...]

    @property
    def never_visited(self) -> list[int]:
        """Categories, or bins, that have no image."""
        return np.flatnonzero(self.counts == 0).tolist()

    @property
    def shares(self) -> NDArray[np.float64]:
        """Information as a share of each factor's entropy, (F,), in [0, 1]; nan where there is
        none."""
        shares = np.full_like(self.information, np.nan)
        np.divide(self.information, self.factor_entropy, out=shares, where=self.factor_entropy > 0)
        return shares

    @property
    def suggested_name(self) -> str:
        """The factor with the largest share of its entropy, and this share, such as "wall hue,
        100 %"; "" if no share is at least one half."""
        factor = self.suggested_factor
        if factor is None:
            return ""
        share = f"{self.shares[factor]:.0%}".replace("%", " %")
        return f"{self.factor_names[factor]}, {share}"

    @property
    def suggested_factor(self) -> int | None:
        """Index of the factor in `suggested_name`."""
        shares = np.nan_to_num(self.shares)
        if not len(shares) or shares.max() < NAMING_SHARE:
            return None
        return int(shares.argmax())


def latent_data(
    encoded: EncodedSet,
    latent: int,
    num_bins: int = PAPER_BINS,
    examples: int = EXAMPLES,
    seed: int = 0,
) -> LatentData:
    """Statistics of one latent over an encoded set.

    Args:
        encoded: codes of n images.
        latent: index of the latent.
        num_bins: bins of a Gaussian latent; without effect on categories.
        examples: largest number of random and of typical images per category.
        seed: of the random images.

    Raises:
        EvaluationError: there is no such latent, or a number is below its least value.
    """
    encoded.check_latent(latent)
    if num_bins < 2 or examples < 0:
        raise EvaluationError(
            f"num_bins is {num_bins} and examples {examples}: give at least 2 and 0"
        )
    edges, category, order = _categories(encoded, latent, num_bins)
    size = encoded.category_counts[latent] if edges is None else len(edges) - 1
    counts = np.bincount(category, minlength=size)
    factor_counts = tuple(
        np.bincount(category * values + column, minlength=size * values).reshape(size, values)
        for column, values in zip(encoded.factors.T, encoded.factor_sizes, strict=True)
    )
    conditional = [_entropy(table) for table in factor_counts]
    entropies = [_entropy(table.sum(axis=0)) for table in factor_counts]
    information, undefined = information_of_points(category[:, None], encoded.factors, size)
    shuffled = np.random.default_rng(seed).permutation(len(encoded))
    return LatentData(
        latent=latent,
        edges=edges,
        category=category,
        counts=counts,
        effective_categories=float(categories_used(counts[None] / len(encoded))[0]),
        mean_kl=float(encoded.mean_kl[latent]),
        active=bool(encoded.active[latent]),
        examples=_first_of_each(shuffled, category, size, examples),
        typical=_first_of_each(order, category, size, examples),
        factor_names=encoded.factor_names,
        factor_counts=factor_counts,
        conditional_entropy=np.stack(conditional, 1) if conditional else np.zeros((size, 0)),
        factor_entropy=np.array(entropies),
        information=information[0],
        undefined=undefined,
    )


def _categories(
    encoded: EncodedSet, latent: int, num_bins: int
) -> tuple[NDArray[np.float64] | None, NDArray[np.int64], NDArray[np.int64]]:
    """Edges of bins or None, the category of each image, and rows from typical to untypical."""
    if encoded.categories is not None:
        assert encoded.probabilities is not None
        order = np.argsort(-encoded.probabilities[:, latent], kind="stable")
        return None, encoded.categories[:, latent].astype(np.int64), order
    codes = encoded.codes[:, latent].astype(np.float64)
    low, high = codes.min(), codes.max()
    if high - low < 1e-6 * max(1.0, abs(low)):  # too narrow for single precision to divide
        low, high = low - 0.5, high + 0.5
    edges = np.linspace(low, high, num_bins + 1)
    category = np.clip(np.searchsorted(edges, codes, side="right") - 1, 0, num_bins - 1)
    centres = (edges[:-1] + edges[1:]) / 2
    deviations = np.maximum(encoded.deviations[:, latent].astype(np.float64), 1e-12)
    order = np.argsort(np.abs(codes - centres[category]) / deviations, kind="stable")
    return edges, category, order


def _first_of_each(
    order: NDArray[np.int64], category: NDArray[np.int64], size: int, most: int
) -> tuple[NDArray[np.int64], ...]:
    ordered = category[order]
    return tuple(order[ordered == value][:most] for value in range(size))


def _entropy(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Entropy in nats over the last axis; nan without counts."""
    totals = counts.sum(axis=-1, keepdims=True)
    shares = counts / np.where(totals, totals, 1)
    logs = np.log(shares, out=np.zeros_like(shares), where=counts > 0)
    return np.where(totals[..., 0] > 0, -(shares * logs).sum(axis=-1) + 0.0, np.nan)


def categories_or_bins(encoded: EncodedSet) -> NDArray[np.int64]:
    """What information is counted in, (n, N): most likely categories, or 20 equal-width bins over
    the range of each mean code.

    Raises:
        EvaluationError: there are fewer points than bins.
    """
    if encoded.categories is not None:
        return encoded.categories.astype(np.int64)
    return discretize(encoded.codes, PAPER_BINS)


def information_of_points(
    cells: NDArray[np.int64], factors: NDArray[np.int64], least: int = 2
) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """Mutual information in nats with the correction "miller_madow", (N, F), and for each factor
    why it is nan, or "", (F,).

    Args:
        cells: categories or bins, (points, N).
        factors: (points, F).
        least: points without which nothing is counted.
    """
    matrix = np.full((cells.shape[1], factors.shape[1]), np.nan)
    reasons = []
    for factor, column in enumerate(factors.T):
        reason = ""
        if len(cells) < least:
            reason = f"{len(cells)} points are fewer than the {least} that this needs"
        else:
            try:
                measured = measure_information(cells, column[:, None], None, "miller_madow")
                matrix[:, factor] = measured.matrix[:, 0]
            except EvaluationError as error:  # such as a factor that numbers the images
                reason = str(error)
        reasons.append(reason)
    return matrix, tuple(reasons)


@dataclass(frozen=True)
class CategoryImages:
    """Mean and spread of the images of each category.

    Attributes:
        categories: those that were asked for, int64 (P,).
        counts: images in each, int64 (P,).
        mean: float32 (P, C, H, W) in [0, 1]; nan without images.
        deviation: standard deviation of each pixel, float32 (P, C, H, W); nan without images.
    """

    categories: NDArray[np.int64]
    counts: NDArray[np.int64]
    mean: NDArray[np.float32]
    deviation: NDArray[np.float32]


@torch.inference_mode()
def category_images(
    dataset: Dataset,
    encoded: EncodedSet,
    data: LatentData,
    categories: Sequence[int] | None = None,
) -> CategoryImages:
    """Mean image and standard deviation image of each category of a latent, by one pass over the
    images in batches.

    Args:
        dataset: the one that was encoded, with or without factors.
        encoded: its codes.
        data: `latent_data` of the latent.
        categories: P of them; None for all.

    Raises:
        EvaluationError: the data set is another one, there is no such category, or the sums of so
            many images need more than 256 MiB.
    """
    asked = np.arange(len(data.counts)) if categories is None else np.array(categories, np.int64)
    if len(set(asked.tolist()) - set(range(len(data.counts)))):
        raise EvaluationError(
            f"categories are {asked.tolist()[:8]}, but must be from 0 to {len(data.counts) - 1}"
        )
    shape = (len(asked), *dataset.image_shape)
    needed = 2 * 8 * int(np.prod(shape))
    if needed > MAX_IMAGE_BYTES:
        most = MAX_IMAGE_BYTES * len(asked) // needed
        raise EvaluationError(
            f"images of {len(asked)} categories need {needed / 1e6:.0f} MB: choose at most {most}"
        )
    # Sums around one half lose less precision in the difference of squares than around 0.
    sums, squares = np.zeros(shape), np.zeros(shape)
    rows = np.flatnonzero(np.isin(data.category, asked))
    for batch, images in draw_encoded(dataset, encoded, rows):
        centred = images.cpu().numpy().astype(np.float64) - 0.5
        for place, category in enumerate(asked):
            of_category = centred[data.category[batch] == category]
            sums[place] += of_category.sum(axis=0)
            squares[place] += np.square(of_category).sum(axis=0)
    counts = data.counts[asked]
    with np.errstate(invalid="ignore"):
        mean = sums / counts[:, None, None, None]
        variance = squares / counts[:, None, None, None] - mean**2
    return CategoryImages(
        categories=asked,
        counts=counts,
        mean=(mean + 0.5).astype(np.float32),
        deviation=np.sqrt(np.maximum(variance, 0)).astype(np.float32),
    )


@dataclass(frozen=True)
class CounterfactualPair:
    """Two images that differ in one latent and hardly in the others.

    Attributes:
        rows: of the encoded set, the lower first.
        difference: of this latent between the images, in standard deviations of its code over the
            set.
        distance: Euclidean distance of the other active latents, each in standard deviations of its
            code over the set.
        num_compared: images whose pairs were compared; below n, they are a random sample.
    """

    rows: tuple[int, int]
    difference: float
    distance: float
    num_compared: int


def counterfactual_pair(
    encoded: EncodedSet, latent: int, max_compared: int = MAX_COMPARED, seed: int = 0
) -> CounterfactualPair:
    """The two images that differ most in one latent and least in the others.

    With z the mean codes divided by their standard deviation over the set, and M the other latents
    that are active (mean KL above 0.05 nats) and vary, it maximises over all pairs a < b

        |z_a,latent - z_b,latent| - sqrt(sum over m in M of (z_a,m - z_b,m)^2),

    so that one standard deviation in the latent counts as much as one of distance. Of equal pairs
    it takes the one with the least a, then the least b. (Our definition.)

    Args:
        encoded: codes of n images.
        latent: the latent in which the images are to differ.
        max_compared: exact if n is at most this; otherwise of that many images drawn at random.
        seed: of this draw.

    Raises:
        EvaluationError: there is no such latent, it has the same code for all images, or fewer than
            two images are to be compared.
    """
    encoded.check_latent(latent)
    rows = np.arange(len(encoded))
    if len(rows) > max_compared:
        drawn = np.random.default_rng(seed).choice(len(rows), max(max_compared, 0), replace=False)
        rows = np.sort(drawn)
    if len(rows) < 2:
        raise EvaluationError(f"a pair needs two images, but there are {len(rows)} to compare")
    own = encoded.codes[rows, latent].astype(np.float64)
    if own.min() == own.max():
        raise EvaluationError(
            f"latent {latent} has the same code for all {len(rows):,} images, so no pair differs"
        )
    own /= encoded.spread[latent]
    others = np.delete(encoded.scaled_codes()[rows], latent, axis=1)  # (rows, N - 1)
    best = (-np.inf, 0, 0)
    for start in range(0, len(rows) - 1, _PAIR_ROWS):
        block = slice(start, start + _PAIR_ROWS)
        score = np.abs(own[block, None] - own[start:])  # (block, rows from start)
        if others.shape[1]:
            score -= cdist(others[block], others[start:])
        score[np.tril_indices(len(score), m=score.shape[1])] = -np.inf  # but pairs a < b
        place = int(score.argmax())
        first, second = divmod(place, score.shape[1])
        if score[first, second] > best[0]:
            best = (float(score[first, second]), start + first, start + second)
    _, first, second = best
    return CounterfactualPair(
        rows=(int(rows[first]), int(rows[second])),
        difference=float(abs(own[first] - own[second])),
        distance=float(np.linalg.norm(others[first] - others[second])),
        num_compared=len(rows),
    )
