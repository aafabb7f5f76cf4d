import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from dvae_core.errors import ConfigError, RunError
from dvae_core.jobs import (
    advance_queue,
    find_training,
    job,
    queue_root,
    queue_training,
    set_trainings_at_once,
    stop_training,
    trainings_at_once,
)
from dvae_core.runs.run import Run, State, Status
from dvae_core.system.processes import ProcessIdentity
from tests.jobs.conftest import MakeRun, pid_of, wait_until

# What an app does, without a browser: it lines runs up, looks now and then, and is gone.
APP = """
import sys
from pathlib import Path
from dvae_core.errors import RunError
from dvae_core.jobs import advance_queue, queue_training
from dvae_core.runs.run import Run
root, looks, *names = sys.argv[1:]
input()
for name in names:
    try:
        queue_training(Run(Path(root) / name))
    except RunError as error:
        print(error)
    else:
        print("queued")
for _ in range(int(looks)):
    advance_queue(Path(root))
"""


def start_app(root: Path, looks: int, *names: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", APP, str(root), str(looks), *names]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


@pytest.fixture
def sleepers(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """In place of trainings, processes that do nothing for a minute."""
    started: list[subprocess.Popen[bytes]] = []

    def spawn(*arguments: object) -> "subprocess.Popen[bytes]":
        started.append(subprocess.Popen(["sleep", "60"], start_new_session=True))
        return started[-1]

    monkeypatch.setattr(job, "_spawn", spawn)
    yield
    for process in started:
        process.kill()
        process.wait()


def test_the_queue_moves_with_nobody_watching(root: Path, make_run: MakeRun) -> None:
    # Long enough to be seen running on a busy machine.
    first, second, third = (make_run(name, steps=150) for name in ("first", "second", "third"))
    app = start_app(root, 0, "third", "first", "second")
    assert app.communicate("\n")[0].split() == ["queued"] * 3
    # Their order is that of being queued; that of the names would be another one.
    seen: list[str] = []

    def all_finished() -> bool:
        states = {run.id: run.state() for run in (first, second, third)}
        running = [name for name, state in states.items() if state is State.RUNNING]
        assert len(running) <= 1
        seen.extend(name for name in running if name not in seen)
        return set(states.values()) == {State.FINISHED}

    wait_until(all_finished)
    assert seen == ["third", "first", "second"]
    assert first.load_model() is not None


def test_two_apps_on_one_folder_agree(root: Path, make_run: MakeRun) -> None:
    runs = [make_run(name) for name in ("a", "b", "c")]
    # Both are asked for the same runs at once, and then look at the queue all the time.
    apps = [start_app(root, 300, "a", "b", "c") for _ in range(2)]
    for app in apps:
        assert app.stdin is not None
        app.stdin.write("\n")
        app.stdin.flush()

    def all_finished() -> bool:
        states = [run.state() for run in runs]
        assert states.count(State.RUNNING) <= 1
        return set(states) == {State.FINISHED}

    wait_until(all_finished)
    answers = [app.communicate()[0].splitlines() for app in apps]
    for clicks in zip(*answers, strict=True):
        assert sorted(clicks)[-1] == "queued"
        assert sum(click == "queued" for click in clicks) == 1
    for run in runs:
        assert [row["step"] for row in run.metrics.read()] == [4, 8, 12]


def test_a_training_is_stopped_the_next_one_starts_and_the_first_goes_on_later(
    make_run: MakeRun,
) -> None:
    first, second = make_run("first", endless=True), make_run("second", endless=True)
    queue_training(first)
    queue_training(second)
    assert (first.state(), second.state()) == (State.RUNNING, State.QUEUED)
    with pytest.raises(RunError, match="is already being trained"):
        queue_training(first)
    with pytest.raises(RunError, match="is already in the queue"):
        queue_training(second)
    wait_until(lambda: first.status().step > 0)
    stop_training(first)
    reached = first.status().step
    assert first.state() is State.STOPPED
    assert reached > 0
    assert first.has_trainer_state
    wait_until(lambda: second.state() is State.RUNNING)
    queue_training(first)
    assert find_training(first).position == 1
    stop_training(second)
    wait_until(lambda: first.status().step > reached)
    assert first.metrics.read()[0]["step"] == 250  # continued, not begun again


def test_a_killed_trainer_is_lost_and_whoever_looks_next_moves_the_queue(
    root: Path, make_run: MakeRun
) -> None:
    killed, waiting = make_run("killed", endless=True), make_run("waiting", endless=True)
    queue_training(killed)
    queue_training(waiting)
    wait_until(lambda: killed.has_trainer_state)
    os.kill(pid_of(killed), signal.SIGKILL)
    wait_until(lambda: killed.state() is State.LOST)
    assert waiting.state() is State.QUEUED
    advance_queue(root)
    assert waiting.state() is State.RUNNING
    queue_training(killed)
    assert find_training(killed).position == 1


def test_a_training_that_fails_says_why_and_the_next_one_starts(make_run: MakeRun) -> None:
    failing, after = make_run("failing", dataset="mpi3d_real"), make_run("after")
    queue_training(failing)
    queue_training(after)
    wait_until(lambda: after.state() is State.FINISHED)
    assert failing.state() is State.FAILED
    assert "mpi3d_real" in find_training(failing).message


def test_a_trainer_that_died_before_it_began_says_why(
    make_run: MakeRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run("broken")
    interpreter = tmp_path / "python"
    interpreter.write_text("#!/bin/sh\necho it was moved away\nexit 1\n")
    interpreter.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(interpreter))
    queue_training(run)
    wait_until(lambda: run.state() is State.LOST)
    assert find_training(run).message == "it was moved away"


def test_a_trainer_that_hears_nothing_is_killed_after_the_grace(make_run: MakeRun) -> None:
    run = make_run("deaf", endless=True)
    queue_training(run)
    wait_until(lambda: run.status().step > 0)
    pid = pid_of(run)
    os.kill(pid, signal.SIGSTOP)
    stop_training(run, grace_seconds=0.2)
    assert run.state() is State.STOPPED
    wait_until(lambda: not psutil.pid_exists(pid))  # once it is reaped
    assert not run.stop_requested


def test_a_training_stopped_while_it_starts_is_stopped(make_run: MakeRun) -> None:
    run = make_run("hasty", endless=True)
    queue_training(run)
    stop_training(run)
    assert run.state() is State.STOPPED


def test_a_training_from_a_shell_is_not_counted_and_can_be_stopped(
    root: Path, make_run: MakeRun
) -> None:
    shell, queued = make_run("shell", endless=True), make_run("queued", endless=True)
    process = subprocess.Popen([sys.executable, "-m", "dvae_core", "resume", str(shell.path)])
    wait_until(lambda: shell.status().step > 0)
    with pytest.raises(RunError, match="is already being trained"):
        queue_training(shell)
    queue_training(queued)
    assert queued.state() is State.RUNNING
    stop_training(shell)
    assert process.wait() == 0
    assert shell.state() is State.STOPPED


def test_what_no_job_started_is_asked_and_never_killed(make_run: MakeRun) -> None:
    run = make_run("swept")
    with subprocess.Popen(["sleep", "300"]) as process:
        identity = ProcessIdentity.of(process.pid)
        run.write_status(Status(state=State.RUNNING, steps=12, process=identity))
        with pytest.raises(RunError, match="did not stop when asked: stop it where it was started"):
            stop_training(run, grace_seconds=0.1)
        assert process.poll() is None
        process.kill()
    assert run.stop_requested


@pytest.mark.usefixtures("sleepers")
def test_a_run_that_was_only_made_is_started_by_nobody(root: Path, make_run: MakeRun) -> None:
    made, other = make_run("made"), make_run("other")
    assert made.state() is State.STOPPED
    queue_training(other)
    advance_queue(root)
    stop_training(other, grace_seconds=0.1)
    assert made.state() is State.STOPPED


@pytest.mark.usefixtures("sleepers")
def test_a_run_taken_from_the_queue_is_stopped_and_not_started(
    root: Path, make_run: MakeRun
) -> None:
    first, second, third = (make_run(name) for name in ("first", "second", "third"))
    for run in (first, second, third):
        queue_training(run)
    assert [find_training(run).position for run in (first, second, third)] == [None, 1, 2]
    stop_training(second)
    assert (second.state(), find_training(third).position) == (State.STOPPED, 1)
    stop_training(first, grace_seconds=0.1)
    assert (second.state(), third.state()) == (State.STOPPED, State.RUNNING)


@pytest.mark.usefixtures("sleepers")
def test_a_larger_bound_starts_more_at_once(root: Path, make_run: MakeRun) -> None:
    runs = [make_run(name) for name in ("a", "b", "c")]
    for run in runs:
        queue_training(run)
    assert trainings_at_once(root) == 1
    set_trainings_at_once(root, 2)
    assert [run.state() for run in runs] == [State.RUNNING, State.RUNNING, State.QUEUED]
    for count in (0, 17):
        with pytest.raises(ConfigError, match="give a number from 1 to 16"):
            set_trainings_at_once(root, count)
    assert trainings_at_once(root) == 2


@pytest.mark.usefixtures("sleepers")
def test_whoever_died_between_taking_and_starting_is_replaced(
    root: Path, make_run: MakeRun
) -> None:
    taken, behind = make_run("taken"), make_run("behind")
    for run in (taken, behind):
        run.write_status(Status(state=State.QUEUED, steps=12))
    (root / "queue.json").write_text(json.dumps({"started": ["taken"], "waiting": ["behind"]}))
    advance_queue(root)
    assert (taken.state(), behind.state()) == (State.RUNNING, State.QUEUED)


@pytest.mark.usefixtures("sleepers")
def test_whoever_died_between_starting_and_saying_so_has_started_it(
    root: Path, make_run: MakeRun
) -> None:
    started, behind = make_run("started"), make_run("behind")
    queue_training(started)
    process = pid_of(started)
    queue_training(behind)
    started.write_status(Status(state=State.QUEUED, steps=12))
    advance_queue(root)
    assert (started.state(), behind.state()) == (State.QUEUED, State.QUEUED)
    os.kill(process, signal.SIGKILL)
    wait_until(lambda: ProcessIdentity.of(process) is None)
    advance_queue(root)
    assert (started.state(), behind.state()) == (State.RUNNING, State.QUEUED)
    assert pid_of(started) != process


@pytest.mark.usefixtures("sleepers")
def test_runs_that_are_gone_or_damaged_or_finished_are_passed_over(
    root: Path, make_run: MakeRun
) -> None:
    damaged, stopped, good = (make_run(name) for name in ("damaged", "stopped", "good"))
    good.write_status(Status(state=State.QUEUED, steps=12))
    (damaged.path / "config.json").unlink()
    waiting = ["gone", "damaged", "stopped", "good"]
    (root / "queue.json").write_text(json.dumps({"waiting": waiting}))
    advance_queue(root)
    assert good.state() is State.RUNNING
    assert stopped.state() is State.STOPPED
    with pytest.raises(RunError, match=r"config\.json is missing"):
        queue_training(damaged)


@pytest.mark.usefixtures("sleepers")
def test_a_run_that_cannot_be_started_fails_and_the_next_one_starts(
    root: Path, make_run: MakeRun
) -> None:
    bad, good = make_run("bad"), make_run("good")
    (bad.path / "jobs").write_text("in the way")
    queue_training(bad)
    assert bad.state() is State.FAILED
    assert "could not be started" in bad.status().message
    queue_training(good)
    assert good.state() is State.RUNNING


def test_a_finished_run_is_not_queued(root: Path, tiny_run: Run) -> None:
    with pytest.raises(RunError, match="finished at step 12: extend it to train it further"):
        queue_training(tiny_run)


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        '{"at_once": 0}',
        '{"at_once": "many"}',
        '{"waiting": ["../outside"]}',
        '{"waiting": ["/etc"]}',
        '{"waiting": ["a/b/c"]}',
        '{"started": [".trash"]}',
        '{"waiting": [1]}',
        '{"colour": "red"}',
    ],
)
def test_a_damaged_queue_is_one_line_and_starts_nothing(
    root: Path, make_run: MakeRun, content: str
) -> None:
    run = make_run("waiting")
    (root / "queue.json").write_text(content)
    with pytest.raises(RunError, match=r"queue\.json") as caught:
        advance_queue(root)
    assert "\n" not in str(caught.value)
    with pytest.raises(RunError, match=r"queue\.json"):
        queue_training(run)
    assert run.state() is State.STOPPED


def test_runs_of_a_sweep_are_in_the_queue_of_the_own_runs(root: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    assert queue_root(root) == root
    assert queue_root(root / "study") == root
    assert queue_root(elsewhere) == elsewhere
    assert queue_root(root / "study" / "deeper") == root / "study" / "deeper"
