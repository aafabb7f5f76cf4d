from pathlib import Path

import numpy as np
import pytest
import torch

from dvae_core.analysis.traversal import to_pixels
from dvae_core.config import RunConfig
from dvae_core.data import load_dataset
from dvae_core.data.procedural.circles import Circles
from dvae_core.errors import TrainingError
from dvae_core.evaluation.information import mutual_information_matrix
from dvae_core.evaluation.latent_statistics import latent_statistics
from dvae_core.evaluation.metrics.mig import mig
from dvae_core.evaluation.metrics.straight_through_gap import straight_through_gap
from dvae_core.evaluation.representation import encode_points
from dvae_core.runs.run import Run
from dvae_core.training import snapshots
from dvae_core.training.snapshots import (
    GAP_BATCHES,
    MAX_KEPT,
    POINTS,
    SEED,
    kept_steps,
    scheduled_steps,
    take_snapshot,
)
from dvae_core.training.trainer import Training, TrainingProgress, train
from tests.stopping import stop_after

CPU = torch.device("cpu")
DETERMINISTIC = ("step", "loss", "reconstruction", "kl", "noise_scale")


@pytest.fixture
def seen_config(tiny_config: RunConfig, monkeypatch: pytest.MonkeyPatch) -> RunConfig:
    """A config that is looked at every third step, quickly."""
    monkeypatch.setattr(snapshots, "POINTS", 64)
    monkeypatch.setattr(snapshots, "GAP_BATCHES", 1)
    return tiny_config.model_copy(update={"snapshot_every": 3})


def new_run(folder: Path, config: RunConfig) -> Run:
    return Run.create(folder, config, (1, 32, 32))


def contents(run: Run) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (run.path / "snapshots").iterdir()}


def bits(run: Run) -> dict[str, bytes]:
    """The saved state, but for the time that it took, and the weights."""
    state = run.load_trainer_state(Training(run.record, Circles(32), CPU).state())
    state.pop("seconds")
    model = (run.path / "model.safetensors").read_bytes()
    return {"model": model} | {key: tensor.numpy().tobytes() for key, tensor in state.items()}


# When


@pytest.mark.parametrize("every", [1, 200, 1_000])
def test_steps_come_often_at_first_and_seldom_later(every: int) -> None:
    steps = scheduled_steps(every, 300_000)
    gaps = np.diff(steps)
    assert steps[0] == 0
    assert gaps[0] == every
    assert (np.diff(gaps) >= 0).all()
    late = np.array(steps[:-1]) >= 100 * every
    np.testing.assert_array_equal(gaps[late], np.array(steps[:-1])[late] // 100)
    assert (gaps[~late] == every).all()


def test_a_longer_training_is_looked_at_the_same_steps_and_more() -> None:
    short, long = scheduled_steps(200, 30_000), scheduled_steps(200, 300_000)
    assert long[: len(short)] == short


def test_none_are_taken_where_none_are_wanted() -> None:
    assert scheduled_steps(0, 1_000) == []


# Which


@pytest.mark.parametrize("every", [1, 7])
def test_what_is_kept_is_bounded_and_never_comes_back(every: int) -> None:
    scheduled = scheduled_steps(every, 2_000)
    there: set[int] = set()
    for step in scheduled:
        kept = kept_steps(scheduled, step)
        assert kept <= there | {step}
        assert {0, step} <= kept
        assert len(kept) <= MAX_KEPT + 1
        there = kept
    assert len(there) > MAX_KEPT / 2


def test_what_is_kept_lies_evenly() -> None:
    scheduled = scheduled_steps(100, 9_900)  # 100 steps, evenly
    kept = sorted(kept_steps(scheduled, 9_900))
    assert kept == [*range(0, 9_900, 400), 9_900]


# What


@pytest.mark.parametrize("latents", ["categorical", "gaussian"])
@pytest.mark.parametrize("objective", ["elbo", "factor"])
def test_scores_are_those_of_an_evaluation(
    tmp_path: Path, tiny_config: RunConfig, latents: str, objective: str
) -> None:
    config = tiny_config.model_copy(
        update={"latents": latents, "objective": objective, "snapshot_every": 1_000}
    )
    run = new_run(tmp_path / "run", config)
    train(run)
    dataset, model = Circles(32), run.load_model()
    points = encode_points(model, dataset, POINTS, SEED)
    statistics = latent_statistics(model, dataset, POINTS, SEED)
    row, snapshot = run.scores.read()[-1], run.read_snapshot(12)
    assert row["mig"] == mig(points.codes, points.factors)
    assert row["points"] == POINTS
    assert row["active_latents"] == statistics.active.sum()
    np.testing.assert_allclose(snapshot.kl, statistics.kl, rtol=1e-5)
    information = mutual_information_matrix(points.codes, points.factors)
    np.testing.assert_allclose(snapshot.information, information, rtol=1e-6)
    assert snapshot.factor_names == ("x", "y")
    if latents == "gaussian":
        assert not row.keys() & {"straight_through_gap", "gap_points"}
    else:
        gap = straight_through_gap(run, dataset, SEED, num_batches=GAP_BATCHES)
        assert row["straight_through_gap"] == pytest.approx(gap.total, rel=1e-6)
        expected = pytest.approx(gap.reconstruction, rel=1e-6)
        assert row["straight_through_gap_reconstruction"] == expected
        assert row["gap_points"] == 64 * GAP_BATCHES


def test_images_are_the_same_for_every_run_and_drawn_as_they_are(seen_config: RunConfig) -> None:
    dataset = Circles(32)
    seen = []
    for seed in (0, 1):
        training = Training(seen_config.model_copy(update={"seed": seed}), dataset, CPU)
        seen.append(
            take_snapshot(training.model, training.objective, training.regularizers, dataset, 0)[0]
        )
        with torch.inference_mode():
            originals = torch.from_numpy(seen[-1].images).movedim(-1, 1) / 255
            codes = training.model.encode(originals).mean_code()
            decoded = to_pixels(training.model.decode_images(codes))
            start = codes[:1].repeat(len(seen[-1].values[0]), 1)
            start[:, seen[-1].latents[0]] = torch.from_numpy(seen[-1].values[0])
            slid = to_pixels(training.model.decode_images(start))
        # The originals were rounded to whole grey values.
        assert np.abs(decoded.astype(int) - seen[-1].reconstructions).max() <= 1
        assert np.abs(slid.astype(int) - seen[-1].traversals[0]).max() <= 1
    np.testing.assert_array_equal(seen[0].images, seen[1].images)
    assert not np.array_equal(seen[0].reconstructions, seen[1].reconstructions)
    assert len(np.unique(seen[0].images, axis=0)) > 4


def test_the_busiest_latents_are_traversed_first(seen_config: RunConfig) -> None:
    config = seen_config.model_copy(update={"num_latents": 7})
    training = Training(config, Circles(32), CPU)
    snapshot, _ = take_snapshot(
        training.model, training.objective, training.regularizers, training.dataset, 0
    )
    assert len(snapshot.latents) == 5
    by_kl = sorted(range(7), key=lambda latent: -snapshot.kl[latent])
    assert list(snapshot.latents) == by_kl[:5]


def test_a_latent_of_few_categories_has_a_short_row(seen_config: RunConfig) -> None:
    config = RunConfig(**(seen_config.model_dump() | {"num_categories": 12, "cardinalities": (3,)}))
    training = Training(config, Circles(32), CPU)
    snapshot, _ = take_snapshot(
        training.model, training.objective, training.regularizers, training.dataset, 0
    )
    lengths = {
        latent: len(row) for latent, row in zip(snapshot.latents, snapshot.values, strict=True)
    }
    assert lengths == {0: 3, 1: 9}


def test_one_latent_has_no_mig_and_a_set_without_factors_no_matrix(
    tmp_path: Path, seen_config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    lone = Training(seen_config.model_copy(update={"num_latents": 1}), Circles(32), CPU)
    snapshot, scores = take_snapshot(lone.model, lone.objective, lone.regularizers, lone.dataset, 5)
    assert "mig" not in scores
    assert snapshot.information.shape == (1, 2)
    unlabelled = load_dataset("digits", 32)
    unlabelled.factor_names, unlabelled.factor_sizes = (), ()
    monkeypatch.setattr(
        unlabelled, "sample_images", lambda count, generator: torch.zeros(count, 1, 32, 32)
    )
    plain = Training(seen_config, unlabelled, CPU)
    snapshot, scores = take_snapshot(
        plain.model, plain.objective, plain.regularizers, unlabelled, 5
    )
    assert "mig" not in scores
    assert (snapshot.information.shape, snapshot.factor_names) == ((2, 0), ())
    run = new_run(tmp_path / "run", seen_config)
    run.write_snapshot(snapshot)
    assert run.read_snapshot(5).factor_names == ()


# In the course of a training


@pytest.mark.parametrize("objective", ["elbo", "factor"])
def test_looking_changes_nothing(tmp_path: Path, seen_config: RunConfig, objective: str) -> None:
    config = seen_config.model_copy(update={"objective": objective})
    seen = new_run(tmp_path / "a", config)
    blind = new_run(tmp_path / "b", config.model_copy(update={"snapshot_every": 0}))
    train(seen)
    train(blind)
    assert seen.snapshot_steps() == [0, 3, 6, 9, 12]
    assert blind.snapshot_steps() == []
    assert bits(seen) == bits(blind)
    for row, other in zip(seen.metrics.read(), blind.metrics.read(), strict=True):
        assert [row[name] for name in DETERMINISTIC] == [other[name] for name in DETERMINISTIC]


def test_a_resumed_run_sees_the_same(tmp_path: Path, seen_config: RunConfig) -> None:
    whole = new_run(tmp_path / "whole", seen_config)
    train(whole)
    for stop_at in (1, 6, 7, 12):
        parts = new_run(tmp_path / f"parts-{stop_at}", seen_config)
        train(parts, should_stop=stop_after(stop_at))
        # It continued, and died before it saved.
        parts.write_snapshot(whole.read_snapshot(9))
        parts.scores.append({"step": 13, "mig": 0.0})
        train(Run(parts.path))
        assert contents(parts) == contents(whole)
        assert parts.scores.read() == whole.scores.read()


def test_a_run_that_died_before_it_looked_looks_when_it_goes_on(
    tmp_path: Path, seen_config: RunConfig
) -> None:
    run = new_run(tmp_path / "run", seen_config)
    train(run)
    scores, files = run.scores.read(), contents(run)
    run.remove_snapshots([12])
    run.scores.truncate(9)
    train(run)
    assert (run.scores.read(), contents(run)) == (scores, files)


def test_old_snapshots_are_thinned_out(
    tmp_path: Path, seen_config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshots, "MAX_KEPT", 4)
    config = seen_config.model_copy(update={"snapshot_every": 1})
    counts = []
    run = new_run(tmp_path / "run", config)
    train(run, on_progress=lambda progress: counts.append(len(run.snapshot_steps())))
    assert max(counts) <= 5
    assert run.snapshot_steps() == [0, 4, 8, 12]
    assert [row["step"] for row in run.scores.read()] == list(range(13))


def test_a_model_that_diverged_ends_the_training(
    tmp_path: Path, seen_config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    sound = Training.advance

    def diverging(self: Training) -> None:
        sound(self)
        if self.step == 5:
            with torch.no_grad():
                self.model.get_parameter("encoder.head.bias")[0] = float("nan")
            self.check_finite = lambda: None  # type: ignore[method-assign]

    monkeypatch.setattr(Training, "advance", diverging)
    run = new_run(tmp_path / "run", seen_config)
    with pytest.raises(TrainingError, match=r"at step 6: .* not finite"):
        train(run)
    assert run.status().diverged
    assert run.snapshot_steps() == [0, 3]


@pytest.mark.parametrize("name", ["rooms", "color_sprites"])
def test_sets_of_every_kind_are_looked_at_between_two_steps(
    tmp_path: Path, seen_config: RunConfig, name: str
) -> None:
    config = seen_config.model_copy(update={"dataset": name, "steps": 4})
    run = Run.create(tmp_path / "run", config, (3, 32, 32))
    train(run)
    assert run.read_snapshot(4).images.shape == (8, 32, 32, 3)


def test_memory_is_logged(tmp_path: Path, tiny_config: RunConfig) -> None:
    run = new_run(tmp_path / "run", tiny_config)
    seen: list[TrainingProgress] = []
    train(run, on_progress=seen.append)
    assert all(10 < row["memory_mb"] < 100_000 for row in run.metrics.read())
    assert seen[-1].metrics == run.metrics.read()[-1]
