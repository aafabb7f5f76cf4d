"""Operations of the child process on a .npz or HDF5 file that stays open between requests."""

from dataclasses import asdict
from pathlib import Path

from dvae_core.data.untrusted.array_info import raw_bytes
from dvae_core.data.untrusted.hdf5 import Hdf5File
from dvae_core.data.untrusted.limits import MAX_CONTENTS, MAX_WHOLE_BYTES
from dvae_core.data.untrusted.npz import NpzFile
from dvae_core.errors import DataError, printable
from dvae_core.system.sandbox import Answer

_ZIP_SIGNATURE = b"PK"
_HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"

_file: NpzFile | Hdf5File | None = None


def open_arrays(path: str, names: list[str]) -> Answer:
    """Open a file, close the previous one, and describe the named arrays that exist in it."""
    global _file
    previous, _file = _file, None
    if previous is not None:
        previous.close()
    _file = _opened(Path(path), names)
    arrays = {name: asdict(info) for name, info in _file.arrays.items()}
    contents = [printable(name) for name in _file.contents[:MAX_CONTENTS]]
    return {"arrays": arrays, "contents": contents}, b""


def read(name: str, start: int, stop: int) -> Answer:
    """Rows `start` to `stop` of an array."""
    return {}, raw_bytes(_open_file().read(name, start, stop))


def read_whole(name: str) -> Answer:
    """A whole array of limited size."""
    file = _open_file()
    if file.arrays[name].total_bytes > MAX_WHOLE_BYTES:
        raise DataError(f"{name} has more than {MAX_WHOLE_BYTES // 2**20} MB: give a smaller array")
    array = file.read_whole(name)
    return {"shape": array.shape, "dtype": array.dtype.str}, raw_bytes(array)


def limits(name: str, start: int, stop: int) -> Answer:
    """Smallest and largest number in the rows `start` to `stop`."""
    array = _open_file().read(name, start, stop)
    return {"least": float(array.min()), "greatest": float(array.max())}, b""


def _open_file() -> NpzFile | Hdf5File:
    if _file is None:
        raise DataError("the reader was restarted: open the file again")
    return _file


def _opened(path: Path, names: list[str]) -> NpzFile | Hdf5File:
    with open(path, "rb") as file:
        start = file.read(len(_HDF5_SIGNATURE))
    if start.startswith(_ZIP_SIGNATURE):
        return NpzFile(path, names)
    if start == _HDF5_SIGNATURE:
        return Hdf5File(path, names)
    raise DataError("it is neither a .npz nor an HDF5 file")
