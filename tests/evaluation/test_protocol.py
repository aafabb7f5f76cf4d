import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from torch import Tensor

from dvae_core.config import FamilyName, RunConfig
from dvae_core.data import load_dataset
from dvae_core.data.dataset import Dataset
from dvae_core.data.stored import ByteImages, UnlabelledDataset
from dvae_core.errors import EvaluationError, RunError
from dvae_core.evaluation.catalog import METRIC_SPECS, METRICS
from dvae_core.evaluation.information import CORRECTED
from dvae_core.evaluation.inputs import EvaluationInputs
from dvae_core.evaluation.latent_statistics import categories_used
from dvae_core.evaluation.protocol import EvaluationProgress, evaluate
from dvae_core.evaluation.results import Evaluation, EvaluationSettings, Metric, ProtocolName
from dvae_core.runs.run import Run
from dvae_core.training.trainer import train

SMALL = EvaluationSettings(points=300, test_points=100, gap_batches=1)
# UDR needs other seeds.
QUICK: tuple[Metric, ...] = tuple(name for name in METRICS if name not in ("dci", "udr"))


@pytest.fixture(scope="module")
def circles() -> Dataset:
    return load_dataset("circles", image_size=32)


class OneFactor(Dataset):
    """The circles of one row: y has a single value."""

    name = "row"
    factor_names = ("x", "y")
    factor_sizes = (32, 1)
    is_noisy = True  # as if it had more than 32 images

    def __init__(self, circles: Dataset) -> None:
        self.image_shape = circles.image_shape
        self.device = circles.device
        self._circles = circles

    def _draw(self, factors: Tensor, generator: torch.Generator | None) -> Tensor:
        return self._circles.images(factors, generator)


def unlabelled() -> UnlabelledDataset:
    pixels = np.random.default_rng(0).integers(0, 256, (100, 32, 32, 1), np.uint8)
    cpu = torch.device("cpu")
    return UnlabelledDataset("unlabelled", ByteImages(pixels, 32, cpu), len(pixels), cpu)


def trained(path: Path, config: RunConfig, **changes: Any) -> Run:
    run = Run.create(path, config.model_copy(update=changes), (1, 32, 32))
    train(run)
    return run


def values(evaluation: Evaluation, protocol: ProtocolName) -> dict[str, float | None]:
    return {s.name: s.value for s in evaluation.scores if s.protocol == protocol}


@pytest.mark.parametrize("protocol", ["paper", "native"])
def test_every_metric_of_a_categorical_run_has_a_value(
    tiny_run: Run, circles: Dataset, protocol: ProtocolName
) -> None:
    measured = values(evaluate(tiny_run, circles, protocol, QUICK, SMALL), protocol)
    assert None not in measured.values()
    assert set(measured) == {score.name for name in QUICK for score in METRIC_SPECS[name].scores}
    assert set(measured) >= {  # the names in evaluation.json, which do not change
        "latent_information",
        "mig",
        "modularity",
        "sap",
        "dci_fast_disentanglement",
        "dci_fast_completeness",
        "dci_fast_informativeness",
        "kl",
        "active_latents",
        "reconstruction",
        "infom",
        "infoe",
        "infoc",
        "straight_through_gap",
        "straight_through_gap_reconstruction",
        "factor_vae",
        "beta_vae",
    }


def test_exact_dci_is_kept_beside_the_fast_one(tiny_run: Run, circles: Dataset) -> None:
    settings = EvaluationSettings(points=80, test_points=40)
    measured = evaluate(tiny_run, circles, "paper", ("dci", "dci_fast"), settings, num_workers=1)
    exact = measured.score("dci_disentanglement", "paper")
    fast = measured.score("dci_fast_disentanglement", "paper")
    assert exact is not None
    assert fast is not None
    assert exact.estimator == "mean code; gradient boosted trees"
    assert "fast: random forest" in fast.estimator


def test_every_score_says_how_it_was_made(tiny_run: Run, circles: Dataset) -> None:
    measured = evaluate(tiny_run, circles, "native", ("mig", "sap"), SMALL)
    mig, sap = measured.scores
    assert mig.estimator == f"most likely category, K = 5; {CORRECTED}; each image once"
    assert (mig.points, mig.test_points, mig.seed, mig.step) == (300, 0, 0, 12)
    assert sap.estimator == (
        "most likely category's value; linear SVM, C = 0.01; tested on held-out images; each image "
        "once"
    )
    assert (sap.points, sap.test_points) == (300, 100)


def test_matrices_are_kept_with_the_names_of_their_factors(tiny_run: Run, circles: Dataset) -> None:
    measured = evaluate(
        tiny_run, circles, "native", ("mutual_information", "latent_information", "kl"), SMALL
    )
    shapes = {
        table.name: (len(table.values), len(table.values[0]), table.columns)
        for table in measured.tables
    }
    assert shapes == {
        "mutual_information": (2, 2, ["x", "y"]),
        "factor_entropy": (1, 2, ["x", "y"]),
        "latent_information": (2, 2, []),
        "kl": (1, 2, []),
        "usage": (2, 5, []),
    }


def test_gaussian_latents_are_scored_alike_in_both_protocols_but_for_held_out_images(
    tmp_path: Path, tiny_config: RunConfig, circles: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dvae_core.evaluation.inputs.ENOUGH_IMAGES", 0)  # as of a large grid
    run = trained(tmp_path / "gaussian", tiny_config, latents="gaussian")
    paper = evaluate(run, circles, "paper", QUICK, SMALL)
    native = evaluate(run, circles, "native", QUICK, SMALL)
    tested = {
        score.name
        for metric in ("sap", "dci_fast", "infomec", "factor_vae", "beta_vae")
        for score in METRIC_SPECS[metric].scores
    } - {"infom", "infoc"}
    by_paper, by_native = values(paper, "paper"), values(native, "native")
    differing = {name for name in by_paper if by_paper[name] != by_native[name]}
    assert differing == tested
    undefined = {score.name: score.reason for score in paper.scores if score.value is None}
    assert set(undefined) == {"straight_through_gap", "straight_through_gap_reconstruction"}
    assert "Gaussian latents have no categories" in undefined["straight_through_gap"]


def test_one_factor_leaves_undefined_in_words_what_compares_factors(
    tiny_run: Run, circles: Dataset
) -> None:
    measured = evaluate(tiny_run, OneFactor(circles), "paper", QUICK, SMALL)
    undefined = {score.name: score.reason for score in measured.scores if score.value is None}
    assert set(undefined) == {
        "modularity",
        "dci_fast_disentanglement",
        "infom",
        "factor_vae",
        "beta_vae",
    }
    assert all("one factor" in reason for reason in undefined.values())


def test_a_factor_with_one_value_is_left_out_with_a_note(tiny_run: Run, circles: Dataset) -> None:
    measured = evaluate(tiny_run, OneFactor(circles), "paper", ("mig", "mutual_information"), SMALL)
    assert measured.scores[0].note == "left out, having a single value: y; 32 images"
    assert measured.tables[0].columns == ["x"]


def test_one_latent_leaves_undefined_in_words_what_compares_latents(
    tmp_path: Path, tiny_config: RunConfig, circles: Dataset
) -> None:
    run = trained(tmp_path / "single", tiny_config, num_latents=1)
    measured = evaluate(run, circles, "native", QUICK, SMALL)
    undefined = {score.name: score.reason for score in measured.scores if score.value is None}
    assert set(undefined) == {
        "latent_information",
        "mig",
        "sap",
        "dci_fast_completeness",
        "infoc",
    }
    assert "one latent" in undefined["mig"]


def test_a_set_without_factors_is_scored_by_what_needs_none(tiny_run: Run) -> None:
    measured = evaluate(tiny_run, unlabelled(), "paper", QUICK, SMALL)
    defined = {name for name, value in values(measured, "paper").items() if value is not None}
    assert defined == {
        "latent_information",
        "kl",
        "sampled_kl",
        "active_latents",
        "reconstruction",
        "straight_through_gap",
        "straight_through_gap_reconstruction",
    }
    mig = measured.score("mig", "paper")
    assert mig is not None
    assert mig.reason == "this metric needs ground-truth factors, but unlabelled has none"


def test_fewer_points_than_categories_are_refused_in_words(
    tmp_path: Path, tiny_config: RunConfig, circles: Dataset
) -> None:
    run = trained(tmp_path / "fine", tiny_config, num_categories=64)
    settings = EvaluationSettings(points=63, test_points=10)
    (score,) = evaluate(run, circles, "native", ("mig",), settings).scores
    assert score.value is None
    assert "63 points are fewer than the 64 categories" in score.reason


def test_known_cardinalities_are_the_cells_of_each_latent(
    tmp_path: Path, tiny_config: RunConfig, circles: Dataset
) -> None:
    counts = (3, 7, 64)
    sizes: dict[str, Any] = {"num_latents": 3, "num_categories": 64, "cardinalities": counts[:2]}
    run = trained(tmp_path / "known", tiny_config, **sizes)
    measured = evaluate(run, circles, "native", QUICK, SMALL)
    # So little training may leave fewer active latents than InfoMEC sets against each other.
    unmeasured = {score.name for score in measured.scores if score.value is None}
    assert unmeasured <= {"infom", "infoc"}
    mig = measured.score("mig", "native")
    assert mig is not None
    assert mig.estimator == f"most likely category, K = 3, 7, 64; {CORRECTED}; each image once"
    usage, kl = measured.matrix("usage", "native"), measured.matrix("kl", "native")[0]
    for latent, count in enumerate(counts):
        assert usage[latent, :count].sum() == pytest.approx(1, abs=1e-5)
        assert not usage[latent, count:].any()
        assert categories_used(usage)[latent] <= count + 1e-6
        assert 0 <= kl[latent] <= np.log(count)


def test_points_suffice_where_no_latent_has_more_categories(
    tmp_path: Path, tiny_config: RunConfig, circles: Dataset
) -> None:
    sizes: dict[str, Any] = {"num_categories": 64, "cardinalities": (3, 7)}
    run = trained(tmp_path / "known", tiny_config, **sizes)
    settings = EvaluationSettings(points=63, test_points=10)
    (score,) = evaluate(run, circles, "native", ("mig",), settings).scores
    assert score.value is not None, score.reason


def test_a_diverged_model_is_refused_in_words(tiny_run: Run, circles: Dataset) -> None:
    model = tiny_run.load_model()
    model.get_parameter("encoder.hidden.weight").mul_(1e20)
    model.get_parameter("encoder.head.weight").mul_(1e30)
    tiny_run.save_model(model, tiny_run.weights_step())
    with pytest.raises(RunError, match="not finite"):
        evaluate(tiny_run, circles, "paper", ("mig", "kl"), SMALL)


def test_what_was_measured_in_the_same_way_is_skipped(tiny_run: Run, circles: Dataset) -> None:
    metrics: tuple[Metric, ...] = ("mig", "kl")
    first = evaluate(tiny_run, circles, "paper", metrics, SMALL)
    results: list[Evaluation] = []
    again = evaluate(
        tiny_run, circles, "paper", metrics, SMALL, existing=first, on_result=results.append
    )
    assert again == first
    assert results == []


@pytest.mark.parametrize("change", [{"points": 301}, {"seed": 1}])
def test_other_settings_measure_anew(
    tiny_run: Run, circles: Dataset, change: dict[str, int]
) -> None:
    first = evaluate(tiny_run, circles, "paper", ("mig",), SMALL)
    settings = SMALL.model_copy(update=change)
    (score,) = evaluate(tiny_run, circles, "paper", ("mig",), settings, existing=first).scores
    assert (score.points, score.seed) == (settings.points, settings.seed)


def test_other_weights_measure_anew(tiny_run: Run, circles: Dataset) -> None:
    first = evaluate(tiny_run, circles, "paper", ("mig",), SMALL)
    tiny_run.save_model(tiny_run.load_model(), 13)
    (score,) = evaluate(tiny_run, circles, "paper", ("mig",), SMALL, existing=first).scores
    assert score.step == 13


def test_what_no_protocol_touches_is_taken_over(tiny_run: Run, circles: Dataset) -> None:
    paper = evaluate(tiny_run, circles, "paper", ("kl", "mig"), SMALL)
    both = evaluate(tiny_run, circles, "native", ("kl", "mig"), SMALL, existing=paper)
    taken = both.score("kl", "native")
    assert taken is not None
    assert taken.model_copy(update={"protocol": "paper"}) == paper.score("kl", "paper")
    assert both.table("usage", "native") is not None
    assert both.score("mig", "paper") == paper.score("mig", "paper")
    assert both.score("mig", "native") != both.score("mig", "paper")


def test_an_interruption_keeps_what_was_finished(tiny_run: Run, circles: Dataset) -> None:
    results: list[Evaluation] = []
    measured = evaluate(
        tiny_run,
        circles,
        "paper",
        ("mig", "kl", "sap"),
        SMALL,
        on_result=results.append,
        should_stop=lambda: len(results) == 1,
    )
    assert [score.name for score in measured.scores] == ["mig"]
    assert results == [measured]


def test_progress_names_each_metric_and_ends_it_at_1(tiny_run: Run, circles: Dataset) -> None:
    told: list[EvaluationProgress] = []
    evaluate(tiny_run, circles, "paper", ("kl", "mig"), SMALL, on_progress=told.append)
    assert told[0] == EvaluationProgress("kl", 0, 2, 0.0)
    assert told[-1] == EvaluationProgress("mig", 1, 2, 1.0)
    assert EvaluationProgress("kl", 0, 2, 1.0) in told


def test_an_unknown_metric_is_refused_before_anything_is_measured(
    tiny_run: Run, circles: Dataset
) -> None:
    results: list[Evaluation] = []
    metrics: Any = ("mig", "fid")
    with pytest.raises(EvaluationError, match="no metric is called 'fid': there are"):
        evaluate(tiny_run, circles, "paper", metrics, SMALL, on_result=results.append)
    assert results == []


def test_images_of_another_size_are_refused(tiny_run: Run) -> None:
    with pytest.raises(EvaluationError, match=r"made for \(1, 32, 32\)"):
        evaluate(tiny_run, load_dataset("circles", image_size=64), "paper", ("mig",), SMALL)


def test_a_run_without_weights_is_refused(
    tmp_path: Path, tiny_config: RunConfig, circles: Dataset
) -> None:
    run = Run.create(tmp_path / "new", tiny_config, (1, 32, 32))
    with pytest.raises(RunError, match=r"model\.safetensors is missing"):
        evaluate(run, circles, "paper", ("mig",), SMALL)


def test_importing_the_package_leaves_the_classifiers_for_later() -> None:
    code = "import sys, dvae_core.evaluation; sys.exit('sklearn' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("latents", get_args(FamilyName))
def test_the_metrics_that_the_protocols_share_have_one_estimator(
    tmp_path: Path, tiny_config: RunConfig, circles: Dataset, latents: FamilyName
) -> None:
    """A result is reused where the estimator is the same; a study takes the other protocol's where
    the metric says that it does not depend on the protocol."""
    run = trained(tmp_path / "run", tiny_config, latents=latents, steps=1)
    of_both = [
        EvaluationInputs(run, circles, protocol, SMALL, None) for protocol in get_args(ProtocolName)
    ]
    for metric, spec in METRIC_SPECS.items():
        estimators = {spec.estimator(inputs) for inputs in of_both}
        if not spec.depends_on_protocol:
            assert len(estimators) == 1, metric
        elif latents != "gaussian":
            assert len(estimators) == 2, metric
