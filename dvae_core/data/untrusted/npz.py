"""Arrays in a .npz, without ever unpickling."""

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
_LOCAL_HEADER_BYTES = 30  # of a zip, before the member's name and extra field
_ENCRYPTED = 0x1
_SKIP_BYTES = 2**20
_READERS = {
    (1, 0): npy_format.read_array_header_1_0,
    (2, 0): npy_format.read_array_header_2_0,
}


class NpzFile:
    """The named arrays of a .npz; no other member is opened.

    Attributes:
        arrays: those that are there.
        contents: names of what is there in all.

    Args:
        path: the file.
        names: of the arrays to look for, without ".npy".

    Raises:
        DataError: an array is not what it should be.
        Exception: almost any, from the standard library, for a file that is no zip.
    """

    def __init__(self, path: Path, names: Sequence[str]) -> None:
        self.arrays: dict[str, ArrayInfo] = {}
        self._path = path
        self._zip = zipfile.ZipFile(path)
        self._reading: tuple[str, IO[bytes], int] | None = None
        try:
            members = self._zip.infolist()
            if len(members) > _MAX_MEMBERS:
                raise DataError(f"it has {len(members):,} parts, but at most {_MAX_MEMBERS} do")
            self.contents = [member.filename.removesuffix(".npy") for member in members]
            self._members = dict(zip(self.contents, members, strict=True))
            for name in names:
                if (count := self.contents.count(name)) > 1:
                    raise DataError(f"it holds {name} {count} times")
                if count:
                    self.arrays[name] = self._describe(name)
        except BaseException:
            self.close()
            raise

    def read(self, name: str, start: int, stop: int) -> NDArray:
        """Entries start to stop along the first axis, best asked for in rising order."""
        info = self.arrays[name]
        if info.is_fortran:
            raise DataError(
                f"{name} is stored with its first axis fastest: save it again with "
                f"numpy.ascontiguousarray"
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
            raise DataError(f"{name} is encrypted")
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise DataError(f"{name} is packed in a way that numpy does not write")
        with self._zip.open(member) as file:
            version = npy_format.read_magic(file)
            if version not in _READERS:
                raise DataError(f"{name} has format version {version} of numpy's")
            shape, is_fortran, dtype = _READERS[version](file)
            header_bytes = file.tell()
        # The zip's own list may claim any packed size.
        file_bytes = self._path.stat().st_size
        check_array(name, shape, dtype, min(member.compress_size, file_bytes))
        info = ArrayInfo(shape, dtype.str, None, is_fortran and len(shape) > 1)
        if member.file_size != header_bytes + info.total_bytes:
            raise DataError(
                f"{name} should have {info.total_bytes:,} bytes by its header, but has "
                f"{member.file_size - header_bytes:,}"
            )
        if member.compress_type == zipfile.ZIP_DEFLATED:
            return info
        offset = self._data_offset(member) + header_bytes
        if offset + info.total_bytes > file_bytes:
            raise DataError(f"{name} is cut off")
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
            data = self._read_on(name, start, stop)
        except BaseException:
            self._forget()  # its position is unknown now
            raise
        return data

    def _read_on(self, name: str, start: int, stop: int) -> bytes:
        if self._reading is None or self._reading[0] != name or self._reading[2] > start:
            self._forget()
            self._reading = (name, self._open_data(name), 0)
        _, file, position = self._reading
        while position < start:
            skipped = len(file.read(min(_SKIP_BYTES, start - position)))
            if not skipped:
                raise DataError(f"{name} is cut off")
            position += skipped
        data = file.read(stop - start)
        if len(data) != stop - start:
            raise DataError(f"{name} is cut off")
        self._reading = (name, file, stop)
        if stop == self.arrays[name].total_bytes and file.read(1):  # also checks the sum
            raise DataError(f"{name} continues past its end")
        return data

    def _open_data(self, name: str) -> IO[bytes]:
        file = self._zip.open(self._members[name])
        _READERS[npy_format.read_magic(file)](file)
        return file

    def _forget(self) -> None:
        if self._reading is not None:
            self._reading[1].close()
            self._reading = None
