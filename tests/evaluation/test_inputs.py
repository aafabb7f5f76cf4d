from pathlib import Path

import numpy as np
import pytest
import torch

from dvae_core.config import RunConfig
from dvae_core.data import load_dataset
from dvae_core.data.stored import ByteImages, TableDataset
from dvae_core.errors import EvaluationError
from dvae_core.evaluation.inputs import EvaluationInputs
from dvae_core.evaluation.representation import Representation
from dvae_core.evaluation.results import EvaluationSettings, ProtocolName
from dvae_core.runs.run import Run
from dvae_core.training.trainer import train


class Few(TableDataset):
    """Blank images, each with its number as label."""

    name = "few"
    factor_names = ("number",)

    def __init__(self, count: int) -> None:
        self.factor_sizes = (count,)
        blank = ByteImages(np.zeros((count, 32, 32, 1), np.uint8), 32, torch.device("cpu"))
        super().__init__(blank, np.arange(count)[:, None], torch.device("cpu"))


SMALL = EvaluationSettings(points=40, test_points=40)


def test_each_score_on_noisy_images_meets_the_same_noise(
    tmp_path: Path, tiny_config: RunConfig
) -> None:
    config = tiny_config.model_copy(update={"dataset": "color_sprites"})
    run = Run.create(tmp_path / "noisy", config, (3, 32, 32))
    train(run)
    inputs = EvaluationInputs(
        run, load_dataset("color_sprites", image_size=32), "paper", SMALL, None
    )
    factors = torch.zeros(5, 5, dtype=torch.int64)
    codes = inputs.source.codes_of(factors)
    assert np.ptp(codes, axis=0).any()  # the images differ
    np.testing.assert_array_equal(inputs.source.codes_of(factors), codes)


def test_a_clean_set_is_encoded_once_for_all_scores(tiny_run: Run) -> None:
    inputs = EvaluationInputs(
        tiny_run, load_dataset("circles", image_size=32), "paper", SMALL, None
    )
    assert inputs.source is inputs.source


def test_training_and_test_points_are_other_draws(tiny_run: Run) -> None:
    inputs = EvaluationInputs(
        tiny_run, load_dataset("circles", image_size=32), "paper", SMALL, None
    )
    assert not np.array_equal(inputs.train.factors, inputs.test.factors)


def _images(points: Representation) -> set[tuple[int, ...]]:
    return set(map(tuple, points.factors.tolist()))


def test_no_image_is_fitted_to_and_tested_on_under_the_native_protocol(tiny_run: Run) -> None:
    settings = EvaluationSettings(points=2_000, test_points=1_000)
    inputs = EvaluationInputs(
        tiny_run, load_dataset("circles", image_size=32), "native", settings, None
    )
    fit, test = _images(inputs.fit), _images(inputs.test)
    assert not fit & test
    assert len(inputs.fit.codes) == 2_000
    assert len(inputs.test.codes) == 1_000
    assert len(fit | test) > 900  # of 1,024: nearly all are used


def test_the_paper_protocol_fits_a_grid_as_the_reference_does(tiny_run: Run) -> None:
    inputs = EvaluationInputs(
        tiny_run, load_dataset("circles", image_size=32), "paper", SMALL, None
    )
    assert inputs.fit is inputs.train


@pytest.mark.parametrize("protocol", ["paper", "native"])
def test_each_image_of_a_sample_counts_once(tiny_run: Run, protocol: ProtocolName) -> None:
    digits = load_dataset("digits", image_size=32)
    inputs = EvaluationInputs(tiny_run, digits, protocol, EvaluationSettings(), None)
    assert len(inputs.train.codes) == digits.num_images
    assert len(inputs.fit.codes) + len(inputs.test.codes) == digits.num_images
    values, counts = np.unique(inputs.train.factors, return_counts=True)
    expected = digits.points_at(torch.arange(digits.num_images))[0][:, 0].bincount()
    assert counts.tolist() == expected[values].tolist()
    assert inputs.images_in_words == "1,797 images, each once"


def test_too_few_images_to_hold_some_out_are_refused(tiny_run: Run) -> None:
    inputs = EvaluationInputs(tiny_run, Few(2), "native", SMALL, None)
    with pytest.raises(EvaluationError, match="few has 2 images, but a test"):
        _ = inputs.test
