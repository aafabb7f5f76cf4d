"""Hashes of published files, and which of them are accepted."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from dvae_core.errors import DataError
from dvae_core.system.files import write_atomically

_CHUNK_BYTES = 2**20


@dataclass(frozen=True)
class Hashes:
    """Two hashes of a file in hexadecimal: archives publish either."""

    md5: str
    sha256: str

    def match(self, accepted: set[str]) -> bool:
        """Whether `accepted` has either hash."""
        return bool(accepted & {self.md5, self.sha256})

    def __str__(self) -> str:
        return f"MD5 {self.md5} (SHA-256 {self.sha256})"


def hash_file(path: Path) -> Hashes:
    """The hashes of a file of any size."""
    with path.open("rb") as file:
        return _hash(file)


def _hash(file: BinaryIO) -> Hashes:
    md5, sha256 = hashlib.md5(usedforsecurity=False), hashlib.sha256()
    while chunk := file.read(_CHUNK_BYTES):
        md5.update(chunk)
        sha256.update(chunk)
    return Hashes(md5.hexdigest(), sha256.hexdigest())


def check_hash(text: str) -> str:
    """A hash that a person gave, in lower case.

    Raises:
        DataError: it has not 32 or 64 hexadecimal digits.
    """
    given = text.strip().lower()
    if not re.fullmatch(r"[0-9a-f]{32}|[0-9a-f]{64}", given):
        raise DataError(
            f"the trusted hash is {text[:80]!r}: give the 32 hexadecimal digits of an MD5, or the "
            "64 of a SHA-256"
        )
    return given


def _record(path: Path) -> Path:
    return path.with_name(f"{path.name}.md5")


def record_trust(path: Path, hashes: Hashes) -> None:
    """Write the hash of a file that a person trusts beside it, as `md5sum` does."""
    write_atomically(_record(path), f"{hashes.md5}  {path.name}\n")


def recorded_trust(path: Path) -> set[str]:
    """The hash that `record_trust` wrote for a file; empty without one."""
    try:
        return set(_record(path).read_text(errors="replace").split()[:1])
    except OSError:
        return set()
