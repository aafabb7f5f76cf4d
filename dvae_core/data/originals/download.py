"""Downloading published files: tries several addresses, resumes, and checks the hash."""

import os
import re
import time
import urllib.error
import urllib.request
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import BinaryIO

from dvae_core.data.folder import check_space, data_folder
from dvae_core.data.originals.addresses import REMOTE_FILES, RemoteFile
from dvae_core.data.originals.hashes import (
    Hashes,
    check_hash,
    hash_file,
    record_trust,
    recorded_trust,
)
from dvae_core.errors import DataError, printable
from dvae_core.progress import Progress, no_progress
from dvae_core.system.files import partial_file

_CHUNK_BYTES = 2**20
_TIMEOUT_SECONDS = 30.0
_ATTEMPTS = 5  # at each address
_PAUSE_SECONDS = 2.0  # between attempts


class UntrustedFileError(DataError):
    """A downloaded file has not the published hash, or no published hash is known.

    Attributes:
        path: where the file is kept; the data set does not use it.
        hashes: its hashes.
    """

    def __init__(self, message: str, path: Path, hashes: Hashes) -> None:
        super().__init__(message)
        self.path = path
        self.hashes = hashes


def download(
    name: str, progress: Progress = no_progress, trust_hash: str | None = None
) -> tuple[Path, ...]:
    """Download the files of a published data set into the data folder.

    Files that are there with an accepted hash are kept. The addresses of a file are tried in turn;
    each resumes its own `.part` file. A complete file whose hash is not accepted is kept beside
    the others as `<name>.untrusted`. Accepted are the published hash, `trust_hash`, and the hash
    in `<name>.md5`, where a call with `trust_hash` has recorded it.

    Args:
        name: name of the data set; `color_dsprites` has the same file as `dsprites`.
        progress: called with bytes, from 0 for each file.
        trust_hash: MD5 or SHA-256 of a file to accept, besides the published hash.

    Returns:
        Paths of the files.

    Raises:
        UntrustedFileError: a file has another hash, or one whose published hash is unknown.
        DataError: the name is unknown, `trust_hash` is not a hash, no address has the file, or the
            disk is full.
    """
    name = name.removeprefix("color_")
    if name not in REMOTE_FILES:
        raise DataError(
            f"there is nothing to download for {name[:60]!r}: choose {', '.join(REMOTE_FILES)}"
        )
    trusted = set() if trust_hash is None else {check_hash(trust_hash)}
    return tuple(_Fetch(file, trusted, progress).run() for file in REMOTE_FILES[name])


class _Fetch:
    """One file: what is there already, then its addresses in turn."""

    def __init__(self, file: RemoteFile, trusted: set[str], progress: Progress) -> None:
        self._file = file
        self._progress = progress
        self._path = data_folder() / file.name
        self._aside = data_folder() / f"{file.name}.untrusted"
        self._published = {file.md5} if file.md5 else set()
        self._accepted = self._published | trusted | recorded_trust(self._path)

    def run(self) -> Path:
        try:
            return self._take_existing() or self._take_remote()
        except OSError as error:
            reason = error.strerror or error
            raise DataError(f"{self._file.name} cannot be written: {reason}") from None

    def _take_existing(self) -> Path | None:
        """The file, or the one that an earlier call has put aside."""
        if self._path.is_file():
            hashes = hash_file(self._path)
            if hashes.match(self._accepted):
                return self._take(self._path, hashes)
            if self._file.md5 is None:
                return self._path  # someone has put it there, and nothing contradicts it
        if self._aside.is_file():
            hashes = hash_file(self._aside)
            if hashes.match(self._accepted):
                return self._take(self._aside, hashes)
            raise self._untrusted(hashes, "an earlier download")
        return None

    def _take_remote(self) -> Path:
        reasons: list[str] = []
        error: UntrustedFileError | None = None
        for url in self._file.urls:
            try:
                hashes = self._download(url)
            except _Interrupted as interruption:
                reasons.append(f"{url}: {interruption}")
                continue
            if hashes.match(self._accepted):
                return self._take(self._aside, hashes)
            error = self._untrusted(hashes, f"the file from {url}")
            if not self._published:
                break  # no other address could be compared with anything either
        if error is not None:
            raise error
        kept = sum(
            part.stat().st_size for part in map(self._part, self._file.urls) if part.exists()
        )
        resumed = f", which resumes after {kept:,} bytes," if kept else ""
        raise DataError(
            f"{self._file.name} cannot be downloaded: {'; '.join(reasons)}: try again{resumed} or "
            f"download it by hand and put it into {data_folder()}/"
        )

    def _download(self, url: str) -> Hashes:
        """Download from one address to `_aside`, where a file stays until its hash is accepted."""
        part = self._part(url)
        resumes = part.is_file()
        _transfer(url, part, self._aside, self._progress)
        hashes = hash_file(self._aside)
        if resumes and not hashes.match(self._accepted):
            # The server may have replaced the file since the part was begun.
            _transfer(url, part, self._aside, self._progress)
            hashes = hash_file(self._aside)
        return hashes

    def _part(self, url: str) -> Path:
        """The partial download from one address; another address may have another file."""
        return data_folder() / f"{self._file.name}.{zlib.crc32(url.encode()):08x}.part"

    def _take(self, source: Path, hashes: Hashes) -> Path:
        """Move a file with an accepted hash to its place, and delete what was left of others."""
        os.replace(source, self._path)
        if not hashes.match(self._published):
            record_trust(self._path, hashes)
        for left in (self._aside, *map(self._part, self._file.urls)):
            left.unlink(missing_ok=True)
        return self._path

    def _untrusted(self, hashes: Hashes, source: str) -> UntrustedFileError:
        expected = (
            f"but the published MD5 is {self._file.md5}"
            if self._published
            else f"but no published hash of {self._file.name} is known"
        )
        return UntrustedFileError(
            f"{source} has the {hashes}, {expected}: it is kept as {self._aside}; accept it with "
            f"--trust-hash {hashes.md5} if you trust it, or delete it and download again",
            self._aside,
            hashes,
        )


def _transfer(url: str, part: Path, path: Path, progress: Progress) -> None:
    """Complete `part` from `url` and rename it to `path`; raises `_Interrupted` when this fails.

    A broken connection is taken up again, and what has arrived stays in `part`.
    """
    with partial_file(path, resume=True, part=part) as file:
        for attempt in range(_ATTEMPTS):
            if attempt:
                time.sleep(_PAUSE_SECONDS)
            try:
                _continue(url, file, part.parent, progress)
                return
            except _Interrupted as interruption:
                failed = interruption
                if failed.is_hopeless or (attempt == 0 and failed.is_unreachable):
                    break
        raise failed


def _continue(url: str, file: BinaryIO, folder: Path, progress: Progress) -> None:
    with _request(url, file) as response:
        if response is None:
            return
        is_rest = response.status == HTTPStatus.PARTIAL_CONTENT
        missing = response.length
        chunk = _read(response)
        if not is_rest:
            if page := _describe_page(chunk):
                message = f"the server sent {page} in place of the file"
                raise _Interrupted(message, is_hopeless=True)
            if file.tell():
                _empty(file)  # the server sends the whole file
        if missing is not None:
            check_space(folder, missing)
        total = file.tell() + (missing or 0)
        progress(file.tell(), total)
        while chunk:
            file.write(chunk)
            progress(file.tell(), max(total, file.tell()))
            chunk = _read(response)
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
        with error:
            page = _describe_page(_beginning(error))
        if error.code != HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            is_hopeless = error.code < HTTPStatus.INTERNAL_SERVER_ERROR
            message = f"the server answered {error.code} {printable(error.reason)}"
            message += f", with {page}" if page else ""
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


def _beginning(error: urllib.error.HTTPError) -> bytes:
    try:
        return error.read(_CHUNK_BYTES)
    except (OSError, HTTPException):
        return b""


_PAGES = {
    rb"<!doctype html|<html": ("an HTML page", rb"<title[^>]*>([^<]+)<"),
    rb"<\?xml|<error": ("an XML document", rb"<code>([^<]+)<"),
}


def _describe_page(head: bytes) -> str | None:
    """What a body is that begins like a page or message of a server, with its title or code; None
    for data: no published file is text."""
    for start, (kind, words) in _PAGES.items():
        if re.match(rb"(\xef\xbb\xbf)?\s*(<!--.*?-->\s*)?(" + start + rb")", head, re.I | re.S):
            found = re.search(words, head, re.I)
            title = " ".join(found[1].decode(errors="replace").split()) if found else ""
            return f"{kind} ({printable(title)})" if title else kind
    return None


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
