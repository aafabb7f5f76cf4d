from pathlib import Path

import numpy as np
import pytest
import torch

from dvae_core.config import RunConfig
from dvae_core.data import load_dataset
from dvae_core.data.stored import ByteImages, TableDataset
from dvae_core.errors import EvaluationError
from dvae_core.evaluation.catalog import METRIC_SPECS
from dvae_core.evaluation.inputs import EvaluationInputs, has_few_images
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


def test_the_native_protocol_takes_each_of_few_images_once_and_holds_a_third_out(
    tiny_run: Run,
) -> None:
    circles = load_dataset("circles", image_size=32)
    inputs = EvaluationInputs(tiny_run, circles, "native", EvaluationSettings(), None)
    fit, test = _images(inputs.fit), _images(inputs.test)
    assert not fit & test
    assert len(fit) == len(inputs.fit.codes) == 683
    assert len(test) == len(inputs.test.codes) == 341
    assert len(_images(inputs.train)) == len(inputs.train.codes) == 1024
    assert inputs.images_in_words == "1,024 images, each once"
    for spec in (METRIC_SPECS[name] for name in ("mig", "sap", "dci", "infomec")):
        assert "; each image once" in spec.estimator(inputs)


def test_the_native_protocol_holds_images_of_a_large_grid_out(tiny_run: Run) -> None:
    settings = EvaluationSettings(points=50, test_points=40)
    circles = load_dataset("circles", image_size=32)
    inputs = EvaluationInputs(tiny_run, circles, "native", settings, None)
    assert not _images(inputs.fit) & _images(inputs.test)
    assert (len(inputs.fit.codes), len(inputs.test.codes)) == (50, 40)
    assert not inputs.draw_in_words


def test_points_that_are_compared_with_each_other_have_no_image_twice(tiny_run: Run) -> None:
    circles = load_dataset("circles", image_size=32)
    inputs = EvaluationInputs(tiny_run, circles, "paper", EvaluationSettings(), None)
    assert len(inputs.train.codes) == 10_000
    assert len(_images(inputs.comparable)) == len(inputs.comparable.codes) == 1024
    assert "; each image once" in METRIC_SPECS["infomec"].estimator(inputs)
    assert "; each image once" not in METRIC_SPECS["mig"].estimator(inputs)


@pytest.mark.parametrize(
    ("name", "few"),
    [("circles", True), ("circles_continuous", False), ("sprites", False), ("rooms", False)],
)
def test_images_are_few_where_points_would_be_copies(name: str, few: bool) -> None:
    assert has_few_images(load_dataset(name, image_size=32), EvaluationSettings()) == few


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
