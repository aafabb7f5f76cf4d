"""Exporting a run as one zip file, and importing runs from zip files of unknown origin.

An import checks the archive first: the sizes that it states, and the sizes of the extracted files.
It then reads every file of the run. The files are extracted to a draft folder, which is renamed
only when all checks have passed.
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

from dvae_core.errors import CoreError, RunError, printable
from dvae_core.evaluation.results import read_evaluation
from dvae_core.runs.catalog import free_path
from dvae_core.runs.files import (
    NAMES,
    TRAINER_STATE,
    WEIGHTS,
    Kind,
    find_file,
    reading_order,
    travelling_files,
    travels,
)
from dvae_core.runs.names import latent_names, names_path
from dvae_core.runs.run import RUN_ID, Run, State, check_run_id
from dvae_core.system.files import new_folder
from dvae_core.system.zips import packed_files

MAX_BYTES = 2 * 2**30  # unpacked
MAX_RATIO = 200  # of the unpacked size to the packed size of a member
_SMALL_BYTES = 2**20  # smaller members may have any ratio
_CHUNK_BYTES = 2**20
_MAX_TEXT = 300
_MAX_SNAPSHOTS = 100


def export_run(run: Run, resumable: bool = True) -> bytes:
    """The zip file of a run, with a folder named after it; equal runs give equal bytes.

    Args:
        run: run to export; a run in training is exported as last saved.
        resumable: whether to include the training state, the largest part.

    Raises:
        RunError: the run is damaged.
    """
    if problem := run.problem():
        raise RunError(problem)
    latent_names(run)  # a damaged file could not be imported again
    paths = {name: run.path / name for name in travelling_files(run.path)}
    if (names := names_path(run)).is_file():  # perhaps in another folder
        paths[NAMES] = names
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, path in sorted(paths.items(), key=lambda item: reading_order(item[0])):
            file = find_file(name)
            assert file is not None
            if file.kind is Kind.TRAINER and not resumable:
                continue
            try:
                content_of_file = path.read_bytes()
            except FileNotFoundError:  # a training has thinned out its snapshots
                continue
            member = zipfile.ZipInfo(f"{run.id}/{name}")
            member.external_attr = (stat.S_IFREG | 0o644) << 16
            is_text = file.kind is Kind.RECORD  # weights and images hardly compress
            member.compress_type = zipfile.ZIP_DEFLATED if is_text else zipfile.ZIP_STORED
            archive.writestr(member, content_of_file)
    return content.getvalue()


def import_run(source: bytes | Path, folder: Path, run_id: str | None = None) -> Run:
    """Import a run from a zip file of unknown origin without overwriting anything.

    Args:
        source: content or path of the archive.
        folder: folder that holds the runs.
        run_id: name of the new run; default: name of the folder in the archive. A number is
            appended if the name is taken.

    Returns:
        The run. A run that was running or queued is stopped.

    Raises:
        RunError: the file is not a zip file, does not hold a run, unpacks to too much, or holds a
            damaged run. Nothing is imported.
        OSError: the disk is full. Nothing is imported.
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
            raise RunError(f"{target} was just created by another process: try again") from None
    return Run(target)


@contextmanager
def _opened(source: bytes | Path) -> Iterator[zipfile.ZipFile]:
    name = source.name if isinstance(source, Path) else "the archive"
    if isinstance(source, Path) and not source.is_file():
        raise RunError(f"{source} does not exist or is not a regular file")
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
        raise RunError(f"{name} is not a complete zip file ({printable(error, 200)})") from None


def _check_directory(file: BinaryIO, name: str) -> None:
    """Limit the size of the directory of an archive before a library reads it into memory."""
    size = file.seek(0, io.SEEK_END)
    tail_bytes = min(size, 22 + 2**16)  # the end record and the longest comment
    file.seek(size - tail_bytes)
    tail = file.read(tail_bytes)
    start = tail.rfind(b"PK\5\6")
    if start < 0 or len(tail) < start + 22:
        raise RunError(f"{name} is not a zip file: give the file of an exported run")
    (directory_bytes,) = struct.unpack_from("<I", tail, start + 12)
    is_zip64 = tail[max(0, start - 20) : start].startswith(b"PK\6\7")
    if is_zip64 or directory_bytes > 2**20:
        raise RunError(f"{name} lists more files than a run has: give the file of an exported run")
    file.seek(0)


def _checked_members(archive: zipfile.ZipFile) -> tuple[str, dict[str, zipfile.ZipInfo]]:
    """The common folder of all files, or "", and the members by their path in the run."""
    files = packed_files(archive)
    folders = {member.filename.partition("/")[0] for member in files}
    inner = ""
    if len(folders) == 1 and not any(travels(member.filename) for member in files):
        only = folders.pop()
        inner = "" if only.startswith(".") else only
    members: dict[str, zipfile.ZipInfo] = {}
    for member in files:
        name = member.filename.removeprefix(f"{inner}/") if inner else member.filename
        if name in members:
            raise RunError(f"the archive holds {_shown(name)} twice: it is not a run")
        _check_member(name, member)
        members[name] = member
    if sum(member.file_size for member in files) > MAX_BYTES:
        raise RunError(f"the archive unpacks to more than {MAX_BYTES // 2**30} GB: it is not a run")
    if sum(name.startswith("snapshots/") for name in members) > _MAX_SNAPSHOTS:
        raise RunError(f"the archive holds more than {_MAX_SNAPSHOTS} snapshots: it is not a run")
    if "config.json" not in members:
        raise RunError("the archive holds no config.json: it is not a run")
    return inner, members


def _check_member(name: str, member: zipfile.ZipInfo) -> None:
    if member.header_offset < 0:
        raise RunError("the archive is damaged: it lists a file before its beginning")
    file = find_file(name)
    if file is None or not travels(name):
        raise RunError(f"the archive holds {_shown(name)}, which is not a file of a run")
    kind = stat.S_IFMT(member.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        raise RunError(f"the archive holds {_shown(name)} as a link or a device, not as a file")
    if member.flag_bits & 1:
        raise RunError(f"{_shown(name)} is encrypted: export the run without a password")
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise RunError(f"{_shown(name)} has an unsupported compression: use deflate")
    if member.file_size > file.max_bytes:
        raise RunError(f"{_shown(name)} has {member.file_size:,} bytes, more than in any run")
    ratio = member.file_size / max(member.compress_size, 1)
    if member.file_size > _SMALL_BYTES and ratio > MAX_RATIO:
        raise RunError(f"{_shown(name)} unpacks to {ratio:,.0f} times its size: it is not a run")


def _extract(archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo], folder: Path) -> None:
    for name, member in members.items():
        target = folder / name
        target.parent.mkdir(exist_ok=True)
        left = member.file_size  # do not trust the stated size
        with archive.open(member) as packed, open(target, "xb") as file:
            while chunk := packed.read(_CHUNK_BYTES):
                left -= len(chunk)
                if left < 0:
                    raise RunError(f"the archive is damaged: {_shown(name)} is larger than stated")
                file.write(chunk)
        if left:
            raise RunError(f"the archive is damaged: {_shown(name)} is smaller than stated")


def _check_run(run: Run) -> None:
    """Read every file of a draft, and set its status to what holds on this machine."""
    try:
        status = run.status()
        state = status.state
        if state in (State.RUNNING, State.QUEUED):
            state = State.STOPPED
        if state not in (State.STOPPED, State.FINISHED, State.FAILED):
            raise RunError(f"status.json has the state {state}, which is never stored")
        texts = {"device": status.device[:_MAX_TEXT], "message": status.message[:_MAX_TEXT]}
        run.write_status(status.model_copy(update={"state": state, "process": None, **texts}))
        if problem := run.problem():
            raise RunError(problem)
        run.metrics.read()
        run.scores.read()
        read_evaluation(run)
        latent_names(run)
        for step in run.snapshot_steps():
            run.read_snapshot(step)
        readers: dict[str, Callable[[], object]] = {
            WEIGHTS: run.load_model,
            "decoder.onnx": run.load_model,
            "discriminator.safetensors": run.load_objective,
            TRAINER_STATE: run.check_trainer_state,
        }
        for name, read in readers.items():
            if (run.path / name).is_file():
                read()
    except CoreError as error:
        found = str(error).replace(f"{run.path}/", "").replace(str(run.path), "the run")
        raise RunError(f"the run in the archive is damaged: {found}") from None


def _shown(name: str) -> str:
    return repr(name[:80])
