"""Read untrusted files in a child process with limited memory and time.

Native readers that crash, loop or exhaust memory affect only the child. `SandboxProcess` is the
parent's side and `serve` the child's, so this module imports neither pydantic nor torch. A request
is one line of JSON; an answer is one line of JSON, followed by the number of raw bytes that it
states.
"""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from pkgutil import resolve_name
from threading import Timer
from typing import Any, Self

from dvae_core.errors import CoreError
from dvae_core.system.environment import safe_environment

Answer = tuple[dict[str, Any], bytes | memoryview]
"""The result of an operation: a JSON object, and raw bytes."""

# The child imports this package from its location; neither the package's folder nor the working
# directory is searched for libraries.
_START = """
import sys, types
package = types.ModuleType("dvae_core")
package.__path__ = [sys.argv[1]]
sys.modules["dvae_core"] = package
from dvae_core.system.sandbox import serve
serve(int(sys.argv[2]))
"""
# Seconds to wait for an answer, plus the same for each second of CPU time: the machine may be busy
# or the disk slow.
_PATIENCE = 30.0
_MAX_ANSWER_BYTES = 2**20


class SandboxError(Exception):
    """The operation failed; the text is the end of a sentence about the file."""


class Refused(SandboxError):
    """The operation raised a `CoreError` with this text."""


class SandboxProcess:
    """The child process, limited to `memory_bytes`. The first request starts it, and the next one
    after it died. Use it in a `with` statement; it answers one request at a time."""

    def __init__(self, memory_bytes: int) -> None:
        self.memory_bytes = memory_bytes
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the child."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()

    def ask(
        self, operation: str, arguments: dict[str, Any], seconds: float, continues: bool = False
    ) -> tuple[dict[str, Any], bytes]:
        """Call a function in the child.

        Args:
            operation: "module:function"; the function returns an `Answer`.
            arguments: of the function, by name; sent as JSON.
            seconds: limit of CPU time, without imports.
            continues: it depends on an earlier request, so a child that died is not replaced.

        Raises:
            Refused: the function raised a `CoreError`.
            SandboxError: it failed otherwise, exceeded a limit, or killed the child.
        """
        if self._process is not None and self._process.poll() is not None and not continues:
            self.close()
        if self._process is None:
            self._process = _start(self.memory_bytes)
        patience = _PATIENCE * (1 + seconds)
        deadline = time.monotonic() + patience
        timer = Timer(patience, self._process.kill)
        timer.start()
        try:
            request = {"operation": operation, "arguments": arguments, "seconds": seconds}
            kind, content, data = _exchange(self._process, request, self.memory_bytes)
        except (OSError, ValueError, KeyError, TypeError):  # it died, or returned invalid data
            ended_by = self._end()
            if time.monotonic() >= deadline:
                reason = f"it takes more than {patience:.0f} s to read"
            elif hasattr(signal, "SIGPROF") and ended_by == -signal.SIGPROF:
                reason = f"it takes more than {seconds:.0f} s of computing to read"
            else:
                reason = "it is damaged in a way that kills its reader"
            raise SandboxError(reason) from None
        except BaseException:
            self.close()  # the next request would get the answer to this one
            raise
        finally:
            timer.cancel()
        if kind != "answer":
            raise (Refused if kind == "refusal" else SandboxError)(content)
        return content, data

    def _end(self) -> int:
        """End a child that gave no valid answer, and return its exit status."""
        process = self._process
        assert process is not None
        with suppress(subprocess.TimeoutExpired):
            process.wait(1)  # its own exit status says more than ours
        self.close()
        return process.returncode


def serve(memory_bytes: int) -> None:
    """Answer requests from standard input on standard output until the input ends."""
    _limit_memory(memory_bytes)
    output = sys.stdout.buffer
    for line in sys.stdin.buffer:
        request = json.loads(line)
        content: Any
        kind, data = "answer", memoryview(b"")
        try:
            # Imports are not timed, because they do not depend on the file.
            function = resolve_name(request["operation"])
            _limit_computing(request["seconds"])
            content, data = function(**request["arguments"])
        except CoreError as error:
            kind, content = "refusal", str(error)
        except Exception as error:
            kind, content = "failure", _reason(error, memory_bytes)
        _limit_computing(0)
        reply = {"kind": kind, "content": content, "bytes": len(data)}
        sys.stdout.flush()  # what an operation printed spoils its own answer, and not the next one
        output.write(json.dumps(reply).encode() + b"\n")
        output.write(data)
        output.flush()


def limit_further_memory(extra_bytes: int) -> None:
    """In the child: limit its memory to what it has now, with all libraries, and `extra_bytes`."""
    with suppress(OSError, ValueError):  # only Linux says the size
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        _limit_memory(pages * os.sysconf("SC_PAGE_SIZE") + extra_bytes)


def _start(memory_bytes: int) -> "subprocess.Popen[bytes]":
    package = str(Path(__file__).parents[1])
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", _START, package, str(memory_bytes)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={
            **safe_environment(),
            # Each thread uses address space, which is limited, and so does each arena of malloc.
            "OPENBLAS_NUM_THREADS": "1",
            "OMP_NUM_THREADS": "1",
            "MALLOC_ARENA_MAX": "1",
            "HDF5_PLUGIN_PRELOAD": "::",  # no filter plugins named by a file
        },
        start_new_session=True,  # an interruption does not reach the child
    )


def _exchange(
    process: "subprocess.Popen[bytes]", request: dict[str, Any], max_bytes: int
) -> tuple[str, Any, bytes]:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps(request).encode() + b"\n")
    process.stdin.flush()
    reply = json.loads(process.stdout.readline(_MAX_ANSWER_BYTES))
    size = reply["bytes"]
    if not 0 <= size <= max_bytes:
        raise ValueError
    data = process.stdout.read(size)
    if len(data) != size:
        raise ValueError
    return reply["kind"], reply["content"], data


def _reason(error: Exception, memory_bytes: int) -> str:
    if isinstance(error, MemoryError):
        return f"it takes more than {memory_bytes // 2**20} MB of memory to read"
    if isinstance(error, ImportError):
        return f"the library that reads it does not start ({error})"
    # A damaged file can cause any exception.
    return "it is damaged, or not of the kind that its name says"


def _limit_memory(memory_bytes: int) -> None:
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        _, most = resource.getrlimit(resource.RLIMIT_AS)
        if most != resource.RLIM_INFINITY:
            memory_bytes = min(memory_bytes, most)
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    except (ImportError, ValueError, OSError):
        pass  # not on Windows and macOS, which rely on the checks of headers


def _limit_computing(seconds: float) -> None:
    # Unlike RLIMIT_CPU this can be set for each request, in fractions of a second; 0 switches it
    # off. Its signal ends the process even inside a native reader. Systems without it, such as
    # Windows, only have the parent's timer.
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_PROF, seconds)
