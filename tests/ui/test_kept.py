import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pytest
import streamlit as st
import torch

from dvae_core.runs.catalog import SHIPPED_ROOT
from dvae_core.runs.run import Run
from ui.kept import Kept, bytes_of, kept, kept_results

MEGABYTE = 2**20


@dataclass(frozen=True, slots=True)
class Slotted:
    numbers: np.ndarray


@dataclass(frozen=True)
class Nested:
    parts: tuple[Slotted, ...]
    by_name: dict[str, torch.Tensor]


def megabytes(count: int) -> np.ndarray:
    return np.zeros(count * MEGABYTE, np.uint8)


def test_the_bytes_of_nested_arrays_are_counted_once() -> None:
    numbers, tensor = megabytes(3), torch.zeros(MEGABYTE, dtype=torch.uint8)
    value = Nested((Slotted(numbers), Slotted(numbers)), {"a": tensor, "b": tensor[:5]})
    assert bytes_of(value) == pytest.approx(4 * MEGABYTE, rel=0.01)
    assert bytes_of(numbers[:1]) == pytest.approx(3 * MEGABYTE, rel=0.01)  # which a view holds


def test_a_model_takes_the_bytes_of_its_weights() -> None:
    model = Run(SHIPPED_ROOT / "circles-categorical").load_model()
    weights = sum(tensor.nbytes for tensor in model.state_dict().values())
    assert weights <= bytes_of(model) < 1.1 * weights + MEGABYTE


def test_results_beyond_the_bytes_are_dropped_the_least_used_first() -> None:
    results, computed = Kept(10 * MEGABYTE), []

    def find(name: str, count: int) -> None:
        def compute() -> np.ndarray:
            computed.append(name)
            return megabytes(count)

        results.find(name, compute)

    for name in ("a", "b", "a"):
        find(name, 4)
    find("c", 4)  # "b" was used least recently
    assert results.num_bytes < 10 * MEGABYTE
    find("a", 4)
    find("b", 4)
    assert computed == ["a", "b", "c", "b"]
    find("large", 20)
    assert results.num_bytes == pytest.approx(20 * MEGABYTE, rel=0.01)
    for _ in range(100):  # however many entries
        find(f"small {len(computed)}", 1)
        assert results.num_bytes < 10.1 * MEGABYTE


def test_keys_count_too() -> None:
    results = Kept(10 * MEGABYTE)
    for number in range(20):
        results.find(f"{number}" + "x" * MEGABYTE, lambda: None)
    assert 8 * MEGABYTE < results.num_bytes <= 10 * MEGABYTE


def test_a_result_is_computed_once_for_all_that_wait() -> None:
    results, begin = Kept(MEGABYTE), threading.Barrier(4)
    computed: list[object] = []

    def compute() -> object:
        computed.append(object())
        return computed[-1]

    def ask(_: int) -> object:
        begin.wait()
        return results.find("key", compute)

    with ThreadPoolExecutor(4) as pool:
        found = set(pool.map(ask, range(4)))
    assert (len(found), len(computed)) == (1, 1)


def test_a_failure_is_not_kept() -> None:
    st.cache_resource.clear()
    calls = []

    @kept(None)
    def halve(number: int, _note: str) -> int:
        calls.append(number)
        if number % 2:
            raise ValueError
        return number // 2

    for _ in range(2):
        with pytest.raises(ValueError):  # noqa: PT011
            halve(3, "")
        assert halve(4, f"call {len(calls)}") == 2
    assert calls == [3, 4, 3]
    kept_results.clear()
