import os
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.typing import NDArray

from dvae_core.data.folder import cached_array
from dvae_core.errors import DataError

CONTENT = np.arange(10 * 6, dtype=np.uint8).reshape(10, 6)


def blocks() -> Iterator[NDArray[np.uint8]]:
    yield CONTENT[:4]
    yield CONTENT[4:]


def never() -> Iterator[NDArray[np.uint8]]:
    raise AssertionError("the cache was to be used")
    yield


def broken(error: BaseException) -> Callable[[], Iterator[NDArray[np.uint8]]]:
    def parts() -> Iterator[NDArray[np.uint8]]:
        yield CONTENT[:4]
        raise error

    return parts


@pytest.fixture
def source(data_folder: Path) -> Path:
    path = data_folder / "source"
    path.write_bytes(b"original")
    return path


def files_in(folder: Path) -> list[str]:
    return [path.name for path in (folder / "cache").iterdir()]


def test_an_array_is_made_once_and_mapped_from_then_on(source: Path) -> None:
    made = cached_array("set", [source], CONTENT.shape, blocks)
    found = cached_array("set", [source], CONTENT.shape, never)
    np.testing.assert_array_equal(made, CONTENT)
    np.testing.assert_array_equal(found, CONTENT)
    assert isinstance(found, np.memmap)


def test_threads_that_ask_at_once_make_it_once(source: Path) -> None:
    makings = []

    def slow_blocks() -> Iterator[NDArray[np.uint8]]:
        makings.append(1)
        time.sleep(0.2)
        yield from blocks()

    def ask(_: int) -> NDArray[np.uint8]:
        return cached_array("set", [source], CONTENT.shape, slow_blocks)

    with ThreadPoolExecutor(4) as pool:
        for made in pool.map(ask, range(4)):
            np.testing.assert_array_equal(made, CONTENT)
    assert len(makings) == 1


def test_making_tells_how_far_it_is(source: Path) -> None:
    told: list[tuple[int, int]] = []
    cached_array("set", [source], CONTENT.shape, blocks, lambda *step: told.append(step))
    assert told == [(0, 10), (4, 10), (10, 10)]


def test_another_source_makes_it_anew_and_the_old_one_goes(source: Path) -> None:
    cached_array("set", [source], CONTENT.shape, blocks)
    source.write_bytes(b"another one")
    again = cached_array("set", [source], CONTENT.shape, lambda: [CONTENT[::-1]])
    np.testing.assert_array_equal(again, CONTENT[::-1])
    assert len(files_in(source.parent)) == 1


def test_another_set_of_a_similar_name_is_left_alone(source: Path) -> None:
    cached_array("set_b", [source], CONTENT.shape, blocks)
    cached_array("set", [source], CONTENT.shape, blocks)
    cached_array("set_b", [source], CONTENT.shape, never)


def test_a_truncated_cache_is_made_anew(source: Path) -> None:
    cached_array("set", [source], CONTENT.shape, blocks)
    (path,) = (source.parent / "cache").iterdir()
    os.truncate(path, path.stat().st_size - 1)
    np.testing.assert_array_equal(cached_array("set", [source], CONTENT.shape, blocks), CONTENT)


def test_an_interruption_leaves_nothing(source: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        cached_array("set", [source], CONTENT.shape, broken(KeyboardInterrupt()))
    assert files_in(source.parent) == []


def test_a_disk_that_fills_up_leaves_nothing(source: Path) -> None:
    full = OSError(28, "No space left on device")
    with pytest.raises(DataError, match="No space left on device"):
        cached_array("set", [source], CONTENT.shape, broken(full))
    assert files_in(source.parent) == []


def test_too_little_space_is_noticed_before_anything_is_written(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=59))
    with pytest.raises(DataError, match="DVAE_DATA"):
        cached_array("set", [source], CONTENT.shape, never)
