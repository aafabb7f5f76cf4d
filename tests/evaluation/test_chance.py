import numpy as np
import pytest
import torch

from dvae_core.data.dataset import Dataset
from dvae_core.data.stored import ByteImages, TableDataset
from dvae_core.evaluation.chance import FEW_IMAGES
from dvae_core.evaluation.inputs import EvaluationInputs
from dvae_core.evaluation.results import EvaluationSettings, ProtocolName
from dvae_core.progress import no_progress
from tests.evaluation.known import GaussianModel, Plain


class Labelled(TableDataset):
    """Images whose pixels are random, or follow two labels of four values."""

    name = "labelled"
    factor_names = ("a", "b")
    factor_sizes = (4, 4)

    def __init__(self, count: int, follows: bool, seed: int = 0) -> None:
        generator = np.random.default_rng(seed)
        labels = generator.integers(0, 4, (count, 2))
        shown = labels if follows else generator.integers(0, 4, (count, 2))
        pixels = np.zeros((count, 2, 2, 1), np.uint8)
        pixels[:, 0, :, 0] = shown * 60 + generator.integers(0, 40, (count, 2))
        cpu = torch.device("cpu")
        super().__init__(ByteImages(pixels, 2, cpu), labels, cpu)


class Inputs(EvaluationInputs):
    """Inputs whose codes are the pixels of the first row."""

    def __init__(self, dataset: Dataset, protocol: ProtocolName) -> None:
        self.model = GaussianModel()  # type: ignore[assignment]
        self.dataset, self.protocol = dataset, protocol
        self.settings, self.num_workers, self.progress = EvaluationSettings(), 1, no_progress
        self._train_seed, self._test_seed = 0, 1

    @property
    def category_counts(self) -> tuple[int, ...]:
        return ()


@pytest.mark.parametrize("protocol", ["paper", "native"])
def test_random_labels_of_few_images_are_found_out(protocol: ProtocolName) -> None:
    samples = [Labelled(200, follows=False, seed=seed) for seed in range(10)]
    reasons = [Inputs(sample, protocol).reason_if_chance for sample in samples]
    # One in twenty is taken for more than chance, by the meaning of 5 %.
    assert sum("from random ones: with 200 images" in reason for reason in reasons) >= 8


@pytest.mark.parametrize("seed", range(5))
def test_labels_that_the_codes_follow_count(seed: int) -> None:
    assert Inputs(Labelled(50, follows=True, seed=seed), "paper").reason_if_chance == ""


def test_many_images_and_grids_are_not_tested() -> None:
    for dataset in (Labelled(FEW_IMAGES + 1, follows=False), Plain(4, 4)):
        assert Inputs(dataset, "paper").reason_if_chance == ""
