"""Operations of the child process on a file of arrays that stays open between requests: .npz,
.npy, HDF5, MATLAB or IDX."""

from dataclasses import asdict
from pathlib import Path

import h5py

from dvae_core.data.untrusted.array_info import raw_bytes
from dvae_core.data.untrusted.hdf5 import Hdf5File
from dvae_core.data.untrusted.limits import MAX_CONTENTS, MAX_WHOLE_BYTES
from dvae_core.data.untrusted.matlab import SIGNATURE, SIGNATURE_73, MatlabFile
from dvae_core.data.untrusted.npz import NpzFile
from dvae_core.data.untrusted.single_array import (
    GZIP_SIGNATURE,
    IDX_SIGNATURE,
    NPY_SIGNATURE,
    SingleArrayFile,
)
from dvae_core.errors import DataError, printable
from dvae_core.system.sandbox import Answer

_ZIP_SIGNATURE = b"PK"
_PICKLES = (".pkl", ".pickle", ".pt", ".pth")
_PICKLED = (
    "it is a pickle, which can run any program when it is opened: convert it where you trust it, "
    "with numpy.savez('mine.npz', images=..., factors=...), and import mine.npz"
)

_AnyFile = NpzFile | Hdf5File | SingleArrayFile | MatlabFile
_file: _AnyFile | None = None


def open_arrays(path: str, names: list[str]) -> Answer:
    """Open a file, close the previous one, and describe the named arrays that exist in it."""
    global _file
    previous, _file = _file, None
    if previous is not None:
        previous.close()
    _file = _opened(Path(path), names)
    arrays = {name: asdict(info) for name, info in _file.arrays.items()}
    contents = [printable(name) for name in _file.contents[:MAX_CONTENTS]]
    answer = {"arrays": arrays, "contents": contents, "is_column_major": _file.is_column_major}
    return answer, b""


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


def _open_file() -> _AnyFile:
    if _file is None:
        raise DataError("the reader was restarted: open the file again")
    return _file


def _opened(path: Path, names: list[str]) -> _AnyFile:
    with open(path, "rb") as file:
        start = file.read(len(SIGNATURE))
    if path.suffix.lower() in _PICKLES or start[:1] == b"\x80":
        raise DataError(_PICKLED)
    if start.startswith(_ZIP_SIGNATURE):
        return NpzFile(path, names)
    if start == SIGNATURE:
        return MatlabFile(path, names)
    if start.startswith((NPY_SIGNATURE, GZIP_SIGNATURE, IDX_SIGNATURE)):
        return SingleArrayFile(path)
    if h5py.is_hdf5(path):  # also behind a block of another program
        return Hdf5File(path, names, is_column_major=start == SIGNATURE_73)
    raise DataError("it is no .npz, .npy, HDF5, MATLAB or IDX file")
