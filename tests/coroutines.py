"""Coroutines in tests, which may share their process with tests of a browser."""

import asyncio
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")


def run_to_end(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine; an error of it is raised. It runs in a thread of its own, since
    Playwright keeps a loop in this one, in which `asyncio.run` refuses to work."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, coroutine).result()
