"""What checkpoints/ promises to whoever opens the app from a fresh clone."""

from pathlib import Path
from typing import get_args

import pytest

from benchmarks.shipped import pack
from dvae_core.analysis.latent_profile import latent_profile
from dvae_core.config import RunConfig
from dvae_core.data import load_dataset
from dvae_core.errors import RunError
from dvae_core.evaluation.catalog import metrics_named
from dvae_core.evaluation.protocol import evaluate
from dvae_core.evaluation.results import EvaluationSettings, ProtocolName, read_evaluation
from dvae_core.runs.catalog import SHIPPED_ROOT, list_runs
from dvae_core.runs.run import Run, State
from dvae_core.training.trainer import train
from tests.stopping import stop_after
from ui.run_picker import OPENING_RUN

SHIPPED = list_runs(SHIPPED_ROOT)
FILES = {"config.json", "status.json", "evaluation.json", "model.safetensors", "metrics.jsonl"}


@pytest.mark.parametrize("run", SHIPPED, ids=lambda run: run.id)
def test_a_shipped_run_is_finished_and_measured_in_both_protocols(run: Run) -> None:
    assert run.problem() is None
    assert run.state() is State.FINISHED
    evaluation = read_evaluation(run)
    for protocol in get_args(ProtocolName):
        for name in ("mig", "modularity", "sap", "dci_fast_disentanglement", "infom"):
            score = evaluation.score(name, protocol)
            assert score is not None, (name, protocol)
            assert score.step == run.status().step
        gap = evaluation.score("straight_through_gap", protocol)
        assert gap is not None
        assert (gap.value is None) == (run.record.latents == "gaussian")


@pytest.mark.parametrize("run", SHIPPED, ids=lambda run: run.id)
def test_a_shipped_run_holds_no_more_than_it_needs(run: Run) -> None:
    assert {path.name for path in run.path.iterdir()} - {"scores.jsonl"} == FILES
    assert len(run.metrics.read()) <= 200


def test_all_of_them_are_small() -> None:
    sizes = [path.stat().st_size for path in SHIPPED_ROOT.rglob("*") if path.is_file()]
    assert sum(sizes) < 40e6


def test_the_app_opens_on_a_run_with_much_to_slide() -> None:
    root, _, name = OPENING_RUN.partition("/")
    assert root == SHIPPED_ROOT.name
    run = Run(SHIPPED_ROOT / name)
    dataset = load_dataset(run.record.dataset, run.record.image_size)
    assert latent_profile(run.load_model(), dataset).active.sum() >= 5


def test_a_run_is_packed_when_it_is_finished_and_measured(
    tmp_path: Path, tiny_config: RunConfig
) -> None:
    config = RunConfig(**(tiny_config.model_dump() | {"objective": "factor", "log_every": 1}))
    run, target = Run.create(tmp_path / "small", config, (1, 32, 32)), tmp_path / "packed"
    train(run, should_stop=stop_after(2))
    with pytest.raises(RunError, match="is stopped: only a finished run is shipped"):
        pack(run, target)
    train(run)
    with pytest.raises(RunError, match="lacks mig of the paper protocol: evaluate it"):
        pack(run, target)
    assert not target.exists()
    settings = EvaluationSettings(points=200, test_points=100, gap_batches=1)
    metrics = metrics_named("mig,modularity,sap,dci_fast,infomec,straight_through_gap")
    dataset = load_dataset(config.dataset, config.image_size)
    for protocol in get_args(ProtocolName):
        known = read_evaluation(run)
        evaluation = evaluate(run, dataset, protocol, metrics, settings, existing=known)
        run.write_evaluation(evaluation.model_dump(mode="json"))
    pack(run, target)
    names = {path.name for path in target.iterdir()}
    assert names - {"scores.jsonl"} == FILES
    assert Run(target).metrics.read()[-1] == run.metrics.read()[-1]
    assert Run(target).state() is State.FINISHED
