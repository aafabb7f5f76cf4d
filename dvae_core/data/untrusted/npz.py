"""Arrays in a .npz, read without unpickling."""

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from dvae_core.data.untrusted.array_info import ArrayInfo, check_array
from dvae_core.errors import DataError

_MAX_MEMBERS = 256
_LOCAL_HEADER_BYTES = 30  # of a zip member, before its name and extra field
_ENCRYPTED = 0x1
_SKIP_BYTES = 2**20
_READERS = {
    (1, 0): npy_format.read_array_header_1_0,
    (2, 0): npy_format.read_array_header_2_0,
}


class NpzFile:
    """The named arrays of a .npz; opens no other member.

    Attributes:
        arrays: the arrays that exist.
        contents: names of all members.
        is_column_major: always False.

    Args:
        path: the file.
        names: names of the arrays, without ".npy".

    Raises:
        DataError: an array is invalid.
        Exception: the standard library raises almost any exception for a damaged file.
    """

    is_column_major = False

    def __init__(self, path: Path, names: Sequence[str]) -> None:
        self.arrays: dict[str, ArrayInfo] = {}
        self._path = path
        self._zip = zipfile.ZipFile(path)
        self._reading: tuple[str, IO[bytes], int] | None = None
        try:
            members = self._zip.infolist()
            if len(members) > _MAX_MEMBERS:
                raise DataError(f"it has {len(members):,} members: give at most {_MAX_MEMBERS}")
            self.contents = [member.filename.removesuffix(".npy") for member in members]
            self._members = dict(zip(self.contents, members, strict=True))
            for name in names:
                if (count := self.contents.count(name)) > 1:
                    raise DataError(f"it has {name} {count} times: save it once")
                if count:
                    self.arrays[name] = self._describe(name)
        except BaseException:
            self.close()
            raise

    def read(self, name: str, start: int, stop: int) -> NDArray:
        """Rows `start` to `stop`; increasing requests are fastest."""
        info = self.arrays[name]
        if info.is_fortran:
            raise DataError(
                f"{name} is stored in Fortran order: save it again with numpy.ascontiguousarray"
            )
        data = self._read_bytes(name, start * info.row_bytes, stop * info.row_bytes)
        return np.frombuffer(data, info.dtype).reshape(stop - start, *info.shape[1:])

    def read_whole(self, name: str) -> NDArray:
        """The whole array."""
        info = self.arrays[name]
        data = np.frombuffer(self._read_bytes(name, 0, info.total_bytes), info.dtype)
        if info.is_fortran:
            return np.ascontiguousarray(data.reshape(info.shape, order="F"))
        return data.reshape(info.shape)

    def close(self) -> None:
        """Close the file."""
        self._forget()
        self._zip.close()

    def _describe(self, name: str) -> ArrayInfo:
        member = self._members[name]
        if member.flag_bits & _ENCRYPTED:
            raise DataError(f"{name} is encrypted: save it without a password")
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise DataError(f"{name} has an unsupported compression: save it with numpy")
        with self._zip.open(member) as file:
            version = npy_format.read_magic(file)
            if version not in _READERS:
                raise DataError(f"{name} has .npy version {version}: save it again with numpy")
            shape, is_fortran, dtype = _READERS[version](file)
            header_bytes = file.tell()
        # The directory of the zip may state any packed size.
        file_bytes = self._path.stat().st_size
        check_array(name, shape, dtype, min(member.compress_size, file_bytes))
        info = ArrayInfo(shape, dtype.str, None, is_fortran and len(shape) > 1)
        if member.file_size != header_bytes + info.total_bytes:
            raise DataError(
                f"{name} has {member.file_size - header_bytes:,} bytes, but its header states "
                f"{info.total_bytes:,}"
            )
        if member.compress_type == zipfile.ZIP_DEFLATED:
            return info
        offset = self._data_offset(member) + header_bytes
        if offset + info.total_bytes > file_bytes:
            raise DataError(f"{name} is truncated")
        return ArrayInfo(info.shape, info.dtype, offset, info.is_fortran)

    def _data_offset(self, member: zipfile.ZipInfo) -> int:
        with open(self._path, "rb") as file:
            file.seek(member.header_offset)
            header = file.read(_LOCAL_HEADER_BYTES)
        name_bytes, extra_bytes = header[26:28], header[28:30]
        return (
            member.header_offset
            + _LOCAL_HEADER_BYTES
            + int.from_bytes(name_bytes, "little")
            + int.from_bytes(extra_bytes, "little")
        )

    def _read_bytes(self, name: str, start: int, stop: int) -> bytes:
        try:
            return self._read_on(name, start, stop)
        except BaseException:
            self._forget()  # the position is unknown
            raise

    def _read_on(self, name: str, start: int, stop: int) -> bytes:
        if self._reading is None or self._reading[0] != name or self._reading[2] > start:
            self._forget()
            self._reading = (name, self._open_data(name), 0)
        _, file, position = self._reading
        while position < start:
            skipped = len(file.read(min(_SKIP_BYTES, start - position)))
            if not skipped:
                raise DataError(f"{name} is truncated")
            position += skipped
        data = file.read(stop - start)
        if len(data) != stop - start:
            raise DataError(f"{name} is truncated")
        self._reading = (name, file, stop)
        if stop == self.arrays[name].total_bytes and file.read(1):  # also checks the checksum
            raise DataError(f"{name} continues after its end")
        return data

    def _open_data(self, name: str) -> IO[bytes]:
        file = self._zip.open(self._members[name])
        _READERS[npy_format.read_magic(file)](file)
        return file

    def _forget(self) -> None:
        if self._reading is not None:
            self._reading[1].close()
            self._reading = None
