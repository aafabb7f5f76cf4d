"""Results that all sessions share, kept up to a number of bytes."""

import inspect
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from functools import wraps
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any, ParamSpec, TypeVar

import numpy as np
import streamlit as st
import torch
from streamlit.runtime.scriptrunner import get_script_run_ctx

P = ParamSpec("P")
R = TypeVar("R")

MAX_BYTES = 512 * 2**20
_NO_DATA = (type, ModuleType, FunctionType, BuiltinFunctionType, MethodType)


class Kept:
    """Results by their keys; those used least recently go first. The latest is kept whatever its
    size.

    Args:
        max_bytes: of all results and their keys together.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._results: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()
        self._computing: dict[Hashable, threading.Lock] = {}
        self._lock = threading.Lock()

    @property
    def num_bytes(self) -> int:
        """Of all results and their keys."""
        with self._lock:
            return sum(size for _, size in self._results.values())

    def find(self, key: Hashable, compute: Callable[[], R]) -> R:
        """The result of a key. Sessions that ask for it while it is computed wait for it."""
        found, result = self._look_up(key)
        if found:
            return result
        with self._lock:
            turn = self._computing.setdefault(key, threading.Lock())
        with turn:
            found, result = self._look_up(key)
            if found:
                return result
            try:
                result = compute()
                self._keep(key, result)
            finally:
                with self._lock:
                    self._computing.pop(key, None)
            return result

    def _look_up(self, key: Hashable) -> tuple[bool, Any]:
        with self._lock:
            if key not in self._results:
                return False, None
            self._results.move_to_end(key)
            return True, self._results[key][0]

    def _keep(self, key: Hashable, result: object) -> None:
        size = bytes_of((key, result))
        with self._lock:
            self._results[key] = result, size
            total = sum(each for _, each in self._results.values())
            while total > self._max_bytes and len(self._results) > 1:
                _, (_, dropped) = self._results.popitem(last=False)
                total -= dropped


@st.cache_resource
def kept_results() -> Kept:
    """The results of this server; `st.cache_resource.clear` drops them."""
    return Kept(MAX_BYTES)


def kept(spinner: str | None) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Keep what a function returns, by its arguments, among the results of all such functions.

    Arguments must be hashable; those whose names begin with an underscore do not count.

    Args:
        spinner: what the page says meanwhile; None for nothing.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        name = f"{function.__module__}.{function.__qualname__}"
        signature = inspect.signature(function)

        @wraps(function)
        def look_up(*args: P.args, **kwargs: P.kwargs) -> R:
            given = signature.bind(*args, **kwargs).arguments
            key = name, tuple(value for word, value in given.items() if not word.startswith("_"))

            def compute() -> R:
                if spinner is None or get_script_run_ctx(suppress_warning=True) is None:
                    return function(*args, **kwargs)
                with st.spinner(spinner):
                    return function(*args, **kwargs)

            return kept_results().find(key, compute)

        return look_up

    return decorate


def bytes_of(value: object) -> int:
    """About as many bytes as a value takes: tensors, arrays and texts, in containers and objects.

    Arrays that are read from the disk as needed take none.
    """
    seen: set[int] = set()
    pending, total = [value], 0
    while pending:
        one = pending.pop()
        if id(one) in seen or isinstance(one, _NO_DATA):
            continue
        seen.add(id(one))
        if isinstance(one, torch.Tensor):
            storage = one.untyped_storage()
            if storage.data_ptr() not in seen:  # views share it
                seen.add(storage.data_ptr())
                total += storage.nbytes()
        elif isinstance(one, np.memmap):
            continue
        elif isinstance(one, np.ndarray):
            if one.base is not None:
                pending.append(one.base)
            else:
                total += one.nbytes
        elif isinstance(one, str | bytes | bytearray | int | float):
            total += sys.getsizeof(one)
        elif isinstance(one, Mapping):
            pending += [*one.keys(), *one.values()]
        elif isinstance(one, list | tuple | set | frozenset):
            total += sys.getsizeof(one)
            pending += one
        else:
            pending += getattr(one, "__dict__", {}).values()
            slots = (name for base in type(one).__mro__ for name in getattr(base, "__slots__", ()))
            pending += [getattr(one, name) for name in slots if hasattr(one, name)]
    return total
