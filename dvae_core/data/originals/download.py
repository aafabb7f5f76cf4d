"""Downloading published files: resumes partial downloads and checks the published hash."""

import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import Any, BinaryIO

from dvae_core.data.folder import check_space, data_folder
from dvae_core.errors import DataError
from dvae_core.progress import Progress, no_progress
from dvae_core.system.files import partial_file

_CHUNK_BYTES = 2**20
_TIMEOUT_SECONDS = 30.0
_ATTEMPTS = 5
_PAUSE_SECONDS = 2.0  # between attempts


@dataclass(frozen=True)
class RemoteFile:
    """A file to download: its local name, its URL and its MD5 in hexadecimal."""

    name: str
    url: str
    md5: str


_MPI3D = "https://storage.googleapis.com/disentanglement_dataset/Final_Dataset"

# The address and the files of each data set. The hashes are those of the public library disent.
_SOURCES: dict[str, tuple[str, dict[str, str]]] = {
    "dsprites": (
        "https://raw.githubusercontent.com/deepmind/dsprites-dataset/master",
        {
            "dsprites_ndarray_co1sh3sc6or40x32y32_64x64.hdf5": "b331c4447a651c44bf5e8ae09022e230",
        },
    ),
    "smallnorb": (
        "https://cs.nyu.edu/~ylclab/data/norb-v1.0-small",
        {
            f"smallnorb-5x{part}.mat.gz": md5
            for part, md5 in {
                "46789x9x18x6x2x96x96-training-dat": "66054832f9accfe74a0f4c36a75bc0a2",
                "46789x9x18x6x2x96x96-training-cat": "23c8b86101fbf0904a000b43d3ed2fd9",
                "46789x9x18x6x2x96x96-training-info": "51dee1210a742582ff607dfd94e332e3",
                "01235x9x18x6x2x96x96-testing-dat": "e4ad715691ed5a3a5f138751a4ceb071",
                "01235x9x18x6x2x96x96-testing-cat": "5aa791cd7e6016cf957ce9bdb93b8603",
                "01235x9x18x6x2x96x96-testing-info": "a9454f3864d7fd4bb3ea7fc3eb84924e",
            }.items()
        },
    ),
    "cars3d": (
        "http://www.scottreed.info/files",
        {"nips2015-analogy-data.tar.gz": "4e866a7919c1beedf53964e6f7a23686"},
    ),
    "shapes3d": (
        "https://storage.googleapis.com/3d-shapes",
        {"3dshapes.h5": "099a2078d58cec4daad0702c55d06868"},
    ),
    "mpi3d_toy": (_MPI3D, {"mpi3d_toy.npz": "55889cb7c7dfc655d6e0277beee88868"}),
    "mpi3d_realistic": (_MPI3D, {"mpi3d_realistic.npz": "59a6225b88b635365f70c91b3e52f70f"}),
    "mpi3d_real": (_MPI3D, {"mpi3d_real.npz": "0f33f609918fb5c97996692f91129802"}),
}
REMOTE_FILES = {
    name: tuple(RemoteFile(file, f"{address}/{file}", md5) for file, md5 in files.items())
    for name, (address, files) in _SOURCES.items()
}


def download(name: str, progress: Progress = no_progress) -> tuple[Path, ...]:
    """Download the files of a published data set into the data folder.

    Existing files with the right hash are kept. An interrupted download is resumed from its `.part`
    file by the next call.

    Args:
        name: name of the data set; `color_dsprites` has the same file as `dsprites`.
        progress: called with bytes, from 0 for each file.

    Returns:
        Paths of the files.

    Raises:
        DataError: the name is unknown, the network or the server fails, the hash is wrong, or the
            disk is full.
    """
    name = name.removeprefix("color_")
    if name not in REMOTE_FILES:
        raise DataError(
            f"there is nothing to download for {name[:60]!r}: choose {', '.join(REMOTE_FILES)}"
        )
    return tuple(_fetch(file, progress) for file in REMOTE_FILES[name])


def _fetch(file: RemoteFile, progress: Progress) -> Path:
    import pooch

    pooch.get_logger().setLevel("WARNING")  # otherwise it logs each download
    registry = pooch.create(
        path=data_folder(),
        base_url="",
        registry={file.name: f"md5:{file.md5}"},
        urls={file.name: file.url},
    )
    try:
        return Path(registry.fetch(file.name, downloader=_ResumingDownloader(file, progress)))
    except OSError as error:
        raise DataError(f"{file.name} cannot be written: {error.strerror or error}") from None
    except ValueError:  # the hash is wrong; pooch has deleted the file
        raise DataError(
            f"{file.name} from {file.url} does not have the published hash {file.md5} and was "
            f"deleted: try again later, or get the file elsewhere and put it into {data_folder()}"
        ) from None


class _ResumingDownloader:
    """Downloads to `<name>.part` and passes the complete file to pooch, which checks the hash."""

    def __init__(self, file: RemoteFile, progress: Progress) -> None:
        self._file = file
        self._progress = progress

    def __call__(self, url: str, output_file: str, pooch: Any) -> None:
        part = Path(pooch.path) / f"{self._file.name}.part"
        with partial_file(Path(output_file), resume=True, part=part) as file:
            for attempt in range(_ATTEMPTS):
                if attempt:
                    time.sleep(_PAUSE_SECONDS)
                try:
                    self._continue(url, file, part.parent)
                    return
                except _Interrupted as interruption:
                    reason = str(interruption)
                    if interruption.is_hopeless or (attempt == 0 and interruption.is_unreachable):
                        break
            kept = f"; run the command again to resume after {file.tell():,} bytes"
            raise DataError(
                f"{self._file.name} cannot be downloaded from {url}: {reason}"
                + (kept if file.tell() else "")
            )

    def _continue(self, url: str, file: BinaryIO, folder: Path) -> None:
        with _request(url, file) as response:
            if response is None:
                return
            if file.tell() and response.status != HTTPStatus.PARTIAL_CONTENT:
                _empty(file)  # the server sends the whole file
            missing = response.length
            if missing is not None:
                check_space(folder, missing)
            total = file.tell() + (missing or 0)
            self._progress(file.tell(), total)
            while chunk := _read(response):
                file.write(chunk)
                self._progress(file.tell(), max(total, file.tell()))
            file.flush()
            if file.tell() < total:
                raise _Interrupted(f"the connection ended after {file.tell():,} of {total:,} bytes")


@contextmanager
def _request(url: str, file: BinaryIO) -> Iterator[HTTPResponse | None]:
    """The response for the missing part of a file, or None if the file is complete."""
    headers = {"User-Agent": "dvae-explorer", "Accept-Encoding": "identity"}
    if file.tell():
        headers["Range"] = f"bytes={file.tell()}-"
    try:
        response = urllib.request.urlopen(
            urllib.request.Request(url, headers=headers), timeout=_TIMEOUT_SECONDS
        )
    except urllib.error.HTTPError as error:
        error.close()
        if error.code != HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            is_hopeless = error.code < HTTPStatus.INTERNAL_SERVER_ERROR
            message = f"the server answered {error.code} {error.reason}"
            raise _Interrupted(message, is_hopeless=is_hopeless) from None
        if error.headers["Content-Range"] == f"bytes */{file.tell()}":
            yield None
            return
        _empty(file)  # longer than the file on the server
        raise _Interrupted("the partial download did not match the file") from None
    except (OSError, HTTPException) as error:
        reason = getattr(error, "reason", error)
        message = f"the server cannot be reached ({reason})"
        raise _Interrupted(message, is_unreachable=True) from None
    with response:
        yield response


def _read(response: HTTPResponse) -> bytes:
    try:
        return response.read(_CHUNK_BYTES)
    except (OSError, HTTPException) as error:
        raise _Interrupted(f"the connection broke ({error or type(error).__name__})") from None


def _empty(file: BinaryIO) -> None:
    file.seek(0)
    file.truncate()


class _Interrupted(Exception):
    """An attempt failed; the bytes so far are valid."""

    def __init__(
        self, message: str, is_unreachable: bool = False, is_hopeless: bool = False
    ) -> None:
        super().__init__(message)
        self.is_unreachable = is_unreachable
        self.is_hopeless = is_hopeless
