import time

import psutil
import pytest

from dvae_core.evaluation.processes import call_in_processes


class Stopped(Exception):
    pass


@pytest.mark.parametrize("num_workers", [1, 2])
def test_results_come_in_the_order_of_the_calls(num_workers: int) -> None:
    calls = [(pow, (2, exponent)) for exponent in (3, 1, 2)]
    assert call_in_processes(calls, num_workers, lambda done, total: None) == [8, 2, 4]


@pytest.mark.parametrize("num_workers", [1, 2])
def test_progress_reaches_the_number_of_calls(num_workers: int) -> None:
    told: list[tuple[int, int]] = []
    call_in_processes([(abs, (-1,))] * 3, num_workers, lambda *counts: told.append(counts))
    assert told[0] == (0, 3)
    assert told[-1] == (3, 3)


@pytest.mark.parametrize("num_workers", [1, 2])
def test_an_error_of_a_call_comes_back(num_workers: int) -> None:
    with pytest.raises(ZeroDivisionError):
        call_in_processes([(divmod, (1, 0))] * 2, num_workers, lambda done, total: None)


def test_an_interruption_ends_calls_in_the_midst_of_their_work() -> None:
    def stop(done: int, total: int) -> None:
        if len(_workers()) == 2:
            raise Stopped

    started_at = time.monotonic()
    with pytest.raises(Stopped):
        call_in_processes([(time.sleep, (600,))] * 2, 2, stop)
    assert time.monotonic() - started_at < 300
    assert _workers() == []


def _workers() -> list[psutil.Process]:
    children = psutil.Process().children(recursive=True)
    return [child for child in children if "popen_loky" in " ".join(child.cmdline())]
