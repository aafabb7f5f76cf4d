"""The inputs of the metrics of a run: codes, factors and statistics, computed once."""

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from dvae_core.config import describe_category_counts
from dvae_core.data.dataset import Dataset
from dvae_core.errors import EvaluationError
from dvae_core.evaluation.fixed_factor import BATCH_SIZE, check_has_factors, varying_factors
from dvae_core.evaluation.information import CORRECTED, PAPER_BINS, Correction
from dvae_core.evaluation.latent_statistics import LatentStatistics, latent_statistics
from dvae_core.evaluation.representation import (
    CodeKind,
    CodeSource,
    LookedUpCodes,
    Representation,
    code_source,
    encode_points,
)
from dvae_core.evaluation.results import EvaluationSettings, ProtocolName
from dvae_core.progress import Progress, no_progress
from dvae_core.runs.run import Run


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
        self.model = run.load_model(dataset.device)
        self.step = run.status().step
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
            return f"{self.categories_in_words}; {CORRECTED}"
        return f"mean code in {PAPER_BINS} equal-width bins; plug-in"

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
        return encode_points(
            self.model, self.dataset, self.settings.points, self._train_seed, self.progress
        )

    @cached_property
    def test(self) -> Representation:
        return encode_points(
            self.model, self.dataset, self.settings.test_points, self._test_seed, self.progress
        )

    @property
    def source(self) -> CodeSource:
        # Raises before the whole set is encoded.
        varying_factors(self.dataset, "A score of fixed factors")
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
        varying = np.ptp(self.train.factors, axis=0) > 0
        if not varying.any():
            raise EvaluationError(
                f"every factor of {self.dataset.name} has a single value in these points: draw more"
            )
        return [int(index) for index in np.flatnonzero(varying)]

    @property
    def factor_names(self) -> list[str]:
        return [self.dataset.factor_names[index] for index in self.factor_indices]

    @property
    def factors(self) -> NDArray[np.int64]:
        return self.train.factors[:, self.factor_indices]

    @property
    def test_factors(self) -> NDArray[np.int64]:
        return self.test.factors[:, self.factor_indices]

    @property
    def train_and_test(
        self,
    ) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.float32], NDArray[np.int64]]:
        """Training codes and factors, then test codes and factors."""
        # `self.factors` raises for sets without factors before the test points are encoded.
        codes, factors = self.train.codes_of_kind(self.kind), self.factors
        return codes, factors, self.test.codes_of_kind(self.kind), self.test_factors

    @property
    def note(self) -> str:
        left_out = [
            name
            for index, name in enumerate(self.dataset.factor_names)
            if index not in self.factor_indices
        ]
        return f"left out, having a single value: {', '.join(left_out)}" if left_out else ""
