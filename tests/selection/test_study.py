import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dvae_core.config import WATCHING, RunConfig
from dvae_core.errors import RunError
from dvae_core.models.vae import build_model
from dvae_core.runs.run import Run, State, Status
from dvae_core.selection import study as study_module
from dvae_core.selection.study import (
    GAP,
    SETTINGS,
    Study,
    StudyReader,
    count_parameters,
    group_runs,
    read_study,
)
from dvae_core.system.processes import ProcessIdentity
from tests.selection.planted import changed, planted_run

SCORES = {"mig": 0.5, "straight_through_gap": 2.0, "straight_through_gap_reconstruction": 1.5}


@pytest.fixture
def folder(tmp_path: Path, tiny_config: RunConfig) -> Path:
    """Two families, two seeds; K differs between the categorical ones."""
    folder = tmp_path / "study"
    for seed in range(2):
        categorical = changed(tiny_config, seed=seed, num_categories=4 * 2**seed)
        planted_run(
            folder / f"categorical-{seed}",
            categorical,
            SCORES,
            tables={"usage": [[0.5, 0.5], [1, 0]]},
        )
        gaussian = changed(tiny_config, seed=seed, latents="gaussian", num_categories=512)
        planted_run(
            folder / f"gaussian-{seed}", gaussian, {"mig": 0.1, "straight_through_gap": None}
        )
    return folder


def test_runs_come_with_settings_scores_and_cost(folder: Path) -> None:
    run = read_study(folder, "paper").runs[0]
    assert (run.id, run.state, run.steps) == ("categorical-0", State.FINISHED, 12)
    assert run.settings["dataset"] == "circles"
    assert run.score("mig", "paper") == 0.5
    assert run.seconds_per_step == 0.5
    assert run.categories_used == pytest.approx(1.5)  # two of two, and one


def test_a_setting_varies_only_between_runs_that_have_it(folder: Path) -> None:
    assert read_study(folder, "paper").varying == ("latents", "num_categories", "seed")
    for seed in range(2):
        (folder / f"categorical-{seed}").rename(folder.parent / f"moved-{seed}")
    assert read_study(folder, "paper").varying == ("seed",)


def test_groups_are_named_after_their_settings(folder: Path) -> None:
    groups = read_study(folder, "paper").groups(["dataset", "latents", "num_categories"])
    assert {name: [run.id for run in runs] for name, runs in groups.items()} == {
        "circles · categorical · num_categories 4": ["categorical-0"],
        "circles · categorical · num_categories 8": ["categorical-1"],
        "circles · gaussian": ["gaussian-0", "gaussian-1"],
    }
    assert list(read_study(folder, "paper").groups([])) == ["all runs"]


def test_a_filter_keeps_the_runs_of_the_wanted_values(folder: Path) -> None:
    kept = read_study(folder, "paper").filtered({"latents": ["gaussian"], "seed": [1, 2]})
    assert [run.id for run in kept.runs] == ["gaussian-1"]


def test_an_undefined_gap_is_no_score(folder: Path) -> None:
    study = read_study(folder, "paper")
    assert study.runs[2].score("straight_through_gap", "paper") is None
    assert study.score_names == ("mig",)
    assert study.gap_names == ("straight_through_gap", "straight_through_gap_reconstruction")


def reason(study: Study, run_id: str) -> str:
    assert run_id not in [run.id for run in study.counted]
    return study.left_out[run_id]


@pytest.mark.parametrize("state", [State.STOPPED, State.FAILED, State.QUEUED])
def test_a_run_that_is_not_finished_is_left_out(
    folder: Path, tiny_config: RunConfig, state: State
) -> None:
    planted_run(folder / "other", tiny_config, SCORES, state=state)
    assert reason(read_study(folder, "paper"), "other") == f"{state} at step 12 of 12"


def test_a_run_without_scores_says_which_command_measures_it(
    folder: Path, tiny_config: RunConfig
) -> None:
    planted_run(folder / "bare", tiny_config, {})
    said = reason(read_study(folder, "paper"), "bare")
    assert f"python -m dvae_core evaluate {folder / 'bare'} --protocol paper" in said


def test_scores_of_another_protocol_do_not_count_but_for_the_gap(
    folder: Path, tiny_config: RunConfig
) -> None:
    run = read_study(folder, "native").runs[0]
    assert "no scores under the protocol native" in run.left_out("native")
    assert run.score("mig", "native") is None
    assert run.score("straight_through_gap", "native") == 2.0


def test_what_does_not_depend_on_the_protocol_counts_under_both(
    tmp_path: Path, tiny_config: RunConfig
) -> None:
    scores: dict[str, float | None] = {"kl": 3.0, "reconstruction": 20.0, "mig": 0.5}
    planted_run(tmp_path / "one", tiny_config, scores, protocol="native")
    run = read_study(tmp_path, "paper").runs[0]
    found = {name: run.score(name, "paper") for name in scores}
    assert found == {"kl": 3.0, "reconstruction": 20.0, "mig": None}


def test_groups_differ_by_all_digits_and_not_by_what_has_no_effect(
    tmp_path: Path, tiny_config: RunConfig
) -> None:
    changes: list[dict[str, Any]] = [
        {"seed": 1234567},
        {"seed": 1234568},
        {"seed": 1234567, "cardinalities": (3, 5)},
    ]
    for place, change in enumerate(changes):
        planted_run(tmp_path / f"run-{place}", changed(tiny_config, **change), SCORES)
    study = read_study(tmp_path, "paper")
    assert list(study.groups(["seed"])) == ["seed 1234567", "seed 1234568"]
    assert list(study.groups(["latents", "cardinalities"])) == ["categorical", "categorical · 3 5"]
    assert list(study.groups(["latents", "weight_decay"])) == ["categorical"]


def test_scores_of_earlier_weights_are_left_out(folder: Path, tiny_config: RunConfig) -> None:
    planted_run(folder / "stale", tiny_config, SCORES, score_step=8)
    said = reason(read_study(folder, "paper"), "stale")
    assert "of step 8" in said
    assert "of step 12" in said


@pytest.mark.parametrize("name", ["config.json", "status.json", "evaluation.json"])
@pytest.mark.parametrize("content", ["", "{", "[]", '{"scores": 1}'])
def test_a_damaged_run_is_listed_with_what_is_wrong(folder: Path, name: str, content: str) -> None:
    (folder / "gaussian-0" / name).write_text(content)
    study = read_study(folder, "paper")
    assert len(study.runs) == 4
    assert name in reason(study, "gaussian-0")


def test_a_folder_without_runs_is_refused(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(RunError, match="holds no runs"):
            read_study(folder, "paper")


def test_only_changed_runs_are_read_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    original = study_module.read_study_run

    def counting(run: Run) -> study_module.StudyRun:
        read.append(run.id)
        return original(run)

    monkeypatch.setattr(study_module, "read_study_run", counting)
    reader, runs = StudyReader(), [Run(path) for path in sorted(folder.iterdir())]
    first = reader.read(runs, "paper")
    assert reader.read(runs, "paper") == first
    assert len(read) == 4
    evaluation = folder / "gaussian-1" / "evaluation.json"
    evaluation.write_text(evaluation.read_text().replace("0.1", "0.7"))
    os.utime(evaluation, ns=(1, 1))  # a clock may be coarser than this test
    assert reader.read(runs, "paper").runs[3].score("mig", "paper") == 0.7
    assert read[4:] == ["gaussian-1"]


def test_a_running_run_is_read_again_since_it_may_have_died(
    folder: Path, tiny_config: RunConfig
) -> None:
    run = planted_run(folder / "busy", tiny_config, {})
    process = ProcessIdentity.current()
    status = Status(state=State.RUNNING, steps=12, process=process)
    run.write_status(status)
    reader = StudyReader()
    assert reader.read([run], "paper").runs[0].state is State.RUNNING
    modified_at = run.path / "status.json"
    times = modified_at.stat()
    another = ProcessIdentity(pid=process.pid, birth="another boot")
    run.write_status(status.model_copy(update={"process": another}))
    os.utime(modified_at, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert reader.read([run], "paper").runs[0].state is State.LOST


def test_parameters_are_those_of_the_built_model(tiny_config: RunConfig) -> None:
    for latents in ("categorical", "gaussian"):
        config = changed(tiny_config, latents=latents)
        model = build_model(config, (1, 32, 32))
        assert count_parameters(config, (1, 32, 32)) == sum(p.numel() for p in model.parameters())


def test_ways_of_measuring_are_counted(folder: Path) -> None:
    assert read_study(folder, "paper").ways_measured("mig") == [
        "mig as planted · 10,000 points (4 runs)"
    ]


def test_runs_that_sample_differently_are_not_pooled(folder: Path, tiny_config: RunConfig) -> None:
    usual = ("dataset", "latents", "objective")
    assert read_study(folder, "paper").default_groups == usual
    planted_run(folder / "noisy", changed(tiny_config, noise_scale_end=1.0), SCORES)
    assert read_study(folder, "paper").default_groups == (*usual, "noise_scale_end")


def test_every_setting_that_a_run_learns_by_can_tell_runs_apart() -> None:
    assert set(SETTINGS) == set(RunConfig.model_fields) - WATCHING


def test_runs_with_other_penalties_are_not_pooled(folder: Path, tiny_config: RunConfig) -> None:
    for seed in range(2):
        config = changed(tiny_config, latents="fsq", seed=seed)
        planted_run(folder / f"fsq-{seed}", config, {"mig": 0.2, GAP: None})
        tripod = changed(config, hessian_weight=2.0)
        planted_run(folder / f"tripod-{seed}", tripod, {"mig": 0.3, GAP: None})
        decayed = changed(config, weight_decay=0.1)
        planted_run(folder / f"decayed-{seed}", decayed, {"mig": 0.4, GAP: None})
    study = read_study(folder, "paper")
    groups = study.groups(study.default_groups)
    assert {name: len(runs) for name, runs in groups.items() if "fsq" in name} == {
        "circles · fsq · elbo": 2,
        "circles · fsq · elbo · hessian_weight 2": 2,
        "circles · fsq · elbo · weight_decay 0.1": 2,
    }
    assert list(study.groups(["weight_decay"])) == ["weight_decay 0", "weight_decay 0.1"]


def test_no_run_is_lost_where_a_penalty_of_0_is_not_named(folder: Path) -> None:
    runs = [
        replace(run, settings={**run.settings, "weight_decay": None})
        for run in read_study(folder, "paper").runs
    ]
    groups = group_runs([*read_study(folder, "paper").runs, *runs], ["latents", "weight_decay"])
    assert {name: len(found) for name, found in groups.items()} == {"categorical": 4, "gaussian": 4}
