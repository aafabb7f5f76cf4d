from collections.abc import Callable
from pathlib import Path

import pytest

from dvae_core.errors import RunError
from dvae_core.sweep import engine
from dvae_core.sweep.engine import Outcome, SweepProgress, run_tasks
from dvae_core.sweep.plan import Sweep
from dvae_core.sweep.survey import Task, survey

MakeSweep = Callable[..., Sweep]


class FakeWork:
    def __init__(self, task: Task, machine: "FakeEngine") -> None:
        self.task = task
        self.machine = machine
        self.polls = 0
        task.open()

    def poll(self) -> Outcome | None:
        self.polls += 1
        if self.polls < 3:
            return None
        if self.machine.reasons.get(self.task.run.id) == "deleted":
            raise RunError("deleted")
        self.machine.working.remove(self)
        return Outcome(self.task.run.id, self.machine.reasons.get(self.task.run.id, ""))

    def stop(self) -> None:
        self.machine.working.remove(self)
        self.machine.stopped.append(self.task.run.id)


class FakeEngine:
    """Room for two runs, each of which takes three looks."""

    def __init__(self, reasons: dict[str, str]) -> None:
        self.reasons = reasons
        self.working: list[FakeWork] = []
        self.started: list[str] = []
        self.stopped: list[str] = []
        self.most = 0

    def start(self, task: Task) -> FakeWork | None:
        if len(self.working) == 2:
            return None
        if self.reasons.get(task.run.id) == "refused":
            raise RunError("refused")
        self.working.append(FakeWork(task, self))
        self.started.append(task.run.id)
        self.most = max(self.most, len(self.working))
        return self.working[-1]


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "POLL_SECONDS", 0.0)


def test_all_tasks_are_done_once_within_the_room_that_there_is(
    tiny_sweep: MakeSweep, tmp_path: Path
) -> None:
    machine = FakeEngine({})
    tasks = survey(tiny_sweep(seeds=3), tmp_path).tasks
    outcomes = run_tasks(tasks, machine)
    assert machine.started == [task.run.id for task in tasks]
    assert sorted(machine.started) == sorted(outcome.run_id for outcome in outcomes)
    assert machine.most == 2


def test_what_fails_is_noted_and_the_rest_goes_on(tiny_sweep: MakeSweep, tmp_path: Path) -> None:
    reasons = {
        "gaussian_seed-0": "refused",
        "categorical_seed-0": "broke",
        "gaussian_seed-1": "deleted",
    }
    outcomes = run_tasks(survey(tiny_sweep(), tmp_path).tasks, FakeEngine(reasons))
    found = {outcome.run_id: outcome.reason for outcome in outcomes}
    assert found == {**reasons, "categorical_seed-1": ""}


def test_when_asked_to_stop_all_work_is_stopped_and_no_more_begun(
    tiny_sweep: MakeSweep, tmp_path: Path
) -> None:
    machine = FakeEngine({})
    looks = iter([False, True])
    run_tasks(survey(tiny_sweep(), tmp_path).tasks, machine, should_stop=lambda: next(looks))
    assert sorted(machine.stopped) == sorted(machine.started)
    assert len(machine.started) == 2


def test_progress_counts_the_steps_of_runs_that_ended(
    tiny_sweep: MakeSweep, tmp_path: Path
) -> None:
    seen: list[SweepProgress] = []
    run_tasks(survey(tiny_sweep(), tmp_path).tasks, FakeEngine({}), seen.append)
    assert (seen[0].steps, seen[0].total_steps) == (0, 48)
    assert seen[-1].steps == 48
    assert [progress.steps for progress in seen] == sorted(progress.steps for progress in seen)
