"""Latents whose posteriors are points: what they hold, and the gap that they do not have."""

from math import log

import numpy as np
import pytest

from dvae_core.config import ModelConfig
from dvae_core.data.procedural.circles import Circles
from dvae_core.errors import EvaluationError
from dvae_core.evaluation.latent_statistics import (
    held_nats,
    image_information,
    latent_statistics,
)
from dvae_core.evaluation.metrics.straight_through_gap import gap_of_model
from dvae_core.models.vae import VAE, build_model

CONFIG = ModelConfig(latents="fsq", num_latents=2, num_categories=5)


def untrained() -> VAE:
    """Its scalars are all near 0, so that each latent is always the middle category."""
    model = build_model(CONFIG, (1, 32, 32)).eval()
    for parameter in model.parameters():
        parameter.detach().zero_()
    return model


def test_a_distribution_holds_its_kl_and_a_point_the_entropy_of_its_use() -> None:
    usage = [np.array([0.5, 0.5, 0.0]), np.array([1.0, 0.0, 0.0])]
    held = held_nats(np.array([log(3), log(3)]), usage)
    np.testing.assert_allclose(held, [log(2), 0.0])
    np.testing.assert_array_equal(held_nats(np.array([7.0]), None), [7.0])


def test_a_category_that_all_images_share_says_nothing_of_them() -> None:
    """The mutual information of images and categories, against a sum over all pairs of them."""
    stuck, sharp = np.array([[1.0, 0.0, 0.0]] * 4), np.eye(4)[:, :4]
    soft = np.array([[0.7, 0.3], [0.2, 0.8], [0.5, 0.5], [0.9, 0.1]])
    kl, usage, expected = [], [], []
    for posteriors in (stuck, sharp, soft):
        logs = np.log(posteriors, where=posteriors > 0, out=np.zeros_like(posteriors))
        aggregate = posteriors.mean(0)
        ratios = np.divide(posteriors, aggregate, where=posteriors > 0, out=np.ones_like(logs))
        kl.append((posteriors * (logs + log(posteriors.shape[1]))).sum(1).mean())
        usage.append(aggregate)
        expected.append((posteriors * np.log(ratios)).sum(1).mean())
    assert expected[:2] == pytest.approx([0.0, log(4)])
    found = image_information(np.array(kl), usage, (3, 4, 2))
    assert found == pytest.approx(expected, abs=1e-12)
    padded = np.array([np.pad(row, (0, 4 - len(row))) for row in usage])
    np.testing.assert_array_equal(image_information(np.array(kl), padded, (3, 4, 2)), found)
    np.testing.assert_array_equal(image_information(np.array([7.0]), None, ()), [7.0])


def test_a_point_that_never_moves_is_inactive_whatever_its_kl() -> None:
    statistics = latent_statistics(untrained(), Circles(32), 32, seed=0)
    np.testing.assert_allclose(statistics.kl, log(5), rtol=1e-6)
    assert not statistics.active.any()


def test_a_point_has_no_gap_and_the_reason_says_why() -> None:
    with pytest.raises(EvaluationError, match="no soft code to compare it with"):
        gap_of_model(untrained(), None, None, Circles(32), seed=0, num_batches=1)
