from pathlib import Path

import numpy as np
import torch

from dvae_core.config import RunConfig
from dvae_core.data import load_dataset
from dvae_core.evaluation.inputs import EvaluationInputs
from dvae_core.evaluation.results import EvaluationSettings
from dvae_core.runs.run import Run
from dvae_core.training.trainer import train

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
