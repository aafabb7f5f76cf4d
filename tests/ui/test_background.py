import threading
import time

import pytest

from dvae_core.errors import EvaluationError
from dvae_core.progress import Progress, ShouldStop
from ui.background import Turns, Works

SECONDS = 20


class Task:
    """Counts to three, when it is let go; each run is counted."""

    def __init__(self, result: int = 1, error: Exception | None = None) -> None:
        self.result, self.error, self.runs = result, error, 0
        self.go = threading.Event()

    def __call__(self, *, progress: Progress, should_stop: ShouldStop) -> int:
        self.runs += 1
        progress(1, 3)
        while not self.go.wait(0.01):
            if should_stop():
                return -1
        if self.error is not None:
            raise self.error
        return self.result


def works(max_bytes: int = 100) -> Works[int]:
    return Works(max_bytes, lambda result: result)


def test_whoever_asks_for_the_same_joins_it() -> None:
    every, task = works(), Task()
    work = every.find("a", task)
    assert every.find("a", task) is work
    assert not work.wait(0.05)
    assert work.is_running
    assert (work.done, work.total) == (1, 3)
    task.go.set()
    assert work.wait(SECONDS)
    assert work.result() == 1
    assert every.find("a", task).result() == 1  # kept
    assert task.runs == 1


def test_a_stopped_task_gives_what_it_has() -> None:
    work = works().find("a", Task())
    work.stop()
    assert work.wait(SECONDS)
    assert work.result() == -1


def test_an_error_reaches_everyone_and_the_next_try_begins_afresh() -> None:
    every, task = works(), Task(error=EvaluationError("the model has diverged"))
    task.go.set()
    work = every.find("a", task)
    assert work.wait(SECONDS)
    for _ in range(2):
        with pytest.raises(EvaluationError, match="diverged"):
            work.result()
    assert work.has_failed
    every.forget("a", work)
    task.error = None
    again = every.find("a", task)
    assert again.wait(SECONDS)
    assert again.result() == 1
    every.forget("a", work)  # of another tab, which tells the same error later
    assert every.find("a", task) is again


def test_one_works_at_a_time() -> None:
    every, first, second = works(), Task(), Task()
    every.find("a", first)
    waiting = every.find("b", second)
    assert not waiting.wait(0.1)
    assert second.runs == waiting.total == 0
    first.go.set()
    second.go.set()
    assert waiting.wait(SECONDS)


def test_results_used_least_recently_make_room() -> None:
    every = works(max_bytes=10)
    tasks = {name: Task(result=size) for name, size in {"a": 4, "b": 4, "c": 4}.items()}
    for name, task in tasks.items():
        task.go.set()
        assert every.find(name, task).wait(SECONDS)
        every.find("a", tasks["a"])  # used again
    deadline = time.monotonic() + SECONDS
    while len(every._works) > 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert set(every._works) == {"a", "c"}


def test_a_thread_that_takes_many_turns_lets_each_that_waits_go_first() -> None:
    turns = Turns()
    order: list[str] = []
    asks = threading.Event()

    def release() -> None:
        asks.set()
        with turns:
            order.append("release")

    with turns:
        order.append("part")
        waiting = threading.Thread(target=release)
        waiting.start()
        asks.wait(10)
        time.sleep(0.2)  # until it waits
    for _ in range(3):
        with turns:
            order.append("part")
    waiting.join(10)
    assert order == ["part", "release", "part", "part", "part"]
