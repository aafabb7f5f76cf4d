"""A run as one zip file: to take it elsewhere, and to take one in that anyone may have made.

What comes from elsewhere is checked before it is a run here: first the archive, by what it says of
its members and by how much really comes out of them; then the run in it, every file of which is
read. It grows in a draft folder, which gets its name when all of it passed.
"""

import io
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from dvae_core.errors import CoreError, RunError
from dvae_core.evaluation.results import read_evaluation
from dvae_core.runs.catalog import free_path
from dvae_core.runs.files import TRAINER_STATE, Kind, find_file, travelling_files, travels
from dvae_core.runs.run import RUN_ID, Run, State, check_run_id
from dvae_core.runs.storage import check_tensors
from dvae_core.system.files import new_folder

MAX_BYTES = 2 * 2**30  # unpacked
MAX_RATIO = 200  # of a member's size to what it takes in the archive
_SMALL_BYTES = 2**20  # up to where a ratio says nothing
_CHUNK_BYTES = 2**20
_MAX_TEXT = 300
_MAX_SNAPSHOTS = 100


def export_run(run: Run, resumable: bool = True) -> bytes:
    """A run as a zip file, its files in a folder of its name; equal runs give equal bytes.

    Args:
        run: that is not damaged. One that trains at the moment is taken as it was last saved.
        resumable: whether the trainer's state goes along, which is the largest part of it.

    Raises:
        RunError: the run is damaged.
    """
    if problem := run.problem():
        raise RunError(problem)
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, file in travelling_files(run.path).items():
            if file.kind is Kind.TRAINER and not resumable:
                continue
            member = zipfile.ZipInfo(f"{run.id}/{name}")
            member.external_attr = (stat.S_IFREG | 0o644) << 16
            is_text = file.kind is Kind.RECORD  # weights and images hardly get smaller
            member.compress_type = zipfile.ZIP_DEFLATED if is_text else zipfile.ZIP_STORED
            archive.writestr(member, (run.path / name).read_bytes())
    return content.getvalue()


def import_run(source: bytes | Path, folder: Path, run_id: str | None = None) -> Run:
    """Take a run in from a zip file that anyone may have made. What is there is not overwritten.

    Args:
        source: the archive, or its path.
        folder: that holds the runs.
        run_id: name of the new run; by default that of the folder in the archive. A number is
            added where it is taken.

    Returns:
        The run. One that was running or waiting where it comes from is stopped here.

    Raises:
        RunError: it is no zip file, holds something else than a run, unpacks to too much, or the
            run in it is damaged. Nothing is left of it then.
        OSError: the disk is full. Nothing is left of it then.
    """
    with _opened(source) as archive:
        inner, members = _checked_members(archive)
        wanted = run_id or (inner if RUN_ID.fullmatch(inner) else "imported")
        check_run_id(wanted)
        target = free_path(folder, wanted)
        try:
            with new_folder(target) as draft:
                _extract(archive, members, draft)
                _check_run(Run(draft))
        except FileExistsError:
            raise RunError(f"{target} was just made by another process: try again") from None
    return Run(target)


@contextmanager
def _opened(source: bytes | Path) -> Iterator[zipfile.ZipFile]:
    name = source.name if isinstance(source, Path) else "the archive"
    if isinstance(source, Path) and not source.is_file():
        raise RunError(f"{source} does not exist, or is no plain file")
    try:
        with open(source, "rb") if isinstance(source, Path) else io.BytesIO(source) as file:
            _check_directory(file, name)
            with zipfile.ZipFile(file) as archive:
                yield archive
    except (
        zipfile.BadZipFile,
        zlib.error,
        struct.error,
        EOFError,
        NotImplementedError,
        UnicodeDecodeError,
    ) as error:
        raise RunError(f"{name} is no whole zip file ({error})") from None


def _check_directory(file: BinaryIO, name: str) -> None:
    """Look at the size of an archive's directory, before a library reads all of it to memory."""
    size = file.seek(0, io.SEEK_END)
    tail_bytes = min(size, 22 + 2**16)  # the end record, and a comment of any length
    file.seek(size - tail_bytes)
    tail = file.read(tail_bytes)
    start = tail.rfind(b"PK\5\6")
    if start < 0 or len(tail) < start + 22:
        raise RunError(f"{name} is no zip file: a run is exported as one")
    (directory_bytes,) = struct.unpack_from("<I", tail, start + 12)
    is_zip64 = tail[max(0, start - 20) : start].startswith(b"PK\6\7")
    if is_zip64 or directory_bytes > 2**20:
        raise RunError(f"{name} has a directory of more files than a run has")
    file.seek(0)


def _checked_members(archive: zipfile.ZipFile) -> tuple[str, dict[str, zipfile.ZipInfo]]:
    """The folder that all files are in, or "", and the files by their name in the run."""
    files = [member for member in archive.infolist() if not member.is_dir()]
    folders = {member.filename.partition("/")[0] for member in files}
    inner = ""
    if len(folders) == 1 and not any(travels(member.filename) for member in files):
        only = folders.pop()
        inner = "" if only.startswith(".") else only
    members: dict[str, zipfile.ZipInfo] = {}
    for member in files:
        name = member.filename.removeprefix(f"{inner}/") if inner else member.filename
        if name in members:
            raise RunError(f"the archive holds {_shown(name)} twice")
        _check_member(name, member)
        members[name] = member
    if sum(member.file_size for member in files) > MAX_BYTES:
        raise RunError(
            f"the archive unpacks to more than {MAX_BYTES // 2**30} GB, more than a run has"
        )
    if sum(name.startswith("snapshots/") for name in members) > _MAX_SNAPSHOTS:
        raise RunError(
            f"the archive holds more than {_MAX_SNAPSHOTS} snapshots, more than a run has"
        )
    if "config.json" not in members:
        raise RunError("the archive holds no config.json: it is no run")
    return inner, members


def _check_member(name: str, member: zipfile.ZipInfo) -> None:
    file = find_file(name)
    if file is None or not travels(name):
        raise RunError(f"the archive holds {_shown(name)}, which is no file of a run")
    kind = stat.S_IFMT(member.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        raise RunError(f"{_shown(name)} is a link or a device in the archive, but no file")
    if member.flag_bits & 1:
        raise RunError(f"{_shown(name)} is encrypted: export the run without a password")
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise RunError(f"{_shown(name)} is packed in a way that is not read here: use deflate")
    if member.file_size > file.max_bytes:
        raise RunError(
            f"{_shown(name)} would take {member.file_size:,} bytes, more than a run's file has"
        )
    ratio = member.file_size / max(member.compress_size, 1)
    if member.file_size > _SMALL_BYTES and ratio > MAX_RATIO:
        raise RunError(
            f"{_shown(name)} unpacks to {ratio:,.0f} times its size, more than a run's file does"
        )


def _extract(archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo], folder: Path) -> None:
    for name, member in members.items():
        target = folder / name
        target.parent.mkdir(exist_ok=True)
        left = member.file_size  # what comes out is believed no more than what was said
        with archive.open(member) as packed, open(target, "xb") as file:
            while chunk := packed.read(_CHUNK_BYTES):
                left -= len(chunk)
                if left < 0:
                    raise RunError(f"{_shown(name)} is larger than the archive says")
                file.write(chunk)
        if left:
            raise RunError(f"{_shown(name)} is smaller than the archive says")


def _check_run(run: Run) -> None:
    """Read every file of a draft, and let its status say what is true here."""
    try:
        status = run.status()
        state = status.state
        if state in (State.RUNNING, State.QUEUED):
            state = State.STOPPED
        if state not in (State.STOPPED, State.FINISHED, State.FAILED):
            raise RunError(f"status.json says {state}, which no run writes")
        texts = {"device": status.device[:_MAX_TEXT], "message": status.message[:_MAX_TEXT]}
        run.write_status(status.model_copy(update={"state": state, "process": None, **texts}))
        if problem := run.problem():
            raise RunError(problem)
        run.metrics.read()
        run.scores.read()
        read_evaluation(run)
        for step in run.snapshot_steps():
            run.read_snapshot(step)
        readers: dict[str, Callable[[], object]] = {
            "model.safetensors": run.load_model,
            "decoder.onnx": run.load_model,
            "discriminator.safetensors": run.load_objective,
            TRAINER_STATE: lambda: check_tensors(run.path / TRAINER_STATE),
        }
        for name, read in readers.items():
            if (run.path / name).is_file():
                read()
    except CoreError as error:
        found = str(error).replace(f"{run.path}/", "").replace(str(run.path), "the run")
        raise RunError(f"the run in the archive is damaged: {found}") from None


def _shown(name: str) -> str:
    return repr(name[:80])
