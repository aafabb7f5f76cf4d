"""Work in threads while pages are drawn; sessions that ask for the same work share it."""

import threading
from collections import deque
from collections.abc import Callable, Hashable
from typing import Generic, Protocol, TypeVar

from dvae_core.progress import Progress, ShouldStop

T = TypeVar("T", covariant=True)


class Turns:
    """A lock that threads get in the order in which they asked. One that takes it again and again
    lets each that waits go first, which a plain lock does not."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: deque[threading.Event] = deque()
        self._is_taken = False

    def __enter__(self) -> None:
        with self._lock:
            if not self._is_taken:
                self._is_taken = True
                return
            turn = threading.Event()
            self._waiting.append(turn)
        turn.wait()

    def __exit__(self, *_: object) -> None:
        with self._lock:
            if self._waiting:
                self._waiting.popleft().set()  # it stays taken
            else:
                self._is_taken = False


class Task(Protocol[T]):
    """What is to be done; it tells how far it is, and ends early when it should stop."""

    def __call__(self, *, progress: Progress, should_stop: ShouldStop) -> T: ...


class Work(Generic[T]):
    """A task in a thread of its own.

    Attributes:
        done: how much of it is done.
        total: how much there is; 0 as long as the task has not said.
    """

    def __init__(self, task: Task[T], turn: threading.Lock, ended: Callable[[], None]) -> None:
        self.done = self.total = 0
        self._task, self._turn, self._tell = task, turn, ended
        self._result: list[T] = []
        self._error: BaseException | None = None
        self._is_stopped = False
        self._ended = threading.Event()
        threading.Thread(target=self._run, name="background work", daemon=True).start()

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return not self._ended.is_set()

    @property
    def has_failed(self) -> bool:
        """Whether `result` raises."""
        return self._error is not None

    def wait(self, seconds: float) -> bool:
        """Wait for the end; whether it has come."""
        return self._ended.wait(seconds)

    def stop(self) -> None:
        """Let the task end early."""
        self._is_stopped = True

    def result(self) -> T:
        """What the task has returned, or raise what it has raised."""
        if self._error is not None:
            raise self._error
        return self._result[0]

    def _run(self) -> None:
        try:
            with self._turn:
                self._result.append(
                    self._task(progress=self._progress, should_stop=lambda: self._is_stopped)
                )
        except BaseException as error:  # raised again in every session that waits
            self._error = error
        finally:
            del self._task  # and the data that it holds
            self._ended.set()
            self._tell()

    def _progress(self, done: int, total: int) -> None:
        self.done, self.total = done, total


class Works(Generic[T]):
    """Works of one kind by their keys, one at a time, and the results of those that have ended.

    Args:
        max_bytes: of all kept results together; those used least recently go first. The latest is
            kept whatever its size.
        size: bytes of a result.
    """

    def __init__(self, max_bytes: int, size: Callable[[T], int]) -> None:
        self._max_bytes, self._size = max_bytes, size
        self._works: dict[Hashable, Work[T]] = {}
        self._lock, self._turn = threading.Lock(), threading.Lock()

    def find(self, key: Hashable, task: Task[T]) -> Work[T]:
        """The work of a key. It is started unless there is one that runs or has ended; one that has
        failed is to be forgotten by those who have told the reason."""
        with self._lock:
            work = self._works.pop(key, None)
            if work is None:
                work = Work(task, self._turn, self._drop_old)
            self._works[key] = work  # the most recently used
            return work

    def forget(self, key: Hashable, work: Work[T]) -> None:
        """Begin afresh when the key is asked for again, unless another work has begun already."""
        with self._lock:
            if self._works.get(key) is work:
                del self._works[key]

    def _drop_old(self) -> None:
        with self._lock:
            kept = 0
            for key, work in reversed(list(self._works.items())):
                if work.is_running or work.has_failed:
                    continue
                size = self._size(work.result())
                if kept and kept + size > self._max_bytes:
                    del self._works[key]
                else:
                    kept += size
