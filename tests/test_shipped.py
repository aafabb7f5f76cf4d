"""What checkpoints/ promises to whoever opens the app from a fresh clone."""

from typing import get_args

import pytest

from dvae_core.data import load_dataset
from dvae_core.evaluation import read_evaluation
from dvae_core.evaluation.latent_profile import latent_profile
from dvae_core.evaluation.results import ProtocolName
from dvae_core.run import SHIPPED_ROOT, Run, State, list_runs
from ui.runs import OPENING_RUN

SHIPPED = list_runs(SHIPPED_ROOT)


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
    allowed = {"config.json", "status.json", "evaluation.json", "model.safetensors"}
    assert {path.name for path in run.path.iterdir()} <= allowed | {"metrics.jsonl", "scores.jsonl"}
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
