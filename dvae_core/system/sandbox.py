"""A child process of limited memory and time, for work on files that anyone may have made.

Whatever is wrong with such a file, native readers that crash, loop or ask for all memory take only
the child with them.
"""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

# The parent package is set up by hand, because importing it may import all of the library.
_START = """
import sys, types
from importlib import import_module
package = types.ModuleType("dvae_core")
package.__path__ = [sys.argv[1]]
sys.modules["dvae_core"] = package
import_module(sys.argv[2]).main(*sys.argv[3:])
"""
_PATIENCE = 30  # seconds to wait for each second of computing, on a machine that does much else


class ChildDied(Exception):
    """The child gave no answer; the text tells why, as the end of a sentence about the file."""


def start_child(module: str, *arguments: object) -> "subprocess.Popen[bytes]":
    """Start `main(*arguments)` of a module of this package, arguments as texts, its standard input
    and output being pipes. It limits itself: see `limit_memory` and `limit_computing`."""
    command = [sys.executable, "-W", "ignore", "-c", _START, str(Path(__file__).parents[1]), module]
    return subprocess.Popen(
        [*command, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={
            **os.environ,
            # Each thread of these takes address space, which is what is limited.
            "OPENBLAS_NUM_THREADS": "1",
            "OMP_NUM_THREADS": "1",
            "HDF5_PLUGIN_PRELOAD": "::",  # no filters from libraries that a file names
        },
        start_new_session=True,  # an interruption ends the work here, not half an answer
    )


def ask_child(module: str, request: dict[str, Any], seconds: int, memory_bytes: int) -> Any:
    """One request to a child of its own, answered by one JSON value.

    Args:
        module: whose `main(seconds, memory_bytes)` reads the request from standard input, limits
            itself to both, and prints the answer.
        request: goes over as JSON.
        seconds: of computing that the child may take.
        memory_bytes: that it may take.

    Raises:
        ChildDied: it took more, or crashed.
    """
    child = start_child(module, seconds, memory_bytes)
    try:
        output, _ = child.communicate(json.dumps(request).encode(), _PATIENCE * seconds)
        return json.loads(output)
    except subprocess.TimeoutExpired:
        raise ChildDied(f"it takes more than {_PATIENCE * seconds} s to read") from None
    except ValueError:
        if hasattr(signal, "SIGXCPU") and child.returncode == -signal.SIGXCPU:
            raise ChildDied(f"it takes more than {seconds} s of computing") from None
        raise ChildDied("it is damaged in a way that kills its reader") from None
    finally:
        child.kill()
        child.communicate()


def failure_message(error: Exception, memory_bytes: int) -> str:
    """What a child answers about a file that no check of its own found fault with, as the end of a
    sentence about the file."""
    if isinstance(error, MemoryError):
        return f"it takes more than {memory_bytes // 2**20} MB of memory to read"
    if isinstance(error, ImportError):
        return f"the library that reads it does not start ({error})"
    # A damaged file can end in any exception of the libraries that read it.
    return "it is damaged, or not of the kind that it is called"


def limit_memory(memory_bytes: int) -> None:
    """Let this process take no more than that, where the system has such a limit."""
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    except (ImportError, ValueError, OSError):
        pass  # Windows and macOS have no such limit; the checks of headers remain


def limit_computing(seconds: int) -> None:
    """Let this process compute no longer than that, where the system has such a limit."""
    try:
        import resource

        # The first limit sends a signal of its own, which tells why.
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    except (ImportError, ValueError, OSError):
        pass  # the one that waits for it ends it instead
