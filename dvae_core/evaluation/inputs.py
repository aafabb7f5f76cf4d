"""The inputs of the metrics of a run: codes, factors and statistics, computed once."""

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from dvae_core.config import describe_category_counts
from dvae_core.data.dataset import Dataset
from dvae_core.errors import EvaluationError
from dvae_core.evaluation.chance import reason_if_chance
from dvae_core.evaluation.fixed_factor import (
    BATCH_SIZE,
    DatasetDraws,
    Draws,
    PointDraws,
    check_has_factors,
    varying_factors,
)
from dvae_core.evaluation.information import CORRECTED, PAPER_BINS, Correction, countable
from dvae_core.evaluation.latent_statistics import LatentStatistics, latent_statistics
from dvae_core.evaluation.representation import (
    CodeKind,
    CodeSource,
    LookedUpCodes,
    Representation,
    code_source,
    encode_images,
    encode_points,
)
from dvae_core.evaluation.results import EvaluationSettings, ProtocolName
from dvae_core.progress import Progress, no_progress
from dvae_core.runs.run import Run

EACH_ONCE = "; each image once"
ENOUGH_IMAGES = 20  # for each point: of 10,000 drawn from 20 times as many, 500 have a copy


class EvaluationInputs:
    """A run's model applied to its data; what several metrics need is computed once."""

    def __init__(
        self,
        run: Run,
        dataset: Dataset,
        protocol: ProtocolName,
        settings: EvaluationSettings,
        num_workers: int | None,
    ) -> None:
        if dataset.image_shape != run.record.image_shape:
            raise EvaluationError(
                f"images of {dataset.name} are {dataset.image_shape} (C, H, W), but the model of "
                f"{run.id} was made for {run.record.image_shape}"
            )
        self.run = run
        self.dataset = dataset
        self.protocol = protocol
        self.settings = settings
        self.num_workers = num_workers
        self.model, self.step = run.load_model_and_step(dataset.device)
        self.progress: Progress = no_progress
        self._table: LookedUpCodes | None = None
        seeds = np.random.SeedSequence(settings.seed).generate_state(2)
        self._train_seed, self._test_seed = (int(seed) for seed in seeds)

    @property
    def category_counts(self) -> tuple[int, ...]:
        """K_j of each latent, (N,); () without categories."""
        return self.model.latents.category_counts

    @property
    def uses_categories(self) -> bool:
        return self.protocol == "native" and bool(self.category_counts)

    @property
    def counting(self) -> tuple[int | None, Correction | None]:
        """Number of bins and bias correction for counted information."""
        return (None, "miller_madow") if self.uses_categories else (PAPER_BINS, None)

    @property
    def counting_in_words(self) -> str:
        if self.uses_categories:
            return f"{self.categories_in_words}; {CORRECTED}{self.draw_in_words}"
        return f"mean code in {PAPER_BINS} equal-width bins; plug-in{self.draw_in_words}"

    @property
    def categories_in_words(self) -> str:
        return f"most likely category, {describe_category_counts(self.category_counts)}"

    @property
    def codes_in_words(self) -> str:
        return "most likely category's value" if self.uses_categories else "mean code"

    @property
    def kind(self) -> CodeKind:
        return "mode" if self.uses_categories else "mean"

    @cached_property
    def train(self) -> Representation:
        """Points that scores are computed on."""
        if self.takes_each_once:
            return self._each_once
        count, seed = self.settings.points, self._train_seed
        return encode_points(self.model, self.dataset, count, seed, self.progress)

    @cached_property
    def comparable(self) -> Representation:
        """Points for an estimator that compares them with each other, to which copies of an image
        say that a latent knows all about it."""
        return self._each_once if has_few_images(self.dataset, self.settings) else self.train

    @cached_property
    def _each_once(self) -> Representation:
        return self._encoded(self._in_random_order[: self.settings.points], self._train_seed)

    @cached_property
    def fit(self) -> Representation:
        """Points that predictors are fitted to."""
        if not self.holds_images_out:
            return self.train
        return self._encoded(self._held_out[0], self._train_seed)

    @cached_property
    def test(self) -> Representation:
        """Points that predictors are tested on."""
        if self.holds_images_out:
            return self._encoded(self._held_out[1], self._test_seed)
        count, seed = self.settings.test_points, self._test_seed
        return encode_points(self.model, self.dataset, count, seed, self.progress)

    @property
    def holds_images_out(self) -> bool:
        """Whether no image is among both the fitted and the tested points.

        disentanglement_lib draws both from the whole grid, and so does the protocol `paper`. A set
        of few images would test a predictor on what it was fitted to.
        """
        return self.protocol == "native" or not self.dataset.is_grid

    @property
    def comparable_in_words(self) -> str:
        """The same of `comparable`."""
        few = has_few_images(self.dataset, self.settings)
        return EACH_ONCE if few else self.draw_in_words

    @property
    def test_in_words(self) -> str:
        """What an estimator adds to say how points are tested."""
        if not self.holds_images_out:
            return ""
        # Those of a sample have always been taken once.
        each = EACH_ONCE if self.dataset.is_grid and self.takes_each_once else ""
        return f"; tested on held-out images{each}"

    @property
    def takes_each_once(self) -> bool:
        """Whether `train` has each image at most once, and not points drawn with replacement."""
        return takes_each_once(self.dataset, self.protocol, self.settings)

    @property
    def draw_in_words(self) -> str:
        """What an estimator adds to say how points are drawn."""
        return EACH_ONCE if self.takes_each_once else ""

    @cached_property
    def _in_random_order(self) -> NDArray[np.int64]:
        return in_random_order(self.dataset, self._train_seed)

    @cached_property
    def _held_out(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Numbers of the images of `fit` and `test`."""
        fit, test = split_images(self.dataset, self._in_random_order)
        counts = self.settings.points, self.settings.test_points
        if self.takes_each_once:
            return fit[: counts[0]], test[: counts[1]]
        draw = np.random.default_rng(self._test_seed).choice
        return draw(fit, counts[0]), draw(test, counts[1])

    def _encoded(self, numbers: NDArray[np.int64], seed: int) -> Representation:
        return encode_images(self.model, self.dataset, numbers, seed, self.progress)

    def draws(self, metric: str) -> tuple[Draws, Draws]:
        """Images to fit a score of fixed factors to, and images to test it on.

        Raises:
            EvaluationError: fewer than two factors vary.
        """
        if not self.holds_images_out:
            varying_factors(self.dataset, metric)  # before the whole set is encoded
            draws = DatasetDraws(self.dataset, self.source, self.settings.seed, metric)
            return draws, draws
        codes, factors, test_codes, test_factors = self.fit_and_test
        return (
            PointDraws(codes, factors, self._train_seed),
            PointDraws(test_codes, test_factors, self._test_seed),
        )

    @property
    def source(self) -> CodeSource:
        """Codes of given factors."""
        if self._table is not None:
            return self._table
        # The BetaVAE score needs the most draws.
        num_draws = 2 * BATCH_SIZE * (self.settings.points + self.settings.test_points)
        seed = self.settings.seed
        source = code_source(self.model, self.dataset, num_draws, seed, self.kind, self.progress)
        # The other kind draws noise; sharing it would make scores depend on their order.
        if isinstance(source, LookedUpCodes):
            self._table = source
        return source

    @cached_property
    def statistics(self) -> LatentStatistics:
        return latent_statistics(
            self.model,
            self.dataset,
            self.settings.points,
            self._train_seed,
            self.progress,
            noise_scale=self.run.record.noise_scale_at(self.step),
        )

    @property
    def cells(self) -> NDArray:
        """Categories, or mean codes that are still to be binned."""
        if not self.uses_categories:
            return self.train.codes
        assert self.train.categories is not None
        if len(self.train.categories) < max(self.category_counts):
            raise EvaluationError(
                f"{len(self.train.categories)} points are fewer than the "
                f"{max(self.category_counts)} categories of a latent: draw more points"
            )
        return self.train.categories

    @cached_property
    def factor_indices(self) -> list[int]:
        """Indices of the factors with more than one value."""
        check_has_factors(self.dataset)
        factors = self.train.factors
        # A factor that numbers the images of a sample says nothing that another image could show.
        # On a grid it only does with too few points, which is an error.
        varying = np.ptp(factors, axis=0) > 0 if self.dataset.is_grid else countable(factors)
        if not varying.any():
            raise EvaluationError(
                f"every factor of {self.dataset.name} has a single value in these points, or "
                f"another one in each: use more images, or fewer values"
            )
        return [int(index) for index in np.flatnonzero(varying)]

    @cached_property
    def reason_if_chance(self) -> str:
        """Why scores of these factors say nothing, or "". The images of a grid are all there are,
        so its scores have no such chance."""
        if self.dataset.is_grid:
            return ""
        return reason_if_chance(self.cells, self.factors, self.counting[0])

    @property
    def factor_names(self) -> list[str]:
        return [self.dataset.factor_names[index] for index in self.factor_indices]

    @property
    def factors(self) -> NDArray[np.int64]:
        return self.train.factors[:, self.factor_indices]

    @property
    def fit_and_test(
        self,
    ) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.float32], NDArray[np.int64]]:
        """Codes and factors of `fit`, then of `test`."""
        indices = self.factor_indices  # raises for sets without factors before points are encoded
        fit, test = self.fit, self.test
        return (
            fit.codes_of_kind(self.kind),
            fit.factors[:, indices],
            test.codes_of_kind(self.kind),
            test.factors[:, indices],
        )

    @property
    def note(self) -> str:
        left_out = [
            name
            for index, name in enumerate(self.dataset.factor_names)
            if index not in self.factor_indices
        ]
        if not left_out:
            return ""
        reason = "" if self.dataset.is_grid else " or another value in each image"
        return f"left out, having a single value{reason}: {', '.join(left_out)}"

    @property
    def images_in_words(self) -> str:
        """How many images are behind the points, "" if nearly each point is another one."""
        number = self.dataset.num_images
        if number > self.settings.points:
            return ""
        return f"{number:,} images" + (", each once" if self.takes_each_once else "")


def has_few_images(dataset: Dataset, settings: EvaluationSettings) -> bool:
    """Whether many of the points drawn from a data set with replacement would have an image that
    another point has; none has where each draw has noise of its own."""
    return not dataset.is_noisy and dataset.num_images < ENOUGH_IMAGES * settings.points


def takes_each_once(dataset: Dataset, protocol: ProtocolName, settings: EvaluationSettings) -> bool:
    """Whether an evaluation takes each image at most once: always of a sample, and under the
    protocol `native` of a grid of few images.

    Copies of an image are no further evidence: counted as such, a code that numbers the images at
    random has information about every factor, and a tree whose leaves need ten points learns single
    images by heart. The protocol `paper` draws from grids with replacement, as disentanglement_lib
    does.
    """
    if not dataset.is_grid:
        return True
    return protocol == "native" and has_few_images(dataset, settings)


def in_random_order(dataset: Dataset, seed: int) -> NDArray[np.int64]:
    """Numbers of all images, (images,)."""
    return np.random.default_rng(seed).permutation(dataset.num_images)


def split_images(
    dataset: Dataset, order: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Numbers of the images to fit predictors to, and of a third of all to test them on.

    Raises:
        EvaluationError: there are fewer than three images.
    """
    num_test = len(order) // 3
    if num_test == 0:
        raise EvaluationError(
            f"{dataset.name} has {len(order)} images, but a test on held-out ones needs at least 3"
        )
    return order[num_test:], order[:num_test]
