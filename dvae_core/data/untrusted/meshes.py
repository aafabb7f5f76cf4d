"""Operations of the child process on the archive of Cars3D, which has meshes in .mat files."""

import gzip
import re
import tarfile
from io import BytesIO
from pathlib import Path, PurePosixPath

import numpy as np
import scipy.io
from numpy.typing import NDArray

from dvae_core.data.untrusted.array_info import raw_bytes
from dvae_core.data.untrusted.limits import exceeds_ratio
from dvae_core.errors import DataError, printable
from dvae_core.system.sandbox import Answer

_MESH = re.compile(r"(?:^|/)cars/\w{1,80}\.mat$", re.ASCII)
_MAX_MESH_BYTES = 32 * 2**20  # packed; the published ones have about 1 MB
_MAX_MESH_NUMBERS = 64 * 2**20
_MAX_MEMBERS = 100_000


_archive: "_MeshArchive | None" = None


def open_meshes(path: str) -> Answer:
    """Open an archive and close the previous one."""
    global _archive
    previous, _archive = _archive, None
    if previous is not None:
        previous.close()
    _archive = _MeshArchive(Path(path))
    return {}, b""


def next_mesh() -> Answer:
    """Name, shape and `im` of the next mesh; the name is None after the last mesh."""
    if _archive is None:
        raise DataError("the reader was restarted: open the file again")
    found = _archive.next_mesh()
    if found is None:
        return {"name": None}, b""
    name, mesh = found
    return {"name": name, "shape": mesh.shape}, raw_bytes(mesh)


class _MeshArchive:
    """The meshes of cars in a .tar.gz in sequence; writes nothing to the disk."""

    def __init__(self, path: Path) -> None:
        self._unpacked = _Unpacked(path)
        self._tar = tarfile.open(fileobj=self._unpacked, mode="r|")  # type: ignore[call-overload]  # noqa: SIM115
        self._members = 0

    def next_mesh(self) -> tuple[str, NDArray[np.uint8]] | None:
        """Name and `im`, uint8 with five axes, of the next mesh; None after the last mesh."""
        while (member := self._tar.next()) is not None:
            self._members += 1
            self._tar.members.clear()  # otherwise tarfile keeps all of them
            if self._members > _MAX_MEMBERS:
                raise DataError(f"it has more than {_MAX_MEMBERS:,} members")
            if not _MESH.search(member.name):
                continue
            shown = printable(member.name)
            if not member.isreg():
                raise DataError(f"{shown} is not a regular file")
            if member.size > _MAX_MESH_BYTES:
                raise DataError(f"{shown} has {member.size:,} bytes, more than any mesh")
            file = self._tar.extractfile(member)
            assert file is not None
            return PurePosixPath(member.name).name, _read_mesh(shown, file.read(_MAX_MESH_BYTES))
        return None

    def close(self) -> None:
        self._tar.close()
        self._unpacked.close()


def _read_mesh(shown: str, content: bytes) -> NDArray[np.uint8]:
    headers = {name: (shape, kind) for name, shape, kind in scipy.io.whosmat(BytesIO(content))}
    shape, kind = headers.get("im", ((), "nothing"))
    if len(shape) != 5 or kind != "uint8":
        raise DataError(f"{shown} has im of type {printable(kind)}, not uint8 with 5 axes")
    if not 0 < np.prod(shape, dtype=object) <= _MAX_MESH_NUMBERS:
        raise DataError(f"{shown} has a header with the shape {shape}")
    mesh = scipy.io.loadmat(BytesIO(content), variable_names=["im"])["im"]
    if mesh.shape != tuple(shape) or mesh.dtype != np.uint8:
        raise DataError(f"{shown} has an im that differs from its header")
    return mesh


class _Unpacked:
    """The content of a .gz; raises `DataError` if it unpacks to too much."""

    def __init__(self, path: Path) -> None:
        self._packed = open(path, "rb")  # noqa: SIM115
        self._gzip = gzip.GzipFile(fileobj=self._packed)
        self._count = 0

    def read(self, count: int) -> bytes:
        data = self._gzip.read(count)
        self._count += len(data)
        if exceeds_ratio(self._count, self._packed.tell()):
            raise DataError("it unpacks to more than any archive of meshes")
        return data

    def close(self) -> None:
        self._gzip.close()
        self._packed.close()
