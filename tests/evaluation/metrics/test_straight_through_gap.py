from pathlib import Path

import pytest
import torch

from dvae_core.config import RunConfig
from dvae_core.data import load_dataset
from dvae_core.data.dataset import Dataset
from dvae_core.errors import EvaluationError
from dvae_core.evaluation.metrics.straight_through_gap import straight_through_gap
from dvae_core.evaluation.representation import draw_batches
from dvae_core.models.vae import reconstruction_loss
from dvae_core.objectives import Factor
from dvae_core.regularizers import code_deviations, multiinformation
from dvae_core.runs.run import Run
from dvae_core.training.trainer import train
from tests.selection.planted import changed


@pytest.fixture(scope="module")
def circles() -> Dataset:
    return load_dataset("circles", image_size=32)


@pytest.fixture
def factor_run(tmp_path: Path, tiny_config: RunConfig) -> Run:
    config = tiny_config.model_copy(update={"objective": "factor", "gamma": 50.0})
    run = Run.create(tmp_path / "factor", config, (1, 32, 32))
    train(run)
    return run


def sharpen(run: Run, factor: float) -> None:
    """Scale the logits that the encoder gives."""
    model = run.load_model()
    model.get_parameter("encoder.head.weight").mul_(factor)
    model.get_parameter("encoder.head.bias").mul_(factor)
    run.save_model(model, run.weights_step())


@torch.inference_mode()
def mean_losses(run: Run, dataset: Dataset, num_batches: int) -> torch.Tensor:
    """Reconstruction and total correlation, one row for the mean and one for the mode code."""
    model, objective = run.load_model(), run.load_objective()
    rows = torch.zeros(2, 2, dtype=torch.float64)
    for _, images in draw_batches(dataset, num_batches * 64, 7, batch_size=64):
        posterior = model.encode(images)
        for row, code in enumerate((posterior.mean_code(), posterior.mode_code())):
            rows[row, 0] += reconstruction_loss(model.decode(code), images).mean()
            if isinstance(objective, Factor):
                logits = objective.discriminator(code)
                rows[row, 1] += (logits[:, 0] - logits[:, 1]).mean()
    return rows / num_batches


def test_the_whole_loss_has_the_regularizers(tmp_path: Path, tiny_config: RunConfig) -> None:
    config = changed(tiny_config, multiinformation_weight=10.0, hessian_weight=10.0)
    run = Run.create(tmp_path / "regularized", config, (1, 32, 32))
    train(run)
    sharpen(run, 5.0)
    dataset = load_dataset("circles", image_size=32)
    gap = straight_through_gap(run, dataset, seed=7, num_batches=2)
    assert gap == straight_through_gap(run, dataset, seed=7, num_batches=2)

    model, difference = run.load_model(), torch.zeros((), dtype=torch.float64)
    with torch.inference_mode():
        for _, images in draw_batches(dataset, 128, 7, batch_size=64):
            posterior = model.encode(images)
            for sign, code in ((-1, posterior.mean_code()), (1, posterior.mode_code())):
                loss = reconstruction_loss(model.decode(code), images).mean()
                loss = loss + 10 * multiinformation(code, code_deviations(posterior, code))
                difference += sign * loss / 2
    assert gap.total is not None
    hessians = gap.total - abs(difference.item())  # whose shares are from 0 to one a layer
    assert 0 < abs(hessians) < 60
    assert gap.total != pytest.approx(gap.reconstruction, rel=0.01)


def test_elbo_gap_is_that_of_the_reconstruction(tiny_run: Run, circles: Dataset) -> None:
    sharpen(tiny_run, 5.0)
    gap = straight_through_gap(tiny_run, circles, seed=7, num_batches=3)
    soft, hard = mean_losses(tiny_run, circles, 3)[:, 0].tolist()
    assert gap.reconstruction > 0
    assert gap.reconstruction == pytest.approx(abs(hard - soft), rel=1e-6)
    assert gap.total == gap.reconstruction


@pytest.mark.parametrize("objective", ["beta", "annealed", "tc", "dip_i", "dip_ii"])
def test_what_is_said_of_the_posterior_alone_cancels(
    tmp_path: Path, tiny_config: RunConfig, circles: Dataset, objective: str
) -> None:
    settings = {"objective": objective, "capacity_max": 2.0}
    run = Run.create(tmp_path / "run", tiny_config.model_copy(update=settings), (1, 32, 32))
    train(run)
    sharpen(run, 5.0)
    gap = straight_through_gap(run, circles, seed=7, num_batches=3)
    soft, hard = mean_losses(run, circles, 3)[:, 0].tolist()
    assert gap.total == pytest.approx(abs(hard - soft), rel=1e-6)


def test_factor_gap_weighs_in_the_total_correlation(factor_run: Run, circles: Dataset) -> None:
    sharpen(factor_run, 5.0)
    gap = straight_through_gap(factor_run, circles, seed=7, num_batches=3)
    soft, hard = mean_losses(factor_run, circles, 3)
    expected = abs(float((hard - soft) @ torch.tensor([1.0, 50.0], dtype=torch.float64)))
    assert gap.total == pytest.approx(expected, rel=1e-3)
    assert abs(expected - gap.reconstruction) > 1e-2 * expected


def test_a_posterior_sure_of_its_category_has_no_gap(tiny_run: Run, circles: Dataset) -> None:
    sharpen(tiny_run, 1e6)
    gap = straight_through_gap(tiny_run, circles, seed=0, num_batches=2)
    assert gap.total == pytest.approx(0, abs=1e-4)


def test_the_seed_decides_the_images(tiny_run: Run, circles: Dataset) -> None:
    sharpen(tiny_run, 5.0)
    gaps = [straight_through_gap(tiny_run, circles, seed, num_batches=2) for seed in (0, 0, 1)]
    assert gaps[0] == gaps[1]
    assert gaps[0] != gaps[2]


def test_a_missing_discriminator_leaves_the_reconstruction(
    factor_run: Run, circles: Dataset
) -> None:
    (factor_run.path / "discriminator.safetensors").unlink()
    gap = straight_through_gap(factor_run, circles, seed=0, num_batches=1)
    assert gap.total is None
    assert "discriminator.safetensors is missing" in gap.undefined["total"]
    assert gap.reconstruction >= 0


def test_gaussian_latents_are_refused(
    tmp_path: Path, tiny_config: RunConfig, circles: Dataset
) -> None:
    config = tiny_config.model_copy(update={"latents": "gaussian"})
    run = Run.create(tmp_path / "gaussian", config, (1, 32, 32))
    train(run)
    with pytest.raises(EvaluationError, match="Gaussian latents have no categories"):
        straight_through_gap(run, circles, seed=0, num_batches=1)
