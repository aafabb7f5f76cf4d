"""The child process that opens files from strangers: answers one request a line until its input
ends, or until a file makes it die.

A request is a JSON object with `operation`, its arguments, and the `seconds` of computing allowed.
An answer is a line of JSON, with `bytes` the number of raw bytes that follow it, or with `error`.
"""

import json
import signal
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dvae_core.data.untrusted.limits import MAX_WHOLE_BYTES
from dvae_core.data.untrusted.npz import NpzFile
from dvae_core.errors import DataError, printable
from dvae_core.system.sandbox import failure_message, limit_memory

_ZIP_SIGNATURE = b"PK"
_PATIENCE = 60
_HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"


# The libraries of some operations take long to start, which is no fault of the file.
_MODULES = {
    "open_arrays": "dvae_core.data.untrusted.hdf5",
    "picture_header": "dvae_core.data.untrusted.pictures",
    "read_picture": "dvae_core.data.untrusted.pictures",
    "open_meshes": "dvae_core.data.untrusted.meshes",
}


class Worker:
    """Holds the one file that is open and answers for it."""

    def __init__(self) -> None:
        self._open: Any = None

    def answer(self, operation: str, arguments: dict[str, Any]) -> tuple[dict[str, Any], NDArray]:
        """What is known, and an array to send along (empty where there is none)."""
        nothing = np.empty(0, np.uint8)
        path = Path(arguments["path"])
        match operation:
            case "open_arrays":
                self._forget()
                self._open = _open_arrays(path, arguments["names"])
                arrays = {name: info.as_json() for name, info in self._open.arrays.items()}
                contents = [printable(name) for name in self._open.contents[:20]]
                return {"arrays": arrays, "contents": contents}, nothing
            case "read":
                data = self._open.read(arguments["name"], arguments["start"], arguments["stop"])
                return {}, data
            case "read_whole":
                name = arguments["name"]
                if self._open.arrays[name].total_bytes > MAX_WHOLE_BYTES:
                    raise DataError(f"{name} has more than {MAX_WHOLE_BYTES // 2**20} MB")
                data = self._open.read_whole(name)
                return {"shape": data.shape, "dtype": data.dtype.str}, data
            case "limits":
                data = self._open.read(arguments["name"], arguments["start"], arguments["stop"])
                return {"least": float(data.min()), "greatest": float(data.max())}, nothing
            case "picture_header":
                from dvae_core.data.untrusted.pictures import picture_header

                height, width, is_grey = picture_header(path)
                return {"height": height, "width": width, "is_grey": is_grey}, nothing
            case "read_picture":
                from dvae_core.data.untrusted.pictures import read_picture

                return {}, read_picture(path, arguments["size"], arguments["channels"])
            case "open_meshes":
                from dvae_core.data.untrusted.meshes import MeshArchive

                self._forget()
                self._open = MeshArchive(path)
                return {}, nothing
            case "next_mesh":
                mesh = self._open.next_mesh()
                if mesh is None:
                    return {"name": None}, nothing
                return {"name": mesh[0], "shape": mesh[1].shape}, mesh[1]
        raise AssertionError(operation)

    def _forget(self) -> None:
        previous, self._open = self._open, None
        if previous is not None:
            previous.close()


def main(memory: str) -> None:
    """Answer requests from standard input on standard output."""
    memory_bytes = int(memory)
    limit_memory(memory_bytes)
    worker = Worker()
    output = sys.stdout.buffer
    for line in sys.stdin.buffer:
        request = json.loads(line)
        operation, seconds = request.pop("operation"), request.pop("seconds")
        data: NDArray | None = None
        try:
            if operation in _MODULES:
                import_module(_MODULES[operation])
            _limit_time(seconds)
            answer, data = worker.answer(operation, request)
            answer["bytes"] = data.nbytes
        except DataError as error:
            answer = {"error": str(error)}
        except Exception as error:
            answer = {"error": failure_message(error, memory_bytes)}
        _limit_time(0)
        output.write(json.dumps(answer).encode() + b"\n")
        if data is not None and data.nbytes:
            output.write(data.reshape(-1).view(np.uint8).data)  # as bytes, whatever the type
        output.flush()


def _open_arrays(path: Path, names: list[str]) -> Any:
    with open(path, "rb") as file:
        start = file.read(len(_HDF5_SIGNATURE))
    if start.startswith(_ZIP_SIGNATURE):
        return NpzFile(path, names)
    if start == _HDF5_SIGNATURE:
        from dvae_core.data.untrusted.hdf5 import Hdf5File

        return Hdf5File(path, names)
    raise DataError("it is neither a .npz nor an HDF5 file")


def _limit_time(seconds: float) -> None:
    # Unlike RLIMIT_CPU these can be set anew for each file, in parts of a second; 0 switches them
    # off. Their signals end the process even inside a native reader.
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_PROF, seconds)  # of computing
        signal.setitimer(signal.ITIMER_REAL, _PATIENCE * seconds)  # of waiting for a disk
