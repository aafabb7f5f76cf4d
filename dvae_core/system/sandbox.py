"""Work on files that anyone may have made, in a child process of limited memory and time.

Whatever is wrong with such a file, native readers that crash, loop or ask for all memory take only
the child with them. `SandboxProcess` is the parent's end and `serve` the child's, so this module
imports neither pydantic nor torch. A request is one line of JSON; an answer is one line of JSON,
followed by as many raw bytes as it announces.
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

Answer = tuple[dict[str, Any], bytes | memoryview]
"""What an operation returns: an object that JSON can hold, and raw bytes."""

# The child finds this package where it lies, without its folder, or the folder in which the
# parent runs, among those that are searched for libraries.
_START = """
import sys, types
package = types.ModuleType("dvae_core")
package.__path__ = [sys.argv[1]]
sys.modules["dvae_core"] = package
from dvae_core.system.sandbox import serve
serve(int(sys.argv[2]))
"""
# Seconds to wait for an answer, and for each second of computing: the machine may be busy, or the
# disk slow.
_PATIENCE = 30.0
_MAX_ANSWER_BYTES = 2**20


class SandboxError(Exception):
    """The work failed; the text says why, as the end of a sentence about the file."""


class Refused(SandboxError):
    """The operation raised a `CoreError` with this text."""


class SandboxProcess:
    """The child process: started by the first request, and by the next one after it died.

    Use it in a `with` statement. Requests are answered one at a time.

    Args:
        memory_bytes: what the child may take in all.
    """

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
            arguments: of the function, by name; they travel as JSON.
            seconds: of computing that it may take, its imports aside.
            continues: it works on what an earlier request left open, so a child that died since
                then is not replaced.

        Raises:
            Refused: the function raised a `CoreError`.
            SandboxError: it failed in another way, took too much, or killed the child.
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
        """The exit status of a child that gave no valid answer."""
        process = self._process
        assert process is not None
        with suppress(subprocess.TimeoutExpired):
            process.wait(1)  # why it died says more than that it was killed
        self.close()
        return process.returncode


def serve(memory_bytes: int) -> None:
    """Answer requests from standard input on standard output until they end."""
    _limit_memory(memory_bytes)
    output = sys.stdout.buffer
    for line in sys.stdin.buffer:
        request = json.loads(line)
        content: Any
        kind, data = "answer", memoryview(b"")
        try:
            # Not timed: that a library takes long to start is no fault of the file.
            function = resolve_name(request["operation"])
            _limit_computing(request["seconds"])
            content, data = function(**request["arguments"])
        except CoreError as error:
            kind, content = "refusal", str(error)
        except Exception as error:
            kind, content = "failure", _reason(error, memory_bytes)
        _limit_computing(0)
        reply = {"kind": kind, "content": content, "bytes": len(data)}
        output.write(json.dumps(reply).encode() + b"\n")
        output.write(data)
        output.flush()


def _start(memory_bytes: int) -> "subprocess.Popen[bytes]":
    package = str(Path(__file__).parents[1])
    return subprocess.Popen(
        # -P: a library is never taken from the folder in which the parent runs, where a
        # stranger's h5py.py may lie beside the stranger's data.
        [sys.executable, "-P", "-W", "ignore", "-c", _START, package, str(memory_bytes)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={
            **os.environ,
            "PYTHONSAFEPATH": "1",  # -P for the processes that libraries start
            # Each thread of these takes address space, which is what is limited.
            "OPENBLAS_NUM_THREADS": "1",
            "OMP_NUM_THREADS": "1",
            "HDF5_PLUGIN_PRELOAD": "::",  # no filters from libraries that a file names
        },
        start_new_session=True,  # an interruption ends the work here, not half an answer
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
    # A damaged file can end in any exception of the libraries that read it.
    return "it is damaged, or not of the kind that its name says"


def _limit_memory(memory_bytes: int) -> None:
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    except (ImportError, ValueError, OSError):
        pass  # Windows and macOS have no such limit; the checks of headers remain


def _limit_computing(seconds: float) -> None:
    # Unlike RLIMIT_CPU this can be set for each request, in parts of a second; 0 switches it off.
    # Its signal ends the process even inside a native reader. Where there is no such timer, as on
    # Windows, the parent's patience is the only limit.
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_PROF, seconds)
